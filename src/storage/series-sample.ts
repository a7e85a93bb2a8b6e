import { type Random, randomInt, systemRandom } from "../base/random.ts";
import type { Chunk, SelectRequest } from "./queryable.ts";

/** So many series are in a sample: enough to be sure of four times as much as is allowed, and quick to count. */
export const SAMPLE_SERIES = 128;
/** No sample is taken of fewer series: it would be a good part of them. */
const MIN_SERIES = 8 * SAMPLE_SERIES;

/** So many bytes of a series' chunks are looked at: a sample stays small, and without the rest it tells of fewer points. */
const MAX_BYTES = 64 * 1024;

/** Whether a source that has `count` series for `request`, all of them different, takes a sample of them. */
export function wantsSample(request: SelectRequest, count: number): boolean {
  const { sampleAbove = Infinity, skipChunks, limit = 0 } = request;
  return count > sampleAbove && count >= MIN_SERIES && skipChunks !== true && limit === 0;
}

/** `SAMPLE_SERIES` different positions below `count`, ascending, any with the same chance. */
export function samplePositions(count: number, random: Random = systemRandom): Int32Array {
  const chosen = new Set<number>();
  while (chosen.size < SAMPLE_SERIES) chosen.add(randomInt(random, count));
  return Int32Array.from(chosen).sort();
}

/** The first chunks of a series, as many as a sample has of one. */
export function sampled(chunks: readonly Chunk[]): readonly Chunk[] {
  let bytes = 0;
  const end = chunks.findIndex(({ data }) => (bytes += data.length) > MAX_BYTES);
  return end < 0 ? chunks : chunks.slice(0, end);
}
