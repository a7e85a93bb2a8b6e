/** A shard process for the range-query benchmark: a head filled with the benchmark's data, served as StoreAPI. Prints its address. */
import { systemClock } from "../../src/base/clock.ts";
import { createLogger } from "../../src/base/logger.ts";
import { Registry } from "../../src/base/metrics.ts";
import { createGrpcServer } from "../../src/grpc/server.ts";
import { Labels } from "../../src/model/labels.ts";
import { createStoreServices } from "../../src/store/store-server.ts";
import { openHead } from "../../src/tsdb/open-head.ts";
import { SAMPLES, SERIES, START_MS, STEP_MS, sampleValue, seriesLabels } from "./range-data.ts";

const YEAR_MS = 365 * 86_400_000;

const head = await openHead({
  folder: process.argv[2]!,
  logger: createLogger({ level: "error" }),
  clock: systemClock,
  registry: new Registry(),
  retentionMs: 100 * YEAR_MS,
});
const refs = new Int32Array(SERIES);
for (let series = 0; series < SERIES; series++) refs[series] = head.resolve(seriesLabels(series));
const times = new Float64Array(SERIES);
const values = new Float64Array(SERIES);
for (let i = 0; i < SAMPLES; i++) {
  times.fill(START_MS + i * STEP_MS);
  for (let series = 0; series < SERIES; series++) values[series] = sampleValue(series, i);
  const result = await head.append({ refs, times, values, count: SERIES });
  if (result.appended !== SERIES) throw new Error(`appended ${result.appended} of ${SERIES}`);
}
const services = createStoreServices({
  queryable: head,
  externalLabels: () => Labels.EMPTY,
  minTimeMs: () => START_MS,
  maxTimeMs: () => START_MS + SAMPLES * STEP_MS,
  ready: () => true,
});
const server = createGrpcServer({ port: 0, services });
await server.start();
const { host, port } = server.address();
console.log(`${host}:${port}`);
