import type { Chunk } from "../../storage/queryable.ts";

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
