import { decodeXor2 } from "../chunk/xor2.ts";
import { encodeXor } from "../chunk/xor-encode.ts";
import { type Chunk, ENCODING_XOR } from "./queryable.ts";

/** XOR2: floats with start times. */
export const ENCODING_XOR2 = 4;

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
 * The same samples in an encoding that everything here reads. Others than XOR2 stay as they are. Throws `corrupt` when the
 * bytes break the format.
 */
export function readable(chunk: Chunk): Chunk {
  const encoding: number = chunk.encoding;
  if (encoding !== ENCODING_XOR2) return chunk;
  const { minTimeMs, maxTimeMs } = chunk;
  const { times, values, startTimes } = decodeXor2(chunk.data);
  const data = encodeXor(times, values, { start: 0, end: times.length });
  const floats: Chunk = { encoding: ENCODING_XOR, minTimeMs, maxTimeMs, data };
  if (startTimes === undefined) return floats;
  const started: StartedChunk = { ...floats, times, startTimes };
  return started;
}
