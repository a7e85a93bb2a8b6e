import { compileModule, instantiate } from "../base/web-assembly.ts";
import { ENTRY_WALK_WASM } from "./entry-walk.gen.ts";
import type { SampledPairs } from "./sampled-pairs.ts";

/** Every so many label pairs of a name one is kept in memory, as Prometheus does. */
export const SAMPLE_EVERY = 32;
/** The kernel's memory: bytes that are walked over, then what it writes. */
const PIECE_AT = 64 * 1024;
const PIECE_BYTES = 64 * 1024;
const STARTS_AT = 128 * 1024;
const ENDS_AT = 160 * 1024;
const VALUES_AT = 192 * 1024;
/** So many starts have room when nothing else is written. */
const TEXTS_MAX = 32 * 1024;
/** With less than this left of a piece the next one is taken: hardly an entry is longer. */
const PIECE_REST_BYTES = 1024;
/** A name whose length takes one byte; longer ones are left to the caller. */
const NAME_MAX_BYTES = 127;

interface Kernel {
  readonly memory: { readonly buffer: ArrayBuffer };
  nameAt(): number;
  stoppedAt(): number;
  texts(at: number, end: number, limit: number, base: number, starts: number): number;
  pairs(
    at: number,
    end: number,
    nameLength: number,
    limit: number,
    interval: number,
    since: number,
    base: number,
    valueBase: number,
    starts: number,
    ends: number,
    values: number,
  ): number;
}

interface Shared {
  readonly kernel: Kernel;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
}

let shared: Shared | undefined;

/**
 * Walks over the entries of a symbol table or a postings offset table in WebAssembly (entry-walk.as). A block is opened
 * once, and loops over its hundred thousand entries would be over before the JIT has compiled them. The bytes go through a
 * memory of fixed size in pieces. It passes entries as nearly all are and stops at any other, which the caller reads with
 * all checks. The memory is one for all walks: a walk is over before another begins.
 */
export class EntryWalk {
  /** Where the last call stopped. */
  at = 0;
  readonly #bytes: Uint8Array;
  readonly #shared: Shared;
  #pieceStart = 0;
  #pieceEnd = 0;
  #nameLength = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#shared = shared ??= startKernel();
  }

  /** Passes texts from `at` on, as many as `starts` has room for, and puts where they start there; how many there were. */
  texts(at: number, starts: Uint32Array): number {
    const { kernel, words } = this.#shared;
    const start = this.#place(at);
    const limit = Math.min(TEXTS_MAX, starts.length);
    const base = at - start;
    const count = kernel.texts(start, this.#pieceEnd - base, limit, base, STARTS_AT);
    starts.set(words.subarray(STARTS_AT / 4, STARTS_AT / 4 + count));
    this.at = kernel.stoppedAt() + base;
    return count;
  }

  /** Sets the name of the pairs that `pairs` passes. */
  setName(start: number, end: number): void {
    this.#nameLength = end - start;
    if (this.#nameLength <= NAME_MAX_BYTES)
      this.#shared.bytes.set(this.#bytes.subarray(start, end), this.#shared.kernel.nameAt());
  }

  /**
   * Passes label pairs from `at` on, `limit` at most, that have the name set, of which there were `before` until now, and
   * adds every 32nd to `samples`; how many there were.
   */
  pairs(at: number, run: { limit: number; before: number; samples: SampledPairs }): number {
    this.at = at;
    if (this.#nameLength > NAME_MAX_BYTES) return 0;
    const { kernel, words, bytes } = this.#shared;
    const { samples } = run;
    const start = this.#place(at);
    const base = at - start;
    const since = (run.before - 1) % SAMPLE_EVERY;
    const count = kernel.pairs(
      start,
      this.#pieceEnd - base,
      this.#nameLength,
      run.limit,
      SAMPLE_EVERY,
      since,
      base,
      samples.valueBytes,
      STARTS_AT,
      ENDS_AT,
      VALUES_AT,
    );
    this.at = kernel.stoppedAt() + base;
    const sampled = Math.floor((since + count) / SAMPLE_EVERY);
    if (sampled > 0)
      samples.addAll(
        words.subarray(STARTS_AT / 4, STARTS_AT / 4 + sampled),
        words.subarray(ENDS_AT / 4, ENDS_AT / 4 + sampled),
        bytes.subarray(VALUES_AT),
      );
    return count;
  }

  /** Sees to it that the kernel has what is at `at`; where. */
  #place(at: number): number {
    const { length } = this.#bytes;
    const isNear = at >= this.#pieceStart && at + PIECE_REST_BYTES <= this.#pieceEnd;
    if (!isNear && (this.#pieceEnd < length || at < this.#pieceStart)) {
      this.#pieceStart = at;
      this.#pieceEnd = Math.min(at + PIECE_BYTES, length);
      this.#shared.bytes.set(this.#bytes.subarray(at, this.#pieceEnd), PIECE_AT);
    }
    return at - this.#pieceStart + PIECE_AT;
  }
}

function startKernel(): Shared {
  const kernel = instantiate(compileModule(ENTRY_WALK_WASM)) as Kernel;
  const { buffer } = kernel.memory;
  return { kernel, bytes: new Uint8Array(buffer), words: new Uint32Array(buffer) };
}
