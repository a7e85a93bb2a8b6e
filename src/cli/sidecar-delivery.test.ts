import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { defaultsOf, type FlagValues } from "./flags.ts";
import { createDelivery } from "./sidecar-delivery.ts";
import { SIDECAR_FLAGS } from "./sidecar-flags.ts";

type Flags = FlagValues<typeof SIDECAR_FLAGS>;

function make(flags: Partial<Flags>): ReturnType<typeof createDelivery> {
  return createDelivery(
    { ...defaultsOf(SIDECAR_FLAGS), ...flags },
    { clock: systemClock, logger: silentLogger, registry: new Registry(), userAgent: "test" },
  );
}

test("direct delivery needs no proxy, and the head to ask for", () => {
  const { delivery, services } = make({});
  assert.deepEqual([delivery, services], [{ kind: "direct" }, []]);
  assert.throws(() => make({ fetchHeadSeries: "false" }), /only --delivery=proxy knows them/);
});

test("the proxy listens on loopback unless more is allowed", async () => {
  for (const proxyAddress of ["0.0.0.0:0", ":0", "10.0.0.1:0", "[::]:0"])
    assert.throws(
      () => make({ delivery: "proxy", proxyAddress }),
      /cannot let the scrape proxy listen on .*--web\.proxy-allow-remote/,
    );
  for (const proxyAddress of ["127.0.0.1:0", "127.1.2.3:0", "localhost:0", "[::1]:0"])
    make({ delivery: "proxy", proxyAddress });
  const { delivery, services } = make({
    delivery: "proxy",
    proxyAddress: "0.0.0.0:0",
    proxyAllowRemote: true,
    fetchHeadSeries: "false",
  });
  assert.ok(delivery.kind === "proxy");
  assert.equal(delivery.fetchHeadSeries, false);
  await services[0]!.start();
  try {
    assert.match(delivery.proxyUrl(), /^http:\/\/127\.0\.0\.1:\d+$/);
  } finally {
    await services[0]!.stop();
  }
});

test("jobs get the proxy that the operator names, or none", () => {
  for (const injectProxy of ["http://proxy:1", ""]) {
    const { delivery } = make({ delivery: "proxy", injectProxy });
    assert.ok(delivery.kind === "proxy");
    assert.equal(delivery.proxyUrl(), injectProxy);
  }
});
