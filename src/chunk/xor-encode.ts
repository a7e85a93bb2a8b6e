import { assert } from "../base/errors.ts";
import { compileModule, instantiate } from "../base/web-assembly.ts";
import {
  CHUNK_AT,
  CHUNK_TIMES_AT,
  CHUNK_VALUES_AT,
  type SampleMemory,
  sampleMemory,
} from "./sample-memory.ts";
import { ValueWords } from "./value-words.ts";
import { XOR_MAX_SAMPLES } from "./xor.ts";
import { XOR_ENCODE_KERNEL_WASM } from "./xor-encode-kernel.gen.ts";

/** Chunks are put one behind the other: a buffer for each would cost as much as encoding twenty samples. */
const SLAB_BYTES = 32 * 1024;
/** Sample count, first time, first value, first delta. */
const HEAD_MAX_BYTES = 2 + 10 + 8 + 10;
const TWO_28 = 2 ** 28;

interface Kernel {
  encode(times: number, values: number, count: number, to: number): number;
}

interface Shared {
  readonly kernel: Kernel;
  readonly bytes: Uint8Array;
  readonly lent: SampleMemory;
}

const valueWords = new ValueWords();
let shared: Shared | undefined;
let slab = new Uint8Array(0);
let slabUsed = 0;
const head = new Uint8Array(HEAD_MAX_BYTES);
const headView = new DataView(head.buffer);

function start(): Shared {
  const lent = sampleMemory();
  return {
    lent,
    bytes: new Uint8Array(lent.memory.buffer),
    kernel: instantiate(compileModule(XOR_ENCODE_KERNEL_WASM), lent.memory) as Kernel,
  };
}

/** Room for `size` bytes, zeros. */
function take(size: number): Uint8Array {
  if (size > SLAB_BYTES / 4) return new Uint8Array(size);
  if (slabUsed + size > slab.length) {
    slab = new Uint8Array(SLAB_BYTES);
    slabUsed = 0;
  }
  slabUsed += size;
  return new Uint8Array(slab.buffer, slabUsed - size, size);
}

/**
 * Encodes samples `range.start` (inclusive) to `range.end` (exclusive) as one chunk, bytes equal to Prometheus's. Times
 * are whole milliseconds in ascending order; at most `XOR_MAX_SAMPLES` samples. The result is the caller's, but shares its
 * buffer with others: who keeps it for long keeps a copy. Overwrites the columns of the thread's `sampleMemory` that are not
 * lent. Format: docs/format/chunks.md.
 *
 * The trick: samples are encoded in WebAssembly (xor-encode-kernel.as), which has words of 64 bits and needs no branch on how
 * many bits are full; copies included a fifth faster than JavaScript, twice as fast where values jump. Those of a constant
 * series are not: to copy them would take longer.
 */
export function encodeXor(
  times: Float64Array,
  values: Float64Array,
  range: { start: number; end: number },
): Uint8Array {
  const { start: from, end } = range;
  const count = end - from;
  assert(
    from >= 0 && count >= 0 && count <= XOR_MAX_SAMPLES && end <= times.length,
    "encodeXor: the range has no valid sample count",
  );
  if (count === 0) return take(2);
  const words = valueWords.of(values);
  if (count > 1 && isSteady(times, words, range)) return steadyChunk(times, words, range);
  const { kernel, bytes, lent } = (shared ??= start());
  lent.chunkTimes.set(times.subarray(from, end));
  lent.chunkValues.set(values.subarray(from, end));
  const stop = kernel.encode(CHUNK_TIMES_AT, CHUNK_VALUES_AT, count, CHUNK_AT);
  assert(stop > 0, "encodeXor: times are not ascending");
  const chunk = take(stop - CHUNK_AT);
  chunk.set(bytes.subarray(CHUNK_AT, stop));
  return chunk;
}

/** Whether all samples have the first one's value and the distance of the first two. */
function isSteady(
  times: Float64Array,
  words: Int32Array,
  { start, end }: { start: number; end: number },
): boolean {
  const low = words[2 * start]!;
  const high = words[2 * start + 1]!;
  let t = times[start + 1]!;
  const delta = t - times[start]!;
  if (words[2 * start + 2] !== low || words[2 * start + 3] !== high) return false;
  for (let k = start + 2; k < end; k++) {
    const next = times[k]!;
    if (next - t !== delta || words[2 * k] !== low || words[2 * k + 1] !== high) return false;
    t = next;
  }
  return true;
}

/** A chunk of samples that go on as the first two began: each of them is two zero bits. */
function steadyChunk(
  times: Float64Array,
  words: Int32Array,
  { start, end }: { start: number; end: number },
): Uint8Array {
  const count = end - start;
  const t = times[start]!;
  const delta = times[start + 1]! - t;
  assert(delta >= 0, "encodeXor: times are not ascending");
  headView.setUint16(0, count);
  let size = putUvarint(head, 2, t >= 0 ? t * 2 : -t * 2 - 1);
  headView.setInt32(size, words[2 * start + 1]!);
  headView.setInt32(size + 4, words[2 * start]!);
  size = putUvarint(head, size + 8, delta);
  // The second sample is one bit: only its value has a code.
  const chunk = take(size + ((2 * count + 4) >>> 3));
  for (let i = 0; i < size; i++) chunk[i] = head[i]!;
  return chunk;
}

function putUvarint(bytes: Uint8Array, at: number, value: number): number {
  let q = at;
  let rest = value;
  if (value >= TWO_28) {
    // Four bytes of seven bits at once: division of doubles is slow.
    const upper = Math.floor(value / TWO_28);
    const lower = value - upper * TWO_28;
    bytes[q++] = lower | 128;
    bytes[q++] = (lower >>> 7) | 128;
    bytes[q++] = (lower >>> 14) | 128;
    bytes[q++] = (lower >>> 21) | 128;
    rest = upper;
  }
  for (; rest >= 128; rest >>>= 7) bytes[q++] = rest | 128;
  bytes[q++] = rest;
  return q;
}
