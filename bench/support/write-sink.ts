/**
 * A receiver of remote write for benchmarks, in a process of its own so that its CPU is nobody else's: reads every request
 * and keeps nothing but how many samples there were. Run by `startWriteSink`; prints its port as one JSON line.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { registerRemoteWriteApi } from "../../src/api/remote-write-api.ts";
import { createHttpServer } from "../../src/api/server.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { Registry } from "../../src/base/metrics.ts";
import { WriteReceiver } from "../../src/remote/write-receiver.ts";
import { NOTHING_APPENDED } from "../../src/storage/appender.ts";

export interface WriteSink {
  /** Where to write to. */
  readonly url: string;
  /** How many samples have arrived. */
  count(): Promise<number>;
  stop(): void;
}

export async function startWriteSink(): Promise<WriteSink> {
  const child: ChildProcess = spawn(
    process.execPath,
    ["--disable-warning=ExperimentalWarning", fileURLToPath(import.meta.url)],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const [line] = (await once(child.stdout!, "data")) as [Buffer];
  const origin = `http://127.0.0.1:${Number(line.toString())}`;
  return {
    url: `${origin}/api/v1/write`,
    count: async () => Number(await (await fetch(`${origin}/count`)).text()),
    stop: () => void child.kill("SIGKILL"),
  };
}

async function serve(): Promise<void> {
  let refs = 0;
  let count = 0;
  const registry = new Registry();
  const server = createHttpServer({
    listen: "127.0.0.1:0",
    logger: silentLogger,
    registry,
    ready: () => true,
  });
  registerRemoteWriteApi(server.app, {
    receiver: new WriteReceiver({
      appendable: {
        resolve: () => refs++,
        append(batch) {
          count += batch.count;
          return Promise.resolve({ ...NOTHING_APPENDED, appended: batch.count });
        },
      },
      clock: systemClock,
      logger: silentLogger,
      registry,
    }),
    maxBodyBytes: 1 << 25,
    maxRequests: 64,
  });
  server.app.get("/count", (_request, reply) => reply.send(String(count)));
  await server.start?.();
  console.log(server.address().port);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await serve();
