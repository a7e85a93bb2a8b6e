import { CRC32C_WASM } from "./crc32c.gen.ts";
import { compileModule, instantiate } from "./web-assembly.ts";

/**
 * CRC-32C (Castagnoli), the checksum of every Prometheus file. Slicing by eight: eight table look-ups take in eight
 * bytes at once. Longer ranges are copied into the memory of crc32c.as, which takes in sixteen and is 2.3 times as fast.
 */
const POLYNOMIAL = 0x82f63b78;
const TABLES = buildTables();
/** From this size on copying costs less than it gains. */
const KERNEL_MIN_BYTES = 120;
/** Where the kernel's memory has room for bytes, and how much. */
const PIECE_AT = 64 * 1024;
const PIECE_BYTES = 64 * 1024;
/** Where it has room for the places of records, two words each, and for how many. */
const PLACES_AT = 32 * 1024;
const RECORDS_MAX = 2048;
/** Records with more than this between them are not copied together. */
const GAP_MAX_BYTES = 512;

interface Kernel {
  readonly memory: { readonly buffer: ArrayBuffer };
  initialize(): void;
  checksum(start: number, end: number, seed: number): number;
  firstWrong(places: number, count: number): number;
}

let kernel: Kernel | undefined;
let kernelBytes = new Uint8Array(0);
let kernelPlaces = new Uint32Array(0);

function buildTables(): Int32Array {
  const tables = new Int32Array(8 * 256);
  for (let i = 0; i < 256; i++) {
    let crc = i;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
    tables[i] = crc;
  }
  for (let i = 256; i < tables.length; i++) {
    const previous = tables[i - 256]!;
    tables[i] = (previous >>> 8) ^ tables[previous & 255]!;
  }
  return tables;
}

/** The checksum of `bytes[start, end)` as an unsigned 32-bit number; `seed` continues an earlier checksum. */
export function crc32c(bytes: Uint8Array, start = 0, end = bytes.length, seed = 0): number {
  if (end - start >= KERNEL_MIN_BYTES) return crc32cOfMany(bytes, start, end, seed);
  const tables = TABLES;
  let crc = ~seed;
  let i = start;
  for (const last = end - 8; i <= last; i += 8) {
    const low =
      crc ^ (bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24));
    crc =
      tables[1792 + (low & 255)]! ^
      tables[1536 + ((low >>> 8) & 255)]! ^
      tables[1280 + ((low >>> 16) & 255)]! ^
      tables[1024 + (low >>> 24)]! ^
      tables[768 + bytes[i + 4]!]! ^
      tables[512 + bytes[i + 5]!]! ^
      tables[256 + bytes[i + 6]!]! ^
      tables[bytes[i + 7]!]!;
  }
  for (; i < end; i++) crc = (crc >>> 8) ^ tables[(crc ^ bytes[i]!) & 255]!;
  return ~crc >>> 0;
}

function crc32cOfMany(bytes: Uint8Array, start: number, end: number, seed: number): number {
  kernel ??= startKernel();
  let crc = seed;
  for (let from = start; from < end; from += PIECE_BYTES) {
    const to = Math.min(from + PIECE_BYTES, end);
    kernelBytes.set(bytes.subarray(from, to), PIECE_AT);
    crc = kernel.checksum(PIECE_AT, PIECE_AT + to - from, crc);
  }
  return crc >>> 0;
}

/** Records in a buffer: `i` is `bytes[starts[i], ends[i])`, of which the last four bytes are the checksum of the others. */
export interface Records {
  readonly bytes: Uint8Array;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

/** The first of the records `from` (inclusive) to `to` (exclusive) whose checksum, in network order, is wrong; `to` if none. */
export function firstWrong(records: Records, { from, to }: { from: number; to: number }): number {
  kernel ??= startKernel();
  const { bytes, starts, ends } = records;
  for (let first = from; first < to;) {
    const start = starts[first]!;
    // Records that lie together go into the kernel's memory together.
    let count = 0;
    let end = start;
    for (; count < RECORDS_MAX && first + count < to; count++) {
      const place = first + count;
      if (starts[place]! < end || starts[place]! > end + GAP_MAX_BYTES) break;
      if (ends[place]! - start > PIECE_BYTES) break;
      end = ends[place]!;
      kernelPlaces[2 * count] = PIECE_AT + starts[place]! - start;
      kernelPlaces[2 * count + 1] = PIECE_AT + end - start;
    }
    if (count === 0) {
      const at = ends[first]! - 4;
      const word =
        (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
      if (crc32c(bytes, start, at) !== word >>> 0) return first;
      first++;
      continue;
    }
    kernelBytes.set(bytes.subarray(start, end), PIECE_AT);
    const wrong = kernel.firstWrong(PLACES_AT, count);
    if (wrong < count) return first + wrong;
    first += count;
  }
  return to;
}

function startKernel(): Kernel {
  const started = instantiate(compileModule(CRC32C_WASM)) as Kernel;
  started.initialize();
  kernelBytes = new Uint8Array(started.memory.buffer);
  kernelPlaces = new Uint32Array(started.memory.buffer, PLACES_AT, 2 * RECORDS_MAX);
  return started;
}
