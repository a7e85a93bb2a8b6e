import { type Random, randomInt, systemRandom } from "../base/random.ts";
import type { Chunk, SelectRequest } from "./queryable.ts";

/** So many series are in a sample: enough to be sure of four times as much as is allowed, and quick to count. */
const SAMPLE_SERIES = 128;
/** In those of several parts together there are twice as many, but of each part at least so many. */
const MIN_SAMPLE_SERIES = 16;
/** No sample is taken of fewer series: it would be a good part of them. */
const MIN_SERIES = 8 * SAMPLE_SERIES;

/** So many bytes of a series' chunks are looked at: a sample stays small, and without the rest it tells of fewer points. */
export const SAMPLED_BYTES = 64 * 1024;

/** Whether a source that has `count` series for `request`, all of them different, takes a sample of them. */
export function wantsSample(request: SelectRequest, count: number): boolean {
  const { sampleAbove = Infinity, skipChunks, limit = 0 } = request;
  return count > sampleAbove && count >= MIN_SERIES && skipChunks !== true && limit === 0;
}

/** How many series are to be in the sample of each of `parts` of a storage. */
export function sampleSize(parts: number): number {
  return Math.min(
    SAMPLE_SERIES,
    Math.max(MIN_SAMPLE_SERIES, Math.ceil((2 * SAMPLE_SERIES) / parts)),
  );
}

/** Different positions below `count`, as many as `request` wants in a sample: ascending, any with the same chance. */
export function samplePositions(
  count: number,
  request: Pick<SelectRequest, "sampleSize">,
  random: Random = systemRandom,
): Int32Array {
  const size = request.sampleSize ?? SAMPLE_SERIES;
  const chosen = new Set<number>();
  while (chosen.size < size) chosen.add(randomInt(random, count));
  return Int32Array.from(chosen).sort();
}

/** The first chunks of a series, as many as a sample has of one. */
export function sampled(chunks: readonly Chunk[]): readonly Chunk[] {
  let bytes = 0;
  const end = chunks.findIndex(({ data }) => (bytes += data.length) > SAMPLED_BYTES);
  return end < 0 ? chunks : chunks.slice(0, end);
}
