/**
 * Server-to-client streams of one connection between two processes, our transport on both ends beside @grpc/grpc-js on
 * both ends, messages as bytes (nothing is decoded). Prints MB/s, or messages/s for the small ones.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import * as grpc from "@grpc/grpc-js";
import { createChannel } from "../../src/grpc/channel.ts";
import { createGrpcServer } from "../../src/grpc/server.ts";
import { median, report } from "../support/report.ts";

const ROUNDS = 5;
const WINDOW_BYTES = 16 * 1024 * 1024;
const CASES = [
  { name: "1 MB messages", size: 1_000_000, count: 200 },
  { name: "4 KB messages", size: 4096, count: 30_000 },
  { name: "100 B messages", size: 100, count: 100_000 },
] as const;
const PATH = "/bench.Bench/Stream";
const identity = (bytes: Buffer): Buffer => bytes;
const DEFINITION = {
  Stream: {
    path: PATH,
    requestStream: false,
    responseStream: true,
    requestSerialize: identity,
    requestDeserialize: identity,
    responseSerialize: identity,
    responseDeserialize: identity,
  },
};

function parameters(request: Uint8Array): { size: number; count: number } {
  const view = new DataView(request.buffer, request.byteOffset);
  return { size: view.getUint32(0), count: view.getUint32(4) };
}

async function serveOurs(): Promise<number> {
  const server = createGrpcServer({
    port: 0,
    services: [
      {
        name: "bench.Bench",
        methods: {
          Stream: {
            kind: "server-stream",
            async *handle(request) {
              const { size, count } = parameters(request);
              const message = Buffer.alloc(size, 1);
              for (let i = 0; i < count; i++) yield message;
            },
          },
        },
      },
    ],
  });
  await server.start();
  return server.address().port;
}

async function serveGrpcJs(): Promise<number> {
  const server = new grpc.Server({ "grpc-node.flow_control_window": WINDOW_BYTES });
  const stream = async (call: grpc.ServerWritableStream<Buffer, Buffer>): Promise<void> => {
    const { size, count } = parameters(call.request);
    const message = Buffer.alloc(size, 1);
    for (let i = 0; i < count; i++) if (!call.write(message)) await once(call, "drain");
    call.end();
  };
  server.addService(DEFINITION, {
    Stream: (call: grpc.ServerWritableStream<Buffer, Buffer>) => void stream(call),
  });
  return new Promise((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) =>
      error === null ? resolve(port) : reject(error),
    ),
  );
}

type Read = (request: Buffer) => AsyncIterable<Uint8Array>;

async function measure(kind: string): Promise<Map<string, number>> {
  const child = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", fileURLToPath(import.meta.url), "serve", kind],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const address = `127.0.0.1:${Number(String(line))}`;
  const channel = createChannel({ address });
  const client = new grpc.Client(address, grpc.credentials.createInsecure(), {
    "grpc-node.flow_control_window": WINDOW_BYTES,
    "grpc.max_receive_message_length": -1,
  });
  const read: Read =
    kind === "ours"
      ? (request) => channel.serverStream(PATH, request)
      : (request) => client.makeServerStreamRequest(PATH, identity, identity, request);
  const results = new Map<string, number>();
  try {
    for (const { name, size, count } of CASES) {
      const request = Buffer.alloc(8);
      request.writeUInt32BE(size, 0);
      request.writeUInt32BE(count, 4);
      const rounds: number[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const startedMs = performance.now();
        let bytes = 0;
        for await (const message of read(request)) bytes += message.length;
        if (bytes !== size * count) throw new Error(`${bytes} bytes arrived`);
        rounds.push(performance.now() - startedMs);
      }
      const seconds = median(rounds) / 1000;
      results.set(name, size > 1000 ? (size * count) / 1e6 / seconds : count / seconds);
    }
  } finally {
    client.close();
    await channel.close();
    child.kill();
  }
  return results;
}

if (process.argv[2] === "serve") {
  const port = process.argv[3] === "ours" ? await serveOurs() : await serveGrpcJs();
  process.stdout.write(`${port}\n`);
} else {
  const ours = await measure("ours");
  const peer = await measure("grpc-js");
  for (const { name, size } of CASES)
    report({
      name: `gRPC stream, ${name}`,
      unit: size > 1000 ? "MB/s" : "messages/s",
      ours: ours.get(name)!,
      peer: peer.get(name)!,
      peerName: "grpc-js",
      better: "more",
    });
}
