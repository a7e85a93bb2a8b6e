import { createMemory, type WasmMemory } from "../base/web-assembly.ts";

/**
 * The memory in which kernels decode chunks and compute with what they held. One for all of a thread: what is in it is lent
 * until the next chunk is decoded, and nothing is kept in it across an `await`.
 *
 *     │ 0  unused │ chunk │ turned round │ times, values (of a chunk) │ times, values (lent) │ totals │ row, sums │
 */
export interface SampleMemory {
  readonly memory: WasmMemory;
  /** Columns of `COLUMN_SAMPLES` that `decodeXor` fills without a copy. */
  readonly times: Float64Array;
  readonly values: Float64Array;
  /** Columns as long that hold what comes of a chunk until it is copied. */
  readonly chunkTimes: Float64Array;
  readonly chunkValues: Float64Array;
  /** `values` by their bits, low words first. */
  readonly words: Uint32Array;
}

/** As many samples as a chunk can have: 65,535. */
export const COLUMN_SAMPLES = 64 * 1024;
/** A chunk is not longer than this: 65,535 samples of 145 bits, the header, the first sample. Behind it may be anything. */
export const CHUNK_MAX_BYTES = 1216 * 1024;

const PAGE_BYTES = 64 * 1024;
const COLUMN_BYTES = COLUMN_SAMPLES * 8;
export const CHUNK_AT = PAGE_BYTES;
/** The last byte of a chunk turned round is here and those before it in front, down to what is unused of the chunk's own. */
export const TURNED_AT = CHUNK_AT + 2 * CHUNK_MAX_BYTES + PAGE_BYTES - 16;
export const CHUNK_TIMES_AT = CHUNK_AT + 2 * CHUNK_MAX_BYTES + PAGE_BYTES;
export const CHUNK_VALUES_AT = CHUNK_TIMES_AT + COLUMN_BYTES;
export const TIMES_AT = CHUNK_VALUES_AT + COLUMN_BYTES;
export const VALUES_AT = TIMES_AT + COLUMN_BYTES;
/** A column more, for whoever computes with the others. */
export const TOTALS_AT = VALUES_AT + COLUMN_BYTES;
/** What comes of the columns at each step: `ROW_STEPS` floats, and room behind them for two. */
export const ROW_AT = TOTALS_AT + COLUMN_BYTES;
export const ROW_STEPS = 16 * 1024 - 2;
const ROW_BYTES = (ROW_STEPS + 2) * 8;
/** What a row is added to: sums, what is missing in them, the sizes of what they are of, a byte for each. */
export const MAIN_AT = ROW_AT + ROW_BYTES;
export const SIDE_AT = MAIN_AT + ROW_BYTES;
export const WEIGHT_AT = SIDE_AT + ROW_BYTES;
export const FLAGS_AT = WEIGHT_AT + ROW_BYTES;
const END = FLAGS_AT + PAGE_BYTES;
const PAGES = END / PAGE_BYTES;

let shared: SampleMemory | undefined;

/** The memory of this thread. */
export function sampleMemory(): SampleMemory {
  return (shared ??= start());
}

function start(): SampleMemory {
  const memory = createMemory(PAGES);
  const { buffer } = memory;
  return {
    memory,
    times: new Float64Array(buffer, TIMES_AT, COLUMN_SAMPLES),
    values: new Float64Array(buffer, VALUES_AT, COLUMN_SAMPLES),
    chunkTimes: new Float64Array(buffer, CHUNK_TIMES_AT, COLUMN_SAMPLES),
    chunkValues: new Float64Array(buffer, CHUNK_VALUES_AT, COLUMN_SAMPLES),
    words: new Uint32Array(buffer, VALUES_AT, 2 * COLUMN_SAMPLES),
  };
}
