/** `load_with_nhcb`: classic histogram series turned into native histograms with custom buckets. */
import { parseFloatText } from "../../base/float.ts";
import { type Labels, METRIC_NAME } from "../../model/labels.ts";
import type { HistogramLiteral } from "./histogram-literal.ts";
import type { LoadCommand } from "./script.ts";

/** Prometheus's schema number of custom buckets. */
const CUSTOM_BUCKETS_SCHEMA = -53;

export interface ConvertedHistogram {
  readonly labels: Labels;
  readonly timeMs: number;
  /** Undefined where the classic series do not make a histogram (counts that are not cumulative). */
  readonly histogram: HistogramLiteral | undefined;
}

interface Classic {
  readonly labels: Labels;
  readonly byTime: Map<number, ClassicSample>;
}

interface ClassicSample {
  /** Cumulative counts by upper bound. */
  readonly buckets: Map<number, number>;
  count: number | undefined;
  sum: number;
}

/** The histograms that the `_bucket`, `_count` and `_sum` series of `load` stand for, each series in time order. */
export function convertClassicHistograms(load: LoadCommand): ConvertedHistogram[] {
  const classics = new Map<string, Classic>();
  for (const { labels, items } of load.series) {
    const match = /^(.*)_(bucket|count|sum)$/s.exec(labels.get(METRIC_NAME));
    if (match === null) continue;
    const [, name = "", suffix] = match;
    const bound = suffix === "bucket" ? parseFloatText(labels.get("le")) : Infinity;
    if (bound === undefined || Number.isNaN(bound)) continue;
    const base = labels.without(["le"]).with(METRIC_NAME, name);
    const classic = classics.get(base.key()) ?? { labels: base, byTime: new Map() };
    classics.set(base.key(), classic);
    for (const [i, item] of items.entries()) {
      if (item.kind !== "float") continue;
      const timeMs = i * load.gapMs;
      const sample: ClassicSample = classic.byTime.get(timeMs) ?? {
        buckets: new Map(),
        count: undefined,
        sum: 0,
      };
      classic.byTime.set(timeMs, sample);
      if (suffix === "count") sample.count = item.value;
      else if (suffix === "sum") sample.sum = item.value;
      else if (!sample.buckets.has(bound)) sample.buckets.set(bound, item.value);
    }
  }
  return [...classics.values()].flatMap(({ labels, byTime }) =>
    [...byTime]
      .sort(([a], [b]) => a - b)
      .map(([timeMs, sample]) => ({ labels, timeMs, histogram: convert(sample) })),
  );
}

function convert(sample: ClassicSample): HistogramLiteral | undefined {
  const bounds = [...sample.buckets].sort(([a], [b]) => a - b);
  const count = sample.count ?? bounds.at(-1)?.[1] ?? 0;
  // Without a bucket for everything, the last one takes the overall count.
  if (bounds.at(-1)?.[0] !== Infinity) bounds.push([Infinity, count]);
  const buckets = bounds.map(([, cumulative], i) => cumulative - (bounds[i - 1]?.[1] ?? 0));
  if (count !== bounds.at(-1)![1] || buckets.some((bucket) => !(bucket >= 0))) return undefined;
  return {
    schema: CUSTOM_BUCKETS_SCHEMA,
    sum: sample.sum,
    count,
    zeroCount: 0,
    zeroThreshold: 0,
    offset: 0,
    buckets,
    negativeOffset: 0,
    negativeBuckets: [],
    customValues: bounds.slice(0, -1).map(([bound]) => bound),
    counterResetHint: undefined,
  };
}
