import { decodeXor2 } from "../chunk/xor2.ts";
import { withoutStartTimes } from "../chunk/started-histogram.ts";
import { encodeXor } from "../chunk/xor-encode.ts";
import {
  type Chunk,
  ENCODING_FLOAT_HISTOGRAM,
  ENCODING_HISTOGRAM,
  ENCODING_XOR,
} from "./queryable.ts";

/** Encodings of samples with start times, which are read and never written: floats, and histograms of either kind. */
export const ENCODING_XOR2 = 4;
export const ENCODING_STARTED_HISTOGRAM = 5;
export const ENCODING_STARTED_FLOAT_HISTOGRAM = 6;

/**
 * A chunk whose encoding cannot tell when its samples started to be counted, with those times beside it, one for each
 * sample: ms, 0 where not known.
 */
export interface StartedChunk extends Chunk {
  readonly times: Float64Array;
  readonly startTimes: Float64Array;
}

export function isStartedChunk(chunk: Chunk): chunk is StartedChunk {
  return "startTimes" in chunk;
}

/**
 * The same samples in an encoding that everything here reads, start times beside them. Chunks that have none stay as they are.
 * Throws `corrupt` when the bytes break the format.
 */
export function readable(chunk: Chunk): Chunk {
  const encoding: number = chunk.encoding;
  switch (encoding) {
    case ENCODING_XOR2: {
      const { times, values, startTimes } = decodeXor2(chunk.data);
      const data = encodeXor(times, values, { start: 0, end: times.length });
      return started({ ...chunk, encoding: ENCODING_XOR, data }, { times, startTimes });
    }
    case ENCODING_STARTED_HISTOGRAM: {
      const { data, ...beside } = withoutStartTimes("integer", chunk.data);
      return started({ ...chunk, encoding: ENCODING_HISTOGRAM, data }, beside);
    }
    case ENCODING_STARTED_FLOAT_HISTOGRAM: {
      const { data, ...beside } = withoutStartTimes("float", chunk.data);
      return started({ ...chunk, encoding: ENCODING_FLOAT_HISTOGRAM, data }, beside);
    }
    default:
      return chunk;
  }
}

function started(
  chunk: Chunk,
  { times, startTimes }: { times: Float64Array; startTimes: Float64Array | undefined },
): Chunk {
  if (startTimes === undefined) return chunk;
  const withTimes: StartedChunk = { ...chunk, times, startTimes };
  return withTimes;
}
