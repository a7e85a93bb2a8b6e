import assert from "node:assert/strict";
import { systemClock } from "../../base/clock.ts";
import { systemRandom } from "../../base/random.ts";
import { decodeXor, xorSampleCount } from "../../chunk/xor.ts";
import type { Labels } from "../../model/labels.ts";
import type { Matcher } from "../../model/matcher.ts";
import type { Queryable, SelectRequest, Series } from "../../storage/queryable.ts";
import { type FloatBlockOptions, writeFloatBlock } from "../float-block.ts";
import { newUlid } from "../ulid.ts";

export type Sample = readonly [timeMs: number, value: number];

/** Writes a block of float series, `chunkSamples` to a chunk; the folder. */
export async function writeTestBlock(
  parent: string,
  rows: readonly { labels: Labels; samples: readonly Sample[] }[],
  options: Partial<FloatBlockOptions> = {},
): Promise<string> {
  const { ulid = newUlid({ clock: systemClock, random: systemRandom }) } = options;
  const series = rows.map(({ labels, samples }) => ({
    labels,
    times: Float64Array.from(samples, ([t]) => t),
    values: Float64Array.from(samples, ([, v]) => v),
  }));
  return writeFloatBlock(series, { ...options, parent, ulid });
}

/** All series that match. */
export async function readSeries(
  from: Queryable,
  matchers: readonly Matcher[],
  request: Partial<SelectRequest> = {},
): Promise<{ series: Series[]; warnings: string[] }> {
  const series: Series[] = [];
  const warnings: string[] = [];
  for await (const batch of from.select({
    matchers,
    minTimeMs: -Infinity,
    maxTimeMs: Infinity,
    ...request,
  })) {
    series.push(...batch.series);
    warnings.push(...(batch.warnings ?? []));
  }
  return { series, warnings };
}

/** The samples of a float series; the columns hold each value's bits. */
export function samplesOf(series: Series): { times: number[]; bits: string[]; values: number[] } {
  const found = { times: [] as number[], bits: [] as string[], values: [] as number[] };
  for (const chunk of series.chunks) {
    const count = xorSampleCount(chunk.data);
    const into = { times: new Float64Array(count), values: new Float64Array(count), offset: 0 };
    decodeXor(chunk.data, into);
    assert.equal(chunk.minTimeMs, into.times[0]);
    assert.equal(chunk.maxTimeMs, into.times[count - 1]);
    const words = new BigUint64Array(into.values.buffer);
    for (let i = 0; i < count; i++) {
      found.times.push(into.times[i]!);
      found.values.push(into.values[i]!);
      found.bits.push(words[i]!.toString(16));
    }
  }
  return found;
}
