/** The data of the PromQL benchmark, the same for both programs: counters with resets, classic and native histograms, many labels. */
import { type FloatHistogram, newHistogram } from "../../src/model/histogram.ts";
import { Labels } from "../../src/model/labels.ts";

export const STEP_MS = 15_000;
/** A whole hour, so that both programs cut their blocks alike. */
export const START_MS = 1_700_000_000_000 - (1_700_000_000_000 % 7_200_000);

/** Some series of one metric with a float every 15 s from `START_MS` on. */
export interface FloatMetric {
  readonly name: string;
  readonly seriesCount: number;
  readonly sampleCount: number;
  labels(series: number): readonly (readonly [name: string, value: string])[];
  value(series: number, index: number): number;
}

/** The time of the newest sample of all floats. */
export const FLOATS_END_MS = START_MS + 479 * STEP_MS;

const BUCKET_BOUNDS = ["0.1", "0.25", "0.5", "1", "2.5", "5", "10", "25", "50", "+Inf"];

export const FLOAT_METRICS: readonly FloatMetric[] = [
  {
    name: "bench_total",
    seriesCount: 10_000,
    sampleCount: 480,
    labels: (series) => [
      ["job", `job-${series % 10}`],
      ["instance", `10.0.${series % 100}.${Math.floor(series / 1000)}:9100`],
      ["path", `/api/v1/resource/${Math.floor(series / 10) % 100}`],
      ["series", String(series)],
    ],
    // Grows by a few each step, and starts again from zero now and then.
    value: (series, index) => {
      const sinceReset = (index + series * 7) % 333;
      return sinceReset * (1 + (series % 17)) + ((index * 7919 + series * 104_729) % 13);
    },
  },
  {
    name: "bench_latency_bucket",
    seriesCount: 1000 * BUCKET_BOUNDS.length,
    sampleCount: 160,
    labels: (series) => {
      const target = Math.floor(series / BUCKET_BOUNDS.length);
      return [
        ["job", `job-${target % 10}`],
        ["instance", `host-${target}`],
        ["le", BUCKET_BOUNDS[series % BUCKET_BOUNDS.length]!],
      ];
    },
    value: (series, index) => {
      const target = Math.floor(series / BUCKET_BOUNDS.length);
      return (1 + (series % BUCKET_BOUNDS.length)) * (index * (1 + (target % 7)) + (target % 5));
    },
  },
  {
    name: "bench_wide",
    seriesCount: 100_000,
    sampleCount: 2,
    labels: (series) => [
      ["id", `pod-${(series * 7919) % 100_000}-${series % 97}`],
      ["job", `job-${series % 10}`],
    ],
    value: (series, index) => (series % 1000) + index,
  },
];

export function seriesLabels(metric: FloatMetric, series: number): Labels {
  return Labels.fromPairs([["__name__", metric.name], ...metric.labels(series)]);
}

export const NATIVE_SERIES = 500;
export const NATIVE_SAMPLES = 160;
const NATIVE_BUCKETS = 40;
/** After all blocks, where Prometheus takes samples by remote write, its only way in for native histograms. */
export const NATIVE_START_MS = START_MS + 4 * 3_600_000;
export const NATIVE_END_MS = NATIVE_START_MS + (NATIVE_SAMPLES - 1) * STEP_MS;

export function nativeLabels(series: number): Labels {
  return Labels.fromPairs([
    ["__name__", "bench_native"],
    ["job", `job-${series % 10}`],
    ["instance", `host-${series}`],
  ]);
}

export function nativeHistogram(series: number, index: number): FloatHistogram {
  const positiveBuckets = new Float64Array(NATIVE_BUCKETS);
  let count = 0;
  for (let k = 0; k < NATIVE_BUCKETS; k++) {
    positiveBuckets[k] = 1 + Math.floor((index * (1 + ((series + k * k) % 11))) / 3);
    count += positiveBuckets[k]!;
  }
  return newHistogram({
    schema: 3,
    zeroThreshold: 0.001,
    count,
    sum: count * 1.5 + series / 8,
    positiveSpans: Int32Array.of(-20, NATIVE_BUCKETS),
    positiveBuckets,
  });
}
