import { AppError, assert } from "../base/errors.ts";
import { compileModule, instantiate } from "../base/web-assembly.ts";
import {
  CHUNK_AT,
  CHUNK_MAX_BYTES,
  CHUNK_TIMES_AT,
  CHUNK_VALUES_AT,
  type SampleMemory,
  sampleMemory,
  TIMES_AT,
  TURNED_AT,
  VALUES_AT,
} from "./sample-memory.ts";
import { XOR_KERNEL_WASM } from "./xor-kernel.gen.ts";

/**
 * The XOR encoding of float samples, byte for byte as Prometheus 3.5 writes it. Format: docs/format/chunks.md.
 *
 * The trick: a chunk is decoded in one call into columns, never sample by sample, in WebAssembly (xor-kernel.as), which has
 * words of 64 bits: twice as fast as JavaScript, the copy of the chunk included.
 */

/** The largest number of samples whose count fits the chunk's header. */
export const XOR_MAX_SAMPLES = 0xffff;

interface Kernel {
  decode(from: number, size: number, to: number, times: number, values: number): number;
}

interface Shared {
  readonly kernel: Kernel;
  readonly bytes: Uint8Array;
  readonly lent: SampleMemory;
}

let shared: Shared | undefined;

function start(): Shared {
  const lent = sampleMemory();
  const { memory } = lent;
  return {
    lent,
    bytes: new Uint8Array(memory.buffer),
    kernel: instantiate(compileModule(XOR_KERNEL_WASM), memory) as Kernel,
  };
}

/** How many samples `data` holds. */
export function xorSampleCount(data: Uint8Array): number {
  return data.length < 2 ? 0 : (data[0]! << 8) | data[1]!;
}

function corrupt(what: string): AppError {
  return new AppError("corrupt", `cannot decode XOR chunk: ${what}`);
}

/**
 * Decodes the whole chunk into `into.times` (ms) and `into.values` (bits exactly as stored) from index `into.offset`
 * on, and returns the sample count. Both columns need room for `xorSampleCount(data)` samples after the offset; `data`
 * is not kept. Columns of the thread's `sampleMemory` are filled without a copy. Throws `corrupt` when `data` ends before its
 * samples do. Format: docs/format/chunks.md.
 */
export function decodeXor(
  data: Uint8Array,
  into: { times: Float64Array; values: Float64Array; offset: number },
): number {
  const count = xorSampleCount(data);
  if (count === 0) return 0;
  const { times, values, offset } = into;
  assert(
    offset + count <= times.length && offset + count <= values.length,
    "decodeXor: the columns are too short",
  );
  const { kernel, bytes, lent } = (shared ??= start());
  const size = Math.min(data.length, CHUNK_MAX_BYTES);
  bytes.set(size === data.length ? data : data.subarray(0, size), CHUNK_AT);
  const isLent = times === lent.times && values === lent.values;
  const found = isLent
    ? kernel.decode(CHUNK_AT, size, TURNED_AT, TIMES_AT + 8 * offset, VALUES_AT + 8 * offset)
    : kernel.decode(CHUNK_AT, size, TURNED_AT, CHUNK_TIMES_AT, CHUNK_VALUES_AT);
  if (found !== count) throw corrupt(whyNot(found, data));
  if (!isLent) {
    times.set(lent.chunkTimes.subarray(0, count), offset);
    values.set(lent.chunkValues.subarray(0, count), offset);
  }
  return count;
}

/** What the kernel's answers mean. */
function whyNot(found: number, data: Uint8Array): string {
  return found === -2
    ? "a value has more than 64 bits"
    : `${xorSampleCount(data)} samples do not fit into ${data.length} bytes`;
}
