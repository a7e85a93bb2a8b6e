/** Series of floats, of native histograms, and of both in turn. */
import assert from "node:assert/strict";
import type { FloatHistogram } from "../../model/histogram.ts";
import type { Appendable } from "../../storage/appender.ts";
import { createFloatData } from "./float-data.ts";
import { createHistogramData } from "./histogram-data.ts";
import type { WrittenSample, WrittenSeries } from "./remote-write.fixture.ts";

export type MixedSeries = WrittenSeries;

export function createMixedData(): MixedSeries[] {
  const floats = createFloatData().map(({ labels, times, values }) => ({
    labels,
    samples: times.map((timeMs, i) => ({ timeMs, value: values[i]! })),
  }));
  const known = new Set(floats.map(({ labels }) => labels.key()));
  return [...floats, ...createHistogramData().filter(({ labels }) => !known.has(labels.key()))];
}

/** Appends all samples, the oldest first, those of one time together. */
export async function appendAll(database: Appendable, data: readonly MixedSeries[]): Promise<void> {
  const byTime = new Map<number, { ref: number; value: WrittenSample["value"] }[]>();
  for (const { labels, samples } of data) {
    const ref = samples.length === 0 ? -1 : database.resolve(labels);
    for (const { timeMs, value } of samples) {
      const list = byTime.get(timeMs);
      if (list === undefined) byTime.set(timeMs, [{ ref, value }]);
      else list.push({ ref, value });
    }
  }
  for (const [timeMs, list] of [...byTime].sort(([a], [b]) => a - b)) {
    const floats = list.filter(({ value }) => typeof value === "number");
    const others = list.filter(({ value }) => typeof value !== "number");
    const result = await database.append({
      refs: Int32Array.from(floats, ({ ref }) => ref),
      times: new Float64Array(floats.length).fill(timeMs),
      values: Float64Array.from(floats, ({ value }) => value as number),
      count: floats.length,
      histograms: {
        refs: Int32Array.from(others, ({ ref }) => ref),
        times: new Float64Array(others.length).fill(timeMs),
        histograms: others.map(({ value }) => value as FloatHistogram),
        isFloat: new Uint8Array(others.length).fill(1),
        count: others.length,
      },
    });
    assert.equal(result.appended + result.appendedHistograms, list.length, JSON.stringify(result));
  }
}
