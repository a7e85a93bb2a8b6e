import { AppError, assert } from "../base/errors.ts";
import { decompressSnappy, readSnappySize } from "../base/snappy.ts";
import { compileModule, instantiate } from "../base/web-assembly.ts";
import { corrupt } from "../proto/wire.ts";
import { WRITE_KERNEL_WASM } from "./write-kernel.gen.ts";

/**
 * Unpacks a write request and finds its series, their samples, and hashes of their labels, in WebAssembly
 * (write-kernel.as): snappy, the walk and the hashes want words of 64 bits and copies of a few bytes, which JavaScript
 * has not. All of a request lies in one memory:
 *
 *     │ module │ body as sent │ message │ entries of series │ samples: times, values │ symbols of 2.0 │
 *
 * Everything is valid until the next `read`.
 */
const BODY_AT = 1024;
/** What the module may touch beyond the body and the message. */
const SLACK_BYTES = 64;
const PAGE_BYTES = 65_536;
/** Of the memory: as in the module, which is compiled for it. */
const MAX_PAGES = 16_384;
/** A memory larger than this is given back after its request. */
const KEPT_MAX_BYTES = 16 * 1024 * 1024;

/** Words of an entry, and what stands where in it. */
export const ENTRY_WORDS = 8;
export const ENTRY_AT = 0;
export const ENTRY_MARK = 1;
/** The series is labels, samples, and nothing else. */
export const MARK_PLAIN = 0;
/** It must be read, and its samples are in no column. */
export const MARK_TO_READ = 1;
/** As the first, and in front of its samples stands a zero for when it was created. */
export const MARK_ZERO_FIRST = 2;
/** Its samples end where those of the next entry begin. */
export const ENTRY_FIRST = 2;
/** 1: the next four words are a hash of the labels; 0: the labels are broken. */
export const ENTRY_HAS_KEY = 3;
export const ENTRY_KEY = 4;

const SYMBOL_BYTES = 24;
const SYMBOL_START = 4;
const SYMBOL_END = 5;

/** A request of 2.0 with more texts is refused; one of Prometheus has fewer than ten thousand. */
export const MAX_SYMBOLS = 1_000_000;

/** Errors of the module; those from 8 on are wire types. */
const ERRORS: readonly string[] = [
  "",
  "it is cut off",
  "a varint is longer than 10 bytes",
  "a field reaches beyond the end",
  "a field has the number 0",
];

interface KernelModule {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  expand(input: number, inputEnd: number, output: number, outputEnd: number): number;
  count(at: number, end: number, seriesKey: number, symbolKey: number): number;
  seriesCount(): number;
  symbolCount(): number;
  indexV1(from: number, end: number, entries: number, columns: number, samples: number): void;
  indexV2(
    from: number,
    end: number,
    symbols: number,
    entries: number,
    columns: number,
    samples: number,
    takesCreated: number,
  ): void;
}

export interface KernelOptions {
  readonly maxDecodedBytes: number;
  readonly maxSeries: number;
  /** Put a zero in front of a sample that tells when its series was created; only 2.0 can. */
  readonly takesCreated: boolean;
}

export class WriteKernel {
  /** The message. */
  bytes = new Uint8Array(0);
  seriesCount = 0;
  symbolCount = 0;
  /** The whole memory. */
  words = new Int32Array(0);
  floats = new Float64Array(0);
  /** Where in `words` the entries begin: one for each series and one more. */
  entriesAt = 0;
  /** Where in `floats` the times begin. */
  timesAt = 0;
  /** Where in `words` the values begin, two words each. */
  valuesAt = 0;
  #symbolsAt = 0;
  #compiled: object | undefined;
  #module: KernelModule | undefined;

  /** Throws `corrupt` for bytes that break a format, `resource-exhausted` beyond a limit. */
  read(body: Uint8Array, version: 1 | 2, options: KernelOptions): void {
    const { size, end: head } = readSnappySize(body, options.maxDecodedBytes);
    const messageAt = alignedAfter(BODY_AT + body.length);
    const entriesAt = alignedAfter(messageAt + size);
    const module = this.#reserve(entriesAt);
    const memory = new Uint8Array(module.memory.buffer);
    memory.set(body, BODY_AT);
    const bodyEnd = BODY_AT + body.length;
    const messageEnd = messageAt + size;
    if (module.expand(BODY_AT + head, bodyEnd, messageAt, messageEnd) !== size) {
      // It says what is wrong.
      decompressSnappy(body, options.maxDecodedBytes);
      assert(false, "BUG: the kernel refused a good snappy block");
    }
    const [seriesKey, symbolKey] = version === 1 ? KEYS_V1 : KEYS_V2;
    const problem = module.count(messageAt, messageEnd, seriesKey, symbolKey);
    if (problem !== 0)
      throw corrupt(ERRORS[problem] ?? `a field has the unknown wire type ${problem & 7}`);
    this.seriesCount = module.seriesCount();
    this.symbolCount = module.symbolCount();
    this.#checkCounts(options);
    // Senders put one sample into a series; a series whose samples find no place here is read as those with histograms are.
    const samples = 4 * this.seriesCount + 1024;
    const columnsAt = entriesAt + (this.seriesCount + 1) * ENTRY_WORDS * 4;
    const symbolsAt = columnsAt + 16 * samples;
    this.#reserve(symbolsAt + this.symbolCount * SYMBOL_BYTES);
    if (version === 1) module.indexV1(messageAt, messageEnd, entriesAt, columnsAt, samples);
    else {
      const takesCreated = Number(options.takesCreated);
      module.indexV2(messageAt, messageEnd, symbolsAt, entriesAt, columnsAt, samples, takesCreated);
    }
    const { buffer } = module.memory;
    this.bytes = new Uint8Array(buffer, messageAt, size);
    this.words = new Int32Array(buffer);
    this.floats = new Float64Array(buffer);
    this.entriesAt = entriesAt >>> 2;
    this.timesAt = columnsAt >>> 3;
    this.valuesAt = (columnsAt + 8 * samples) >>> 2;
    this.#symbolsAt = symbolsAt >>> 2;
  }

  symbolStart(index: number): number {
    return this.words[this.#symbolsAt + (index * SYMBOL_BYTES) / 4 + SYMBOL_START]!;
  }

  symbolEnd(index: number): number {
    return this.words[this.#symbolsAt + (index * SYMBOL_BYTES) / 4 + SYMBOL_END]!;
  }

  /** Gives back the memory of an uncommonly large request. */
  trim(): void {
    const size = this.#module?.memory.buffer.byteLength ?? 0;
    if (size <= KEPT_MAX_BYTES) return;
    this.#module = undefined;
    this.bytes = new Uint8Array(0);
    this.words = new Int32Array(0);
    this.floats = new Float64Array(0);
  }

  #checkCounts({ maxSeries }: KernelOptions): void {
    if (this.seriesCount > maxSeries)
      throw new AppError(
        "resource-exhausted",
        `cannot take a write request of more than ${maxSeries} series: send fewer in one request, or raise --web.remote-write-receiver.max-series`,
      );
    if (this.symbolCount > MAX_SYMBOLS)
      throw new AppError(
        "resource-exhausted",
        `cannot take a write request of more than ${MAX_SYMBOLS} symbols: send fewer series in one request`,
      );
  }

  /** Makes the memory reach up to `size`. */
  #reserve(size: number): KernelModule {
    this.#compiled ??= compileModule(WRITE_KERNEL_WASM);
    const module = (this.#module ??= instantiate(this.#compiled) as KernelModule);
    const missing = size + SLACK_BYTES - module.memory.buffer.byteLength;
    if (missing > 0) {
      const pages = Math.ceil(missing / PAGE_BYTES);
      if (size + SLACK_BYTES > MAX_PAGES * PAGE_BYTES)
        throw new AppError(
          "resource-exhausted",
          `cannot take a write request that needs ${size} bytes of memory: the limit is ${MAX_PAGES * PAGE_BYTES}, send less in one request`,
        );
      module.memory.grow(pages);
    }
    return module;
  }
}

/** Keys of the fields that hold series and symbols. A message of 1.0 has no symbols, and no field has the key 0. */
const KEYS_V1 = [0x0a, 0] as const;
const KEYS_V2 = [0x2a, 0x22] as const;

function alignedAfter(at: number): number {
  return (at + SLACK_BYTES + 63) & ~63;
}
