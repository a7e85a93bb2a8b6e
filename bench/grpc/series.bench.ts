/**
 * 10,000 series × 480 samples (4 XOR chunks, 9 labels) from a store in another process, through EndpointSet and
 * FanoutQueryable, to the consumer. Prints the median and the best of the rounds, and the CPU time of both processes,
 * which says more on a busy machine. What arrives is counted and checked.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { createMatcher } from "../../src/model/matcher.ts";
import { EndpointSet } from "../../src/query/endpoint-set.ts";
import { FanoutQueryable } from "../../src/query/fanout.ts";
import { median as medianOf, report } from "../support/report.ts";

const ROUNDS = 31;
const WARM_UP_ROUNDS = 10;
const SERIES = 10_000;
const CHUNKS = 40_000;

async function run(name: string, mode: string): Promise<void> {
  const child = spawn(
    process.execPath,
    [
      "--disable-warning=ExperimentalWarning",
      fileURLToPath(new URL("series-server.ts", import.meta.url)),
      mode,
    ],
    { stdio: ["pipe", "pipe", "inherit"] },
  );
  const [line] = (await once(child.stdout, "data")) as [Buffer];
  const endpoints = new EndpointSet({ provider: () => [`127.0.0.1:${Number(String(line))}`] });
  await endpoints.start();
  const queryable = new FanoutQueryable({ endpoints, partialResponse: "abort" });
  const rounds: number[] = [];
  let marked = process.cpuUsage();
  let clientCpuMs = 0;
  let serverCpuMs = 0;
  let bytes = 0;
  try {
    for (let round = -WARM_UP_ROUNDS; round < ROUNDS; round++) {
      if (round === 0) {
        child.stdin.write("mark\n");
        marked = process.cpuUsage();
      }
      const startedMs = performance.now();
      let seriesCount = 0;
      let chunkCount = 0;
      bytes = 0;
      for await (const { series } of queryable.select({
        matchers: [createMatcher("__name__", "=", "http_requests_total")],
        minTimeMs: 0,
        maxTimeMs: 1e9,
      }))
        for (const { chunks } of series) {
          seriesCount++;
          chunkCount += chunks.length;
          for (const chunk of chunks) bytes += chunk.data.length;
        }
      if (round >= 0) rounds.push(performance.now() - startedMs);
      if (seriesCount !== SERIES || chunkCount !== CHUNKS)
        throw new Error(`${seriesCount} series and ${chunkCount} chunks arrived`);
    }
    const { user, system } = process.cpuUsage(marked);
    clientCpuMs = (user + system) / 1000 / ROUNDS;
  } finally {
    child.stdout.once("data", (text: Buffer) => (serverCpuMs = Number(String(text)) / ROUNDS));
    await endpoints.stop();
    child.stdin.end();
    await once(child, "exit");
  }
  rounds.sort((a, b) => a - b);
  const median = medianOf(rounds);
  console.log(
    `${name}: median ${median.toFixed(1)} ms, best ${rounds[0]!.toFixed(1)} ms, ` +
      `${(bytes / 1e6 / (median / 1000)).toFixed(0)} MB/s of chunks, ` +
      `${Math.round(SERIES / (median / 1000)).toLocaleString("en")} series/s, ` +
      `CPU ${clientCpuMs.toFixed(1)} ms client, ${serverCpuMs.toFixed(1)} ms server`,
  );
  report({ name, unit: "ms", ours: median, better: "less", gate: "≤ 60 ms" });
}

await run("StoreAPI, 10k series × 480 samples, 1 store", "plain");
await run("the same with external labels", "external");
