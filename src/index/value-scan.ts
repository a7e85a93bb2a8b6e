import { compileModule, instantiate } from "../base/web-assembly.ts";
import type { ByteChoice } from "../model/matcher.ts";
import { VALUE_SCAN_WASM } from "./value-scan.gen.ts";

/** The kernel's memory: an automaton of up to 512 states, bytes that are scanned, lists that are found. */
const FLAGS_AT = 64 * 1024;
const TABLE_AT = 128 * 1024;
const PIECE_AT = 384 * 1024;
const PIECE_BYTES = 128 * 1024;
/** An entry takes five bytes at least, and what is found eight. */
const LISTS_AT = 512 * 1024;

interface Kernel {
  readonly memory: { readonly buffer: ArrayBuffer };
  stoppedAt(): number;
  unknown(): number;
  scan(
    at: number,
    end: number,
    head: number,
    table: number,
    flags: number,
    wanted: number,
    isReversed: number,
    lists: number,
  ): number;
}

interface Shared {
  readonly kernel: Kernel;
  readonly bytes: Uint8Array;
  readonly words: Uint16Array;
  readonly lists: Float64Array;
}

let shared: Shared | undefined;

/**
 * Finds the values of one label name that an automaton chooses, in WebAssembly (value-scan.as): a hundred thousand of them
 * are gone through without a call for each. The memory is one for all scans: a call of `next` is over before another begins.
 */
export class ValueScan {
  /** Where the last call stopped. */
  at = 0;
  readonly #choice: ByteChoice;
  readonly #head: number;
  readonly #shared: Shared;

  /** `head`: of each entry, how many bytes there are before the length of its value. */
  constructor(choice: ByteChoice, head: number) {
    this.#choice = choice;
    this.#head = head;
    this.#shared = shared ??= startKernel();
  }

  /**
   * Passes the entries from `at` on and adds the lists of those chosen to `lists`. It stops at the end or at an entry that
   * only the caller can read; then `at` is there.
   */
  next(from: Uint8Array, at: number, lists: number[]): void {
    this.at = at;
    do {
      at = this.at;
      this.#piece(from.subarray(at, at + PIECE_BYTES), lists);
    } while (this.at > at && this.at < from.length);
  }

  #piece(piece: Uint8Array, lists: number[]): void {
    const { kernel, bytes } = this.#shared;
    const { automaton, isMatchWanted } = this.#choice;
    bytes.set(piece, PIECE_AT);
    this.#placeStates(0, automaton.stateCount);
    const end = PIECE_AT + piece.length;
    for (let at = PIECE_AT; ;) {
      const count = kernel.scan(
        at,
        end,
        this.#head,
        TABLE_AT,
        FLAGS_AT,
        Number(isMatchWanted),
        Number(automaton.isReversed),
        LISTS_AT,
      );
      for (let i = 0; i < count; i++) lists.push(this.#shared.lists[i]!);
      at = kernel.stoppedAt();
      const unknown = kernel.unknown();
      const { stateCount } = automaton;
      const next = unknown === 0 ? 0 : automaton.find(unknown >> 8, unknown & 255);
      // One value may need more states than are kept.
      if (unknown === 0 || automaton.stateCount < stateCount) {
        this.at += at - PIECE_AT;
        return;
      }
      this.#placeStates(unknown >> 8, (unknown >> 8) + 1);
      this.#placeStates(next, next + 1);
    }
  }

  #placeStates(from: number, to: number): void {
    const { bytes, words } = this.#shared;
    const { table, matchFlags } = this.#choice.automaton;
    words.set(table.subarray(from << 8, to << 8), TABLE_AT / 2 + (from << 8));
    bytes.set(matchFlags.subarray(from, to), FLAGS_AT + from);
  }
}

function startKernel(): Shared {
  const kernel = instantiate(compileModule(VALUE_SCAN_WASM)) as Kernel;
  const { buffer } = kernel.memory;
  return {
    kernel,
    bytes: new Uint8Array(buffer),
    words: new Uint16Array(buffer),
    lists: new Float64Array(buffer, LISTS_AT),
  };
}
