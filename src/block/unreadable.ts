import { AppError } from "../base/errors.ts";
import { decodeXor, xorSampleCount } from "../chunk/xor.ts";
import { type Chunk, ENCODING_XOR } from "../storage/queryable.ts";
import { decodeHistogramChunk } from "../storage/chunk-encodings.ts";

/**
 * Told once of a series some of whose chunks cannot be decoded. They are left out of what is written, so that one series
 * stops nothing; nobody could have read them.
 */
export type OnUnreadable<Series> = (series: Series, error: AppError) => void;

/** Whether a chunk's bytes break their format. */
export function isUnreadable(error: unknown): error is AppError {
  return error instanceof AppError && error.code === "corrupt";
}

/** What `act` makes of each chunk, but of those that cannot be decoded. */
export function ofReadable<From>(
  chunks: readonly From[],
  act: (chunk: From) => readonly Chunk[],
): readonly Chunk[] {
  return chunks.flatMap((chunk) => {
    try {
      return act(chunk);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      return [];
    }
  });
}

/** Throws `corrupt` when a chunk's bytes break their format, and `execution` for encodings that cannot be written. */
export function checkDecodes(chunk: Chunk): void {
  if (chunk.encoding !== ENCODING_XOR) {
    decodeHistogramChunk(chunk);
    return;
  }
  const count = xorSampleCount(chunk.data);
  const columns = { times: new Float64Array(count), values: new Float64Array(count), offset: 0 };
  decodeXor(chunk.data, columns);
}
