import assert from "node:assert/strict";
import { systemClock } from "../../base/clock.ts";
import { systemRandom } from "../../base/random.ts";
import { decodeXor, encodeXor, xorSampleCount } from "../../chunk/xor.ts";
import { symbolBytes } from "../../index/writer.ts";
import { compareLabels, type Labels } from "../../model/labels.ts";
import type { Matcher } from "../../model/matcher.ts";
import type { Queryable, SelectRequest, Series } from "../../storage/queryable.ts";
import { newUlid } from "../ulid.ts";
import { BlockWriter, type BlockWriterOptions } from "../writer.ts";

export type Sample = readonly [timeMs: number, value: number];

/** Writes a block of float series, `chunkSamples` to a chunk; the folder. */
export async function writeTestBlock(
  parent: string,
  rows: readonly { labels: Labels; samples: readonly Sample[] }[],
  options: Partial<BlockWriterOptions> & {
    chunkSamples?: number;
    level?: number;
    minTime?: number;
    maxTime?: number;
  } = {},
): Promise<string> {
  const { chunkSamples = 120, level = 1, minTime, maxTime, ...rest } = options;
  const ulid = rest.ulid ?? newUlid({ clock: systemClock, random: systemRandom });
  const writer = await BlockWriter.create({ parent, ...rest, ulid });
  const texts = symbolBytes(rows.flatMap(({ labels }) => [...labels].flat()));
  const places = new Map(texts.map((bytes, i) => [Buffer.from(bytes).toString(), i]));
  await writer.addSymbols(texts);
  let low = Infinity;
  let high = -Infinity;
  for (const { labels, samples } of [...rows].sort((a, b) => compareLabels(a.labels, b.labels))) {
    const times = Float64Array.from(samples, ([t]) => t);
    const values = Float64Array.from(samples, ([, v]) => v);
    for (let start = 0; start < times.length; start += chunkSamples) {
      const end = Math.min(start + chunkSamples, times.length);
      await writer.addChunk({
        encoding: 1,
        data: encodeXor(times, values, { start, end }),
        minTimeMs: times[start]!,
        maxTimeMs: times[end - 1]!,
      });
    }
    low = Math.min(low, times[0]!);
    high = Math.max(high, times.at(-1)!);
    await writer.endSeries({
      symbols: Uint32Array.from([...labels].flat(), (text) => places.get(text)!),
      labelCount: labels.count,
    });
  }
  return writer.finish({
    minTime: minTime ?? low,
    maxTime: maxTime ?? high + 1,
    compaction: { level, sources: [ulid] },
  });
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
