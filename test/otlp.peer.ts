/**
 * Beside a real Prometheus that takes OTLP, which Debian's does not (`PROMETHEUS_BINARY=/path/prometheus npm run test:otlp`,
 * 3.16): the same requests to both, which must answer alike and hold the same, bucket by bucket. With `OTELCOL_BINARY`, a
 * collector that has the `hostmetrics` receiver, what it sends to both too.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { encodeOtlp } from "../src/remote/otlp.fixture.ts";
import { CONFIGS, REQUESTS } from "../src/remote/otlp-requests.fixture.ts";
import { withBothWrite } from "./support/both-write.ts";
import { temporaryFolder } from "./support/processes.ts";

const program = process.env["PROMETHEUS_BINARY"] ?? "";
const skip = program === "" ? "skipped: PROMETHEUS_BINARY names no Prometheus" : false;

/** Refused as a whole, with a 500, since they have something that cannot be stored; 3.5 stores the rest, as we do. */
const REFUSED = ["delta", "a coarse exponential histogram"];

/** A histogram that is wrong is the sender's fault; there a 500, which senders try again. */
const OURS: Readonly<Record<string, string>> = { "a histogram without sum and buckets": "400" };

async function send(url: string, body: unknown, isPacked: boolean): Promise<string> {
  const bytes = encodeOtlp(body);
  const response = await fetch(`${url}/api/v1/otlp/v1/metrics`, {
    method: "POST",
    headers: {
      "content-type": "application/x-protobuf",
      ...(isPacked && { "content-encoding": "gzip" }),
    },
    body: new Uint8Array(isPacked ? gzipSync(bytes) : bytes),
  });
  return `${response.status} ${await response.text()}`;
}

for (const config of CONFIGS)
  test(`OTLP as a real Prometheus takes it: ${config}`, { skip }, async () => {
    const options = {
      config,
      program,
      flags: ["--web.enable-otlp-receiver", "--enable-feature=native-histograms"],
    };
    await withBothWrite(options, async ({ theirUrl, ourUrl, differences }) => {
      const found: string[] = [];
      for (const [i, [name, body]] of REQUESTS.entries()) {
        if (REFUSED.includes(name)) continue;
        const [theirs, ours] = await Promise.all(
          [theirUrl, ourUrl].map(async (url) => send(url, body, i % 2 === 0)),
        );
        const [expected, got] = [theirs!.slice(0, 3), ours!.slice(0, 3)];
        if (expected !== got && !(expected === "500" && OURS[name] === got))
          found.push(`${name}: ${theirs} but ${ours}`);
        for (const line of await differences())
          if (!found.some((known) => known.endsWith(line))) found.push(`${name}: ${line}`);
      }
      assert.deepEqual(found, []);
    });
  });

const collector = process.env["OTELCOL_BINARY"] ?? "";

test(
  "a real collector writes the same into both",
  { skip: collector === "" ? "skipped: OTELCOL_BINARY names no collector" : skip },
  async () => {
    const options = { program, flags: ["--web.enable-otlp-receiver"] };
    await withBothWrite(options, async ({ theirUrl, ourUrl, differences, held }) => {
      const config = join(temporaryFolder("otelcol"), "config.yaml");
      const path = "/api/v1/otlp/v1/metrics";
      writeFileSync(
        config,
        `receivers:
  hostmetrics: {collection_interval: 1s, scrapers: {cpu: {}, memory: {}, load: {}, network: {}}}
exporters:
  otlp_http/theirs: {metrics_endpoint: "${theirUrl}${path}"}
  otlp_http/ours: {metrics_endpoint: "${ourUrl}${path}"}
service:
  telemetry: {metrics: {level: none}}
  pipelines: {metrics: {receivers: [hostmetrics], exporters: [otlp_http/theirs, otlp_http/ours]}}
`,
      );
      const child = spawn(collector, ["--config", `file:${config}`], { stdio: "ignore" });
      const ended = once(child, "exit");
      const samples = async (): Promise<number> => (await held()).join().split("],[").length;
      while ((await samples()) < 100 && child.exitCode === null)
        await new Promise((resolve) => setTimeout(resolve, 200));
      // It sends what it has before it ends.
      child.kill("SIGTERM");
      await ended;
      assert.ok((await samples()) >= 100);
      assert.deepEqual(await differences(), []);
    });
  },
);
