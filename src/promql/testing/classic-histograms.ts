/** `load_with_nhcb`: classic histogram series turned into native histograms with custom buckets. */
import { parseFloatText } from "../../base/float.ts";
import { type Labels, METRIC_NAME } from "../../model/labels.ts";
import type { FloatHistogram } from "../../model/histogram.ts";
import { ClassicHistogram, classicHistogramName } from "../../model/nhcb.ts";
import type { LoadCommand } from "./script.ts";

export interface ConvertedHistogram {
  readonly labels: Labels;
  readonly timeMs: number;
  readonly histogram: FloatHistogram;
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

/**
 * The histograms that the `_bucket`, `_count` and `_sum` series of `load` stand for, each series in time order. Throws
 * `bad-data` where they do not make one.
 */
export function convertClassicHistograms(load: LoadCommand): ConvertedHistogram[] {
  const classics = new Map<string, Classic>();
  for (const { labels, items } of load.series) {
    const { part, base: name } = classicHistogramName(labels.get(METRIC_NAME));
    const bound = part === "bucket" ? parseFloatText(labels.get("le")) : Infinity;
    if (part === "none" || bound === undefined || Number.isNaN(bound)) continue;
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
      if (part === "count") sample.count = item.value;
      else if (part === "sum") sample.sum = item.value;
      else if (!sample.buckets.has(bound)) sample.buckets.set(bound, item.value);
    }
  }
  return [...classics.values()].flatMap(({ labels, byTime }) =>
    [...byTime]
      .sort(([a], [b]) => a - b)
      .map(([timeMs, sample]) => ({ labels, timeMs, histogram: convert(sample) })),
  );
}

function convert(sample: ClassicSample): FloatHistogram {
  const classic = new ClassicHistogram();
  for (const [bound, count] of sample.buckets) classic.setBucket(bound, count);
  if (sample.count !== undefined) classic.setCount(sample.count);
  classic.setSum(sample.sum);
  return classic.convert().histogram;
}
