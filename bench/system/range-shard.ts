/** A shard process for the PromQL benchmark: a head filled with the benchmark's data, served as StoreAPI. Prints its address. */
import { systemClock } from "../../src/base/clock.ts";
import { createLogger } from "../../src/base/logger.ts";
import { Registry } from "../../src/base/metrics.ts";
import { createGrpcServer } from "../../src/grpc/server.ts";
import { Labels } from "../../src/model/labels.ts";
import { createStoreServices } from "../../src/store/store-server.ts";
import { openHead } from "../../src/tsdb/open-head.ts";
import {
  FLOAT_METRICS,
  FLOATS_END_MS,
  NATIVE_END_MS,
  NATIVE_SAMPLES,
  NATIVE_SERIES,
  NATIVE_START_MS,
  nativeHistogram,
  nativeLabels,
  seriesLabels,
  START_MS,
  STEP_MS,
} from "./range-data.ts";

const YEAR_MS = 365 * 86_400_000;

const head = await openHead({
  folder: process.argv[2]!,
  logger: createLogger({ level: "error" }),
  clock: systemClock,
  registry: new Registry(),
  retentionMs: 100 * YEAR_MS,
});
for (const metric of FLOAT_METRICS) {
  const { seriesCount, sampleCount } = metric;
  const refs = new Int32Array(seriesCount);
  for (let i = 0; i < seriesCount; i++) refs[i] = head.resolve(seriesLabels(metric, i));
  const times = new Float64Array(seriesCount);
  const values = new Float64Array(seriesCount);
  for (let index = 0; index < sampleCount; index++) {
    times.fill(FLOATS_END_MS - (sampleCount - 1 - index) * STEP_MS);
    for (let i = 0; i < seriesCount; i++) values[i] = metric.value(i, index);
    const result = await head.append({ refs, times, values, count: seriesCount });
    if (result.appended !== seriesCount)
      throw new Error(`appended ${result.appended} of ${seriesCount}`);
  }
}
const refs = Int32Array.from({ length: NATIVE_SERIES }, (_, i) => head.resolve(nativeLabels(i)));
for (let index = 0; index < NATIVE_SAMPLES; index++) {
  const result = await head.append({
    refs: new Int32Array(0),
    times: new Float64Array(0),
    values: new Float64Array(0),
    count: 0,
    histograms: {
      refs,
      times: new Float64Array(NATIVE_SERIES).fill(NATIVE_START_MS + index * STEP_MS),
      histograms: Array.from(refs, (_, i) => nativeHistogram(i, index)),
      isFloat: new Uint8Array(NATIVE_SERIES),
      count: NATIVE_SERIES,
    },
  });
  if (result.appendedHistograms !== NATIVE_SERIES)
    throw new Error(`appended ${result.appendedHistograms} of ${NATIVE_SERIES} histograms`);
}
const services = createStoreServices({
  queryable: head,
  externalLabels: () => Labels.EMPTY,
  minTimeMs: () => START_MS,
  maxTimeMs: () => NATIVE_END_MS,
  ready: () => true,
});
const server = createGrpcServer({ port: 0, services });
await server.start();
const { host, port } = server.address();
console.log(`${host}:${port}`);
