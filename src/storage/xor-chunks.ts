import { encodeXor } from "../chunk/xor-encode.ts";
import { type Chunk, ENCODING_XOR } from "./queryable.ts";

/** Samples per chunk, as Prometheus cuts them. */
export const SAMPLES_PER_CHUNK = 120;

export interface FloatColumns {
  readonly times: Float64Array;
  readonly values: Float64Array;
  /** How many of them; all when left out. */
  readonly count?: number;
}

/** Appends the samples to `out`, in XOR chunks of `size` samples. The bits of every value stay as they are. */
export function pushXorChunks(
  out: Chunk[],
  { times, values, count = times.length }: FloatColumns,
  size = SAMPLES_PER_CHUNK,
): Chunk[] {
  for (let start = 0; start < count; start += size) {
    const end = Math.min(start + size, count);
    out.push({
      encoding: ENCODING_XOR,
      minTimeMs: times[start]!,
      maxTimeMs: times[end - 1]!,
      data: encodeXor(times, values, { start, end }),
    });
  }
  return out;
}
