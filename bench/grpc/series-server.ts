/** The serving half of series.bench.ts, a process of its own: prints its port and serves until its input ends. */
import { randomInt, seededRandom } from "../../src/base/random.ts";
import { encodeXor } from "../../src/chunk/xor-encode.ts";
import { createGrpcServer } from "../../src/grpc/server.ts";
import { Labels } from "../../src/model/labels.ts";
import { MemoryQueryable } from "../../src/storage/memory-queryable.ts";
import type { Chunk, Series } from "../../src/storage/queryable.ts";
import { createStoreServices } from "../../src/store/store-server.ts";

const SERIES = 10_000;
const CHUNKS_PER_SERIES = 4;
const CHUNK_SAMPLES = 120;
const STEP_MS = 15_000;

const random = seededRandom(1);

function chunksOf(): Chunk[] {
  const times = new Float64Array(CHUNKS_PER_SERIES * CHUNK_SAMPLES);
  const values = new Float64Array(times.length);
  let total = randomInt(random, 1e6);
  for (let i = 0; i < times.length; i++) {
    times[i] = i * STEP_MS + randomInt(random, 5);
    values[i] = total += randomInt(random, 100);
  }
  return Array.from({ length: CHUNKS_PER_SERIES }, (_, k) => {
    const start = k * CHUNK_SAMPLES;
    const end = start + CHUNK_SAMPLES;
    return {
      encoding: 1 as const,
      minTimeMs: times[start]!,
      maxTimeMs: times[end - 1]!,
      data: encodeXor(times, values, { start, end }),
    };
  });
}

const series: Series[] = Array.from({ length: SERIES }, (_, i) => ({
  labels: Labels.fromObject({
    __name__: "http_requests_total",
    code: String(200 + (i % 3)),
    handler: `/api/v1/${i % 17}`,
    instance: `10.0.${i >> 8}.${i & 255}:9100`,
    job: `job-${i % 20}`,
    method: i % 2 === 0 ? "GET" : "POST",
    namespace: "production",
    pod: `server-${i}`,
    region: "eu-central-1",
  }),
  chunks: chunksOf(),
}));

const server = createGrpcServer({
  port: 0,
  graceMs: 0,
  services: createStoreServices({
    queryable: new MemoryQueryable(series),
    externalLabels: () =>
      process.argv[2] === "external" ? Labels.fromObject({ cluster: "eu" }) : Labels.EMPTY,
    minTimeMs: () => 0,
    maxTimeMs: () => 2 ** 63,
    ready: () => true,
  }),
});
await server.start();
process.stdout.write(`${server.address().port}\n`);
// A line on the input marks the start of what is measured; at its end the CPU time since then is printed.
let marked = process.cpuUsage();
process.stdin.on("data", () => (marked = process.cpuUsage()));
process.stdin.on("end", () => {
  const { user, system } = process.cpuUsage(marked);
  process.stdout.write(`${(user + system) / 1000}\n`);
  void server.stop();
});
