import { CRC32C_WASM } from "./crc32c.gen.ts";
import { compileModule, instantiate } from "./web-assembly.ts";

/**
 * CRC-32C (Castagnoli), the checksum of every Prometheus file. Slicing by eight: eight table look-ups take in eight
 * bytes at once. Longer ranges are copied into the memory of crc32c.as, which takes in sixteen and is 2.3 times as fast.
 */
const POLYNOMIAL = 0x82f63b78;
const TABLES = buildTables();
/** From this size on copying costs less than it gains. */
const KERNEL_MIN_BYTES = 160;
/** Where the kernel's memory has room for bytes, and how much. */
const PIECE_AT = 64 * 1024;
const PIECE_BYTES = 64 * 1024;

interface Kernel {
  readonly memory: { readonly buffer: ArrayBuffer };
  initialize(): void;
  checksum(start: number, end: number, seed: number): number;
}

let kernel: Kernel | undefined;
let kernelBytes = new Uint8Array(0);
/** How often its memory was filled: tells a walk whether what it put there still lies there. */
let fills = 0;

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
  fills++;
  let crc = seed;
  for (let from = start; from < end; from += PIECE_BYTES) {
    const to = Math.min(from + PIECE_BYTES, end);
    kernelBytes.set(bytes.subarray(from, to), PIECE_AT);
    crc = kernel.checksum(PIECE_AT, PIECE_AT + to - from, crc);
  }
  return crc >>> 0;
}

/**
 * Checksums of many ranges that follow each other in `bytes`, up to `limit`: the bytes go into the kernel's memory in large
 * pieces, not range by range. They must not change meanwhile.
 */
export class Crc32cWalk {
  readonly #bytes: Uint8Array;
  readonly #limit: number;
  readonly #kernel: Kernel;
  #fill = 0;
  #start = 0;
  #end = 0;

  constructor(bytes: Uint8Array, limit: number) {
    this.#bytes = bytes;
    this.#limit = limit;
    this.#kernel = kernel ??= startKernel();
  }

  /** The checksum of `bytes[start, end)`. */
  checksum(start: number, end: number): number {
    if (fills !== this.#fill || start < this.#start || end > this.#end) {
      if (end - start > PIECE_BYTES || end > this.#limit) return crc32c(this.#bytes, start, end);
      this.#fill = ++fills;
      this.#start = start;
      this.#end = Math.min(start + PIECE_BYTES, this.#limit);
      kernelBytes.set(this.#bytes.subarray(start, this.#end), PIECE_AT);
    }
    const at = PIECE_AT - this.#start;
    return this.#kernel.checksum(at + start, at + end, 0) >>> 0;
  }
}

function startKernel(): Kernel {
  const started = instantiate(compileModule(CRC32C_WASM)) as Kernel;
  started.initialize();
  kernelBytes = new Uint8Array(started.memory.buffer);
  return started;
}
