import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import { createChannel, type Channel } from "./channel.ts";
import { createGrpcServer, type GrpcServer } from "./server.ts";
import type { GrpcService } from "./service.ts";
import type { ClientTls, ServerTls } from "./tls.ts";

const pem = (name: string): string =>
  readFileSync(join(import.meta.dirname, "testdata", name), "utf8");
const CA = pem("ca.crt");
const SERVER = { cert: pem("server.crt"), key: pem("server.key") };
const CLIENT = { cert: pem("client.crt"), key: pem("client.key") };
const FOREIGN = { cert: pem("foreign-client.crt"), key: pem("foreign-client.key") };

const whoAmI: GrpcService = {
  name: "test.Who",
  methods: {
    AmI: { kind: "unary", handle: (_request, call) => Buffer.from(call.clientName ?? "nobody") },
  },
};

async function serve(
  context: TestContext,
  tls: ServerTls,
): Promise<{ server: GrpcServer; address: string }> {
  const server = createGrpcServer({ port: 0, services: [whoAmI], tls, graceMs: 0 });
  await server.start();
  context.after(() => server.stop());
  return { server, address: `127.0.0.1:${server.address().port}` };
}

function connect(context: TestContext, address: string, tls?: ClientTls): Channel {
  const channel = createChannel({
    address,
    connectTimeoutMs: 2000,
    ...(tls === undefined ? {} : { tls }),
  });
  context.after(() => channel.close());
  return channel;
}

const ask = async (channel: Channel): Promise<string> =>
  Buffer.from(await channel.unary("/test.Who/AmI", new Uint8Array(0))).toString();

describe("TLS", () => {
  it("answers clients that trust the server's authority", async (context) => {
    const { address } = await serve(context, SERVER);
    assert.equal(await ask(connect(context, address, { ca: CA })), "nobody");
    assert.equal(
      await ask(connect(context, address, { ca: CA, serverName: "store.test" })),
      "nobody",
    );
    assert.equal(await ask(connect(context, address, { insecureSkipVerify: true })), "nobody");
  });

  it("is refused by clients that do not, with the reason", async (context) => {
    const { address } = await serve(context, SERVER);
    const f = (tls: ClientTls | undefined, message: RegExp): Promise<void> =>
      assert.rejects(ask(connect(context, address, tls)), { code: "unavailable", message });
    await f({}, /unable to verify the first certificate/);
    await f({ ca: FOREIGN.cert }, /unable to verify|self-signed|unable to get/);
    await f({ ca: CA, serverName: "other.test" }, /other\.test/);
    await f(undefined, /cannot connect/);
  });

  it("knows clients by their certificate when it asks for one", async (context) => {
    const { address } = await serve(context, { ...SERVER, clientCa: CA });
    assert.equal(await ask(connect(context, address, { ca: CA, ...CLIENT })), "querier-0");
    for (const tls of [{ ca: CA }, { ca: CA, ...FOREIGN }])
      await assert.rejects(ask(connect(context, address, tls)), {
        code: "unavailable",
        message: /alert certificate required$|the peer closed the connection$|unknown ca$/,
      });
  });

  it("changes certificates for new connections while old ones go on", async (context) => {
    const { server, address } = await serve(context, SERVER);
    const old = connect(context, address, { ca: CA });
    assert.equal(await ask(old), "nobody");
    server.setTls(FOREIGN);
    await assert.rejects(ask(connect(context, address, { ca: CA })), { code: "unavailable" });
    const skipping = connect(context, address, { insecureSkipVerify: true });
    assert.equal(await ask(skipping), "nobody");
    assert.equal(await ask(old), "nobody");
  });
});
