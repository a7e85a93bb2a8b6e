import { decodeXor, xorSampleCount } from "../chunk/xor.ts";
import { decodeHistogramChunk, encodeHistogramRun } from "../storage/chunk-encodings.ts";
import { type Chunk, ENCODING_XOR } from "../storage/queryable.ts";
import { pushXorChunks } from "../storage/xor-chunks.ts";

/** `chunks` without the samples after `maxTimeMs`; a chunk that reaches beyond is made anew. */
export function withoutSamplesAfter(chunks: readonly Chunk[], maxTimeMs: number): readonly Chunk[] {
  // Fast path: an answer rarely reaches beyond what was asked for.
  if (chunks.every((chunk) => chunk.maxTimeMs <= maxTimeMs)) return chunks;
  return chunks.flatMap((chunk) => {
    if (chunk.minTimeMs > maxTimeMs) return [];
    return chunk.maxTimeMs <= maxTimeMs ? [chunk] : cut(chunk, maxTimeMs);
  });
}

function cut(chunk: Chunk, maxTimeMs: number): readonly Chunk[] {
  if (chunk.encoding === ENCODING_XOR) {
    const count = xorSampleCount(chunk.data);
    const times = new Float64Array(count);
    const values = new Float64Array(count);
    decodeXor(chunk.data, { times, values, offset: 0 });
    return pushXorChunks([], { times, values, count: endOf(times, maxTimeMs) });
  }
  const { times, histograms } = decodeHistogramChunk(chunk);
  const end = endOf(times, maxTimeMs);
  if (end === 0) return [];
  return encodeHistogramRun(chunk.encoding, {
    times: times.slice(0, end),
    histograms: histograms.slice(0, end),
  });
}

function endOf(times: Float64Array, maxTimeMs: number): number {
  const end = times.findIndex((time) => time > maxTimeMs);
  return end < 0 ? times.length : end;
}
