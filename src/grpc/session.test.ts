import assert from "node:assert/strict";
import { createServer as createHttp2Server } from "node:http2";
import { connect as connectTcp, createServer as createTcpServer, type Socket } from "node:net";
import { once } from "node:events";
import { describe, it } from "node:test";
import { createChannel } from "./channel.ts";
import { createGrpcServer } from "./server.ts";
import type { GrpcService } from "./service.ts";

const service: GrpcService = {
  name: "test.Peer",
  methods: {
    Name: { kind: "unary", handle: (_request, call) => Buffer.from(call.peer) },
    Wait: {
      kind: "unary",
      async handle(_request, call) {
        await once(call.signal, "abort");
        return new Uint8Array(0);
      },
    },
  },
};

describe("keepalive", () => {
  it("ends calls over a connection that has gone dead without a word", async (context) => {
    const server = createGrpcServer({ port: 0, services: [service], graceMs: 0 });
    await server.start();
    context.after(() => server.stop());
    // A relay that can stop passing bytes, as a broken network does.
    const sockets: Socket[] = [];
    const relay = createTcpServer((near) => {
      const far = connectTcp(server.address().port, "127.0.0.1");
      sockets.push(near, far);
      near.on("error", () => {}).pipe(far);
      far.on("error", () => {}).pipe(near);
    });
    relay.listen(0, "127.0.0.1");
    await once(relay, "listening");
    const bound = relay.address();
    assert.ok(bound !== null && typeof bound === "object");
    const channel = createChannel({
      address: `127.0.0.1:${bound.port}`,
      // A busy machine must not look like a dead connection to the first call.
      keepalive: { intervalMs: 50, timeoutMs: 1_000 },
    });
    context.after(async () => {
      await channel.close();
      for (const socket of sockets) socket.destroy();
      relay.close();
    });
    await channel.unary("/test.Peer/Name", new Uint8Array(0));
    const waiting = channel.unary("/test.Peer/Wait", new Uint8Array(0));
    const lost = assert.rejects(waiting, { code: "unavailable" });
    for (const socket of sockets) socket.pause().unpipe();
    await lost;
  });
});

describe("connection age", () => {
  it("moves calls to a new connection without losing one", async (context) => {
    const server = createGrpcServer({ port: 0, services: [service], maxConnectionAgeMs: 30 });
    await server.start();
    const channel = createChannel({ address: `127.0.0.1:${server.address().port}` });
    context.after(async () => {
      await channel.close();
      await server.stop();
    });
    const peers = new Set<string>();
    while (peers.size < 3)
      peers.add(Buffer.from(await channel.unary("/test.Peer/Name", new Uint8Array(0))).toString());
  });
});

describe("refused streams", () => {
  it("are tried once more, and only once", async (context) => {
    let streams = 0;
    let refuse = 1;
    const server = createHttp2Server();
    server.on("stream", (stream) => {
      streams++;
      stream.on("error", () => {});
      if (refuse-- > 0) stream.close(7);
      else stream.respond({ ":status": 200, "grpc-status": "5" }, { endStream: true });
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const bound = server.address();
    assert.ok(bound !== null && typeof bound === "object");
    const channel = createChannel({ address: `127.0.0.1:${bound.port}` });
    context.after(async () => {
      await channel.close();
      server.close();
    });
    await assert.rejects(channel.unary("/a/b", new Uint8Array(0)), { status: 5 });
    assert.equal(streams, 2);
    refuse = 2;
    await assert.rejects(channel.unary("/a/b", new Uint8Array(0)), { code: "unavailable" });
    assert.equal(streams, 4);
  });

  it("takes a proxy's answer for what it is", async (context) => {
    const server = createHttp2Server();
    server.on("stream", (stream) => stream.respond({ ":status": 503 }, { endStream: true }));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const bound = server.address();
    assert.ok(bound !== null && typeof bound === "object");
    const address = `127.0.0.1:${bound.port}`;
    const channel = createChannel({ address });
    context.after(async () => {
      await channel.close();
      server.close();
    });
    await assert.rejects(channel.unary("/a/b", new Uint8Array(0)), {
      code: "unavailable",
      message: `${address} answered with HTTP status 503`,
    });
  });
});
