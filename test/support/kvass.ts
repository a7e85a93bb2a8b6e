/** The real Kvass (`KVASS_BINARY`), and what is said between it and ours. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  createServer,
  type IncomingMessage,
  request as httpRequest,
  type ServerResponse,
} from "node:http";
import { type RunningProcess, stopProcess, until } from "./processes.ts";

/** For node:test's `skip`: false when there is a Kvass, else the line that says how to get one in. */
export function skipWithoutKvass(): false | string {
  return kvassBinary() === undefined
    ? "skipped: KVASS_BINARY names no Kvass (v0.3.2, built from github.com/tkestack/kvass)"
    : false;
}

function kvassBinary(): string | undefined {
  return process.env["KVASS_BINARY"] || undefined;
}

/** Starts `kvass` and waits until it listens at `url`. */
export async function startKvass(args: readonly string[], url: string): Promise<RunningProcess> {
  const program = kvassBinary();
  if (program === undefined) throw new Error("KVASS_BINARY is not set");
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (data: Buffer) => (output += data.toString()));
  const stop = (): Promise<void> => stopProcess(child);
  try {
    await until(`${url} answers`, async () => {
      if (child.exitCode !== null) throw new Error(`it exited with ${child.exitCode}`);
      return (await fetch(`${url}/metrics`).catch(() => undefined))?.ok === true || undefined;
    });
  } catch (error) {
    await stop();
    throw new Error(`cannot start kvass ${args.join(" ")}: ${output}`, { cause: error });
  }
  return { url, pid: child.pid!, child, output: () => output, stop };
}

/** One question and its answer, as they went over the wire. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly body: string;
  readonly status: number;
  readonly answer: string;
}

export interface RecordingProxy {
  readonly url: string;
  readonly exchanges: Exchange[];
  readonly close: () => void;
}

/** Passes everything on to `target` and writes down what was said. */
export async function recordingProxy(target: string): Promise<RecordingProxy> {
  const exchanges: Exchange[] = [];
  const pass = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await textOf(request);
    const { method = "GET", url: path = "/", headers } = request;
    const asked = httpRequest(`${target}${path}`, { method, headers }).end(body);
    const [answered] = (await once(asked, "response")) as [IncomingMessage];
    const answer = await textOf(answered);
    const status = answered.statusCode ?? 0;
    exchanges.push({ method, path, body, status, answer });
    response.writeHead(status, { "Content-Type": answered.headers["content-type"] ?? "" });
    response.end(answer);
  };
  const server = createServer((request, response) => {
    pass(request, response).catch(() => response.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (address === null || typeof address !== "object") throw new Error("no address");
  return {
    url: `http://127.0.0.1:${address.port}`,
    exchanges,
    close() {
      server.closeAllConnections();
      server.close();
    },
  };
}

async function textOf(stream: AsyncIterable<unknown>): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const piece of stream) pieces.push(piece as Buffer);
  return Buffer.concat(pieces).toString("utf8");
}
