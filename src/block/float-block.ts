import { ENCODING_XOR } from "../storage/queryable.ts";
import { encodeXor } from "../chunk/xor-encode.ts";
import { symbolBytes } from "../index/writer.ts";
import { compareLabels, type Labels } from "../model/labels.ts";
import { BlockWriter, type BlockWriterOptions } from "./writer.ts";

/** Samples of one series, oldest first, each time once. */
export interface FloatSeries {
  readonly labels: Labels;
  /** ms since 1970. */
  readonly times: Float64Array;
  readonly values: Float64Array;
}

export interface FloatBlockOptions extends BlockWriterOptions {
  /** Samples of a chunk. Default 120, as Prometheus. */
  readonly chunkSamples?: number;
  /** The block's range in ms, the end exclusive; default is that of its samples. */
  readonly minTime?: number;
  readonly maxTime?: number;
  /** How often its data has been merged. Default 1. */
  readonly level?: number;
}

/** Writes series that are in memory, in any order, as one block; its folder. Each has a sample at least. */
export async function writeFloatBlock(
  series: readonly FloatSeries[],
  options: FloatBlockOptions,
): Promise<string> {
  const { chunkSamples = 120, level = 1, ulid } = options;
  const writer = await BlockWriter.create(options);
  try {
    const texts = symbolBytes(series.flatMap(({ labels }) => [...labels].flat()));
    const places = new Map(texts.map((bytes, i) => [Buffer.from(bytes).toString(), i]));
    await writer.addSymbols(texts);
    let low = Infinity;
    let high = -Infinity;
    for (const { labels, times, values } of series.toSorted((a, b) =>
      compareLabels(a.labels, b.labels),
    )) {
      for (let start = 0; start < times.length; start += chunkSamples) {
        const end = Math.min(start + chunkSamples, times.length);
        await writer.addChunk({
          encoding: ENCODING_XOR,
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
    return await writer.finish({
      minTime: options.minTime ?? low,
      maxTime: options.maxTime ?? high + 1,
      compaction: { level, sources: [ulid] },
    });
  } catch (error) {
    await writer.abandon().catch(() => {});
    throw error;
  }
}
