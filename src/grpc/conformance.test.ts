import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectHttp2 } from "node:http2";
import { createServer as createTcpServer } from "node:net";
import { describe, it, type TestContext } from "node:test";
import * as grpc from "@grpc/grpc-js";
import { AppError } from "../base/errors.ts";
import { createChannel, type Channel, type ChannelOptions } from "./channel.ts";
import { createGrpcServer, type GrpcServer, type GrpcServerOptions } from "./server.ts";
import type { CallContext, GrpcService } from "./service.ts";
import { GrpcError } from "./status.ts";

const identity = (bytes: Buffer): Buffer => bytes;
const method = (name: string, responseStream: boolean): grpc.MethodDefinition<Buffer, Buffer> => ({
  path: `/test.Echo/${name}`,
  requestStream: false,
  responseStream,
  requestSerialize: identity,
  requestDeserialize: identity,
  responseSerialize: identity,
  responseDeserialize: identity,
});
const DEFINITION = {
  Unary: method("Unary", false),
  Stream: method("Stream", true),
  Fail: method("Fail", false),
  FailLate: method("FailLate", true),
  Wait: method("Wait", false),
  Endless: method("Endless", true),
  Missing: method("Missing", false),
};
const GenericClient = grpc.makeGenericClientConstructor(DEFINITION, "test.Echo");
const STATUS_TEXT = "cannot do it: 100 % of “ö”\nare gone";

interface Watched {
  readonly service: GrpcService;
  /** Resolves when the handler of Wait or Endless saw its signal abort. */
  readonly aborted: Promise<void>;
  /** Resolves when the handler of Wait or Endless began. */
  readonly entered: Promise<CallContext>;
  readonly yielded: () => number;
}

/** Stream answers `count` messages of `size` bytes, both 32-bit in the request. */
function echoService(): Watched {
  const aborted = Promise.withResolvers<void>();
  const entered = Promise.withResolvers<CallContext>();
  let yielded = 0;
  const watch = (call: CallContext): void => {
    call.signal.addEventListener("abort", () => aborted.resolve());
    entered.resolve(call);
  };
  const service: GrpcService = {
    name: "test.Echo",
    methods: {
      Unary: { kind: "unary", handle: (request) => request },
      Stream: {
        kind: "server-stream",
        async *handle(request) {
          const view = new DataView(request.buffer, request.byteOffset, request.length);
          for (let i = 0; i < view.getUint32(0); i++) {
            const message = Buffer.alloc(view.getUint32(4), i & 0xff);
            if (message.length >= 4) message.writeUInt32BE(i, 0);
            yield message;
          }
        },
      },
      Fail: {
        kind: "unary",
        handle() {
          throw new AppError("resource-exhausted", STATUS_TEXT);
        },
      },
      FailLate: {
        kind: "server-stream",
        async *handle() {
          yield Buffer.from("first");
          yield Buffer.from("second");
          throw new GrpcError(10, STATUS_TEXT);
        },
      },
      Wait: {
        kind: "unary",
        async handle(_request, call) {
          watch(call);
          await once(call.signal, "abort");
          throw AppError.from(call.signal.reason);
        },
      },
      Endless: {
        kind: "server-stream",
        async *handle(_request, call) {
          watch(call);
          while (!call.signal.aborted) {
            yielded++;
            yield Buffer.alloc(64 * 1024);
          }
        },
      },
    },
  };
  return { service, aborted: aborted.promise, entered: entered.promise, yielded: () => yielded };
}

async function ourServer(
  context: TestContext,
  options: Partial<GrpcServerOptions> = {},
): Promise<Watched & { server: GrpcServer; address: string }> {
  const watched = echoService();
  const server = createGrpcServer({ port: 0, services: [watched.service], graceMs: 0, ...options });
  await server.start();
  context.after(() => server.stop());
  const { host, port } = server.address();
  return { ...watched, server, address: `${host}:${port}` };
}

function ourChannel(context: TestContext, options: ChannelOptions): Channel {
  const channel = createChannel(options);
  context.after(() => channel.close());
  return channel;
}

type GrpcJsClient = grpc.Client &
  Record<
    string,
    (
      request: Buffer,
      ...rest: unknown[]
    ) => grpc.ClientUnaryCall & grpc.ClientReadableStream<Buffer>
  >;

function grpcJsClient(
  context: TestContext,
  address: string,
  options: grpc.ClientOptions = {},
): GrpcJsClient {
  const client = new GenericClient(
    address,
    grpc.credentials.createInsecure(),
    options,
  ) as unknown as GrpcJsClient;
  context.after(() => client.close());
  return client;
}

function grpcJsUnary(
  client: GrpcJsClient,
  name: string,
  call: { request: Buffer; deadlineMs?: number },
): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const options = call.deadlineMs === undefined ? {} : { deadline: Date.now() + call.deadlineMs };
    client[name]!(call.request, new grpc.Metadata(), options, (error: unknown, value: Buffer) =>
      error === null ? resolve(value) : reject(error),
    );
  });
}

function streamRequest(count: number, size: number): Buffer {
  const request = Buffer.alloc(8);
  request.writeUInt32BE(count, 0);
  request.writeUInt32BE(size, 4);
  return request;
}

async function grpcJsServer(
  context: TestContext,
  handlers: Partial<Record<keyof typeof DEFINITION, grpc.UntypedHandleCall>>,
  options: grpc.ServerOptions = {},
): Promise<string> {
  const server = new grpc.Server(options);
  server.addService(DEFINITION, handlers as grpc.UntypedServiceImplementation);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    ),
  );
  context.after(() => server.forceShutdown());
  return `127.0.0.1:${port}`;
}

describe("our server, grpc-js client", () => {
  it("answers unary calls, empty and large", async (context) => {
    const { address } = await ourServer(context);
    const client = grpcJsClient(context, address, { "grpc.max_receive_message_length": -1 });
    for (const size of [0, 1, 5, 16_384, 70_000, 5_000_000]) {
      const request = Buffer.alloc(size, 7);
      assert.deepEqual(await grpcJsUnary(client, "Unary", { request }), request);
    }
  });

  it("streams many small and some large messages in order", async (context) => {
    const { address } = await ourServer(context);
    const client = grpcJsClient(context, address);
    for (const [count, size] of [
      [0, 0],
      [5000, 20],
      [20, 300_000],
    ] as const) {
      let i = 0;
      for await (const message of client["Stream"]!(streamRequest(count, size))) {
        assert.equal(message.length, size);
        assert.equal(message.readUInt32BE(0), i++);
      }
      assert.equal(i, count);
    }
  });

  it("sends status codes and texts of any characters", async (context) => {
    const { address } = await ourServer(context);
    const client = grpcJsClient(context, address);
    await assert.rejects(grpcJsUnary(client, "Fail", { request: Buffer.alloc(0) }), {
      code: grpc.status.RESOURCE_EXHAUSTED,
      details: STATUS_TEXT,
    });
    await assert.rejects(grpcJsUnary(client, "Missing", { request: Buffer.alloc(0) }), {
      code: grpc.status.UNIMPLEMENTED,
      details: "unknown method /test.Echo/Missing",
    });
  });

  it("delivers the messages before an error, then the error", async (context) => {
    const { address } = await ourServer(context);
    const client = grpcJsClient(context, address);
    const got: string[] = [];
    await assert.rejects(
      async () => {
        for await (const message of client["FailLate"]!(Buffer.alloc(0))) got.push(String(message));
      },
      { code: grpc.status.ABORTED, details: STATUS_TEXT },
    );
    assert.deepEqual(got, ["first", "second"]);
  });

  it("keeps the client's deadline", async (context) => {
    const { address, aborted } = await ourServer(context);
    const client = grpcJsClient(context, address);
    await assert.rejects(
      grpcJsUnary(client, "Wait", { request: Buffer.alloc(0), deadlineMs: 50 }),
      { code: grpc.status.DEADLINE_EXCEEDED },
    );
    await aborted;
  });

  it("aborts the handler when the client cancels, and holds it back when the client is slow", async (context) => {
    const { address, aborted, entered, yielded } = await ourServer(context);
    const client = grpcJsClient(context, address);
    const call = client["Endless"]!(Buffer.alloc(0));
    await entered;
    call.on("error", () => {});
    await once(call, "readable");
    call.cancel();
    await aborted;
    assert.ok(yielded() < 5000, `the handler ran ${yielded()} steps ahead`);
  });

  it("answers gzip in kind", async (context) => {
    const { address } = await ourServer(context);
    const client = grpcJsClient(context, address, {
      "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip,
    });
    const request = Buffer.alloc(100_000, "shoal ");
    assert.deepEqual(await grpcJsUnary(client, "Unary", { request }), request);
  });
});

describe("our client, grpc-js server", () => {
  it("makes unary calls, compressed and not", async (context) => {
    const address = await grpcJsServer(
      context,
      {
        Unary: (
          call: grpc.ServerUnaryCall<Buffer, Buffer>,
          done: grpc.sendUnaryData<Buffer>,
        ): void => done(null, call.request),
      },
      { "grpc.max_receive_message_length": -1 },
    );
    for (const compression of [undefined, "gzip"] as const) {
      const channel = ourChannel(context, {
        address,
        ...(compression === undefined ? {} : { compression }),
      });
      for (const size of [0, 3, 70_000, 5_000_000]) {
        const request = Buffer.alloc(size, 9);
        assert.deepEqual(Buffer.from(await channel.unary("/test.Echo/Unary", request)), request);
      }
    }
  });

  it("reads streams, and the error after them", async (context) => {
    const address = await grpcJsServer(context, {
      FailLate: (call: grpc.ServerWritableStream<Buffer, Buffer>): void => {
        for (let i = 0; i < 2000; i++) call.write(Buffer.alloc(i, i & 0xff));
        call.emit("error", { code: grpc.status.NOT_FOUND, details: STATUS_TEXT });
      },
    });
    const channel = ourChannel(context, { address });
    let i = 0;
    await assert.rejects(
      async () => {
        for await (const message of channel.serverStream("/test.Echo/FailLate", Buffer.alloc(1))) {
          assert.equal(message.length, i);
          if (i > 0) assert.equal(message[i - 1], i & 0xff);
          i++;
        }
      },
      { name: "GrpcError", code: "not-found", status: 5, message: STATUS_TEXT },
    );
    assert.equal(i, 2000);
  });

  it("tells its deadline and ends by it", async (context) => {
    const told = Promise.withResolvers<grpc.Deadline>();
    const address = await grpcJsServer(context, {
      Wait: (call: grpc.ServerUnaryCall<Buffer, Buffer>): void => told.resolve(call.getDeadline()),
    });
    const channel = ourChannel(context, { address });
    const before = Date.now();
    await assert.rejects(channel.unary("/test.Echo/Wait", Buffer.alloc(0), { deadlineMs: 60 }), {
      code: "timeout",
      message: `no complete answer from ${address} within 60 ms`,
    });
    const deadline = Number(await told.promise);
    assert.ok(deadline >= before && deadline <= before + 1000, `deadline ${deadline - before}`);
  });

  it("cancels by signal and by leaving the loop", async (context) => {
    let cancels = 0;
    let started = Promise.withResolvers<void>();
    let canceled = Promise.withResolvers<void>();
    const address = await grpcJsServer(context, {
      Endless: (call: grpc.ServerWritableStream<Buffer, Buffer>): void => {
        call.on("cancelled", () => {
          cancels++;
          canceled.resolve();
        });
        call.write(Buffer.from("one"));
        started.resolve();
      },
    });
    const channel = ourChannel(context, { address });
    const abort = new AbortController();
    const pending = (async () => {
      for await (const message of channel.serverStream("/test.Echo/Endless", Buffer.alloc(0), {
        signal: abort.signal,
      }))
        assert.equal(String(message), "one");
    })();
    await started.promise;
    abort.abort();
    await assert.rejects(pending, { code: "canceled" });
    await canceled.promise;
    started = Promise.withResolvers();
    canceled = Promise.withResolvers();
    for await (const message of channel.serverStream("/test.Echo/Endless", Buffer.alloc(0))) {
      assert.equal(String(message), "one");
      break;
    }
    await canceled.promise;
    assert.equal(cancels, 2);
  });

  it("passes metadata", async (context) => {
    const seen = Promise.withResolvers<grpc.MetadataValue | undefined>();
    const address = await grpcJsServer(context, {
      Unary: (call: grpc.ServerUnaryCall<Buffer, Buffer>, done: grpc.sendUnaryData<Buffer>) => {
        seen.resolve(call.metadata.get("thanos-tenant")[0]);
        done(null, call.request);
      },
    });
    const channel = ourChannel(context, { address, metadata: { "thanos-tenant": "blue" } });
    await channel.unary("/test.Echo/Unary", Buffer.alloc(0));
    assert.equal(await seen.promise, "blue");
  });
});

describe("our client, our server", () => {
  for (const compression of ["gzip", "snappy", "zstd"] as const)
    it(`speaks ${compression}`, async (context) => {
      const { address } = await ourServer(context);
      const channel = ourChannel(context, { address, compression });
      let count = 0;
      for await (const message of channel.serverStream(
        "/test.Echo/Stream",
        streamRequest(30, 100_000),
      ))
        assert.equal(Buffer.from(message).readUInt32BE(0), count++);
      assert.equal(count, 30);
    });

  it("keeps every byte of many streams at a time, while others are left midway", async (context) => {
    const { address } = await ourServer(context);
    const channel = ourChannel(context, { address });
    const one = async (stream: number): Promise<void> => {
      const size = 1 + ((stream * 7919) % 90_000);
      const isLeft = stream % 3 === 0;
      let i = 0;
      for await (const message of channel.serverStream(
        "/test.Echo/Stream",
        streamRequest(60, size),
      )) {
        const expected = Buffer.alloc(size, i & 0xff);
        if (size >= 4) expected.writeUInt32BE(i, 0);
        assert.ok(expected.equals(message), `stream ${stream}, message ${i}`);
        if (++i === 20 && isLeft) return;
      }
      assert.equal(i, 60);
    };
    await Promise.all(Array.from({ length: 24 }, (_, stream) => one(stream)));
  });

  it("refuses messages above the limits, on both sides, also when they are compressed", async (context) => {
    const { address } = await ourServer(context, { maxMessageBytes: 1000 });
    for (const compression of [undefined, "gzip", "snappy", "zstd"] as const) {
      const channel = ourChannel(context, {
        address,
        maxMessageBytes: 500,
        ...(compression === undefined ? {} : { compression }),
      });
      await assert.rejects(channel.unary("/test.Echo/Unary", Buffer.alloc(5000)), {
        code: "resource-exhausted",
        message: /exceed/,
      });
      await assert.rejects(channel.unary("/test.Echo/Unary", Buffer.alloc(900)), {
        code: "resource-exhausted",
        message: /exceed/,
      });
      assert.equal((await channel.unary("/test.Echo/Unary", Buffer.alloc(400))).length, 400);
    }
  });

  it("does not read ahead without end for a slow reader", async (context) => {
    const { address, aborted, yielded } = await ourServer(context);
    const channel = ourChannel(context, { address });
    const stream = channel.serverStream("/test.Echo/Endless", Buffer.alloc(0));
    for (let i = 0; i < 50; i++) await stream.next();
    await stream.return!();
    await aborted;
    // 16 MiB window + 4 MiB queue + buffers, in messages of 64 KiB.
    assert.ok(yielded() < 1000, `the handler ran ${yielded()} steps`);
  });

  it("drains on stop: running calls end, new ones go elsewhere", async (context) => {
    const { address, server, entered } = await ourServer(context, { graceMs: 30 });
    const channel = ourChannel(context, { address });
    const waiting = channel.unary("/test.Echo/Wait", Buffer.alloc(0));
    const refusal = assert.rejects(waiting, {
      code: "unavailable",
      message: "the server is shutting down",
    });
    await entered;
    await server.stop();
    await refusal;
    await assert.rejects(channel.unary("/test.Echo/Unary", Buffer.alloc(0)), {
      code: "unavailable",
      message: new RegExp(`^cannot connect to ${address}: `),
    });
  });

  it("connects again after the server came back", async (context) => {
    const first = await ourServer(context);
    const channel = ourChannel(context, {
      address: first.address,
      backoff: { initialMs: 0, maxMs: 0 },
    });
    await channel.unary("/test.Echo/Unary", Buffer.alloc(0));
    await first.server.stop();
    await assert.rejects(channel.unary("/test.Echo/Unary", Buffer.alloc(0)));
    const port = Number(first.address.split(":")[1]);
    await ourServer(context, { port });
    assert.equal((await channel.unary("/test.Echo/Unary", Buffer.from("x"))).length, 1);
  });

  it("waits between attempts to connect", async (context) => {
    const { address, server } = await ourServer(context);
    await server.stop();
    const channel = ourChannel(context, { address, backoff: { initialMs: 60_000, maxMs: 60_000 } });
    const call = (): Promise<Uint8Array> => channel.unary("/test.Echo/Unary", Buffer.alloc(0));
    await assert.rejects(call(), { code: "unavailable", message: /ECONNREFUSED/ });
    await assert.rejects(call(), { code: "unavailable", message: /next attempt in \d+ ms/ });
  });

  it("gives up on a server that accepts and stays silent", async (context) => {
    const silent = createTcpServer();
    silent.listen(0, "127.0.0.1");
    await once(silent, "listening");
    context.after(() => silent.close());
    const bound = silent.address();
    assert.ok(bound !== null && typeof bound === "object");
    const channel = ourChannel(context, {
      address: `127.0.0.1:${bound.port}`,
      connectTimeoutMs: 30,
    });
    await assert.rejects(channel.unary("/test.Echo/Unary", Buffer.alloc(0)), {
      code: "unavailable",
      message: /no answer within 30 ms/,
    });
  });

  it("says which port is in use", async (context) => {
    const { address } = await ourServer(context);
    const second = createGrpcServer({ port: Number(address.split(":")[1]), services: [] });
    await assert.rejects(second.start(), {
      code: "already-exists",
      message: `cannot listen on ${address}: the port is in use`,
    });
  });

  it("refuses what is not gRPC", async (context) => {
    const { address } = await ourServer(context);
    const session = connectHttp2(`http://${address}`);
    context.after(() => session.close());
    for (const [headers, status] of [
      [{ ":method": "GET", ":path": "/" }, 405],
      [{ ":method": "POST", ":path": "/", "content-type": "application/json" }, 415],
    ] as const) {
      const stream = session.request(headers);
      const [response] = (await once(stream, "response")) as [Record<string, unknown>];
      assert.equal(response[":status"], status);
      stream.close();
    }
  });

  it("refuses an unknown compression", async (context) => {
    const { address } = await ourServer(context);
    const channel = ourChannel(context, { address, metadata: { "grpc-encoding": "lzma" } });
    await assert.rejects(channel.unary("/test.Echo/Unary", Buffer.alloc(0)), {
      status: 12,
      message: "grpc-encoding lzma is not supported",
    });
  });
});
