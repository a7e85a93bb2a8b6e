import { compileModule, instantiate } from "../base/web-assembly.ts";
import { type PieceRoom, placePiece } from "./kernel-piece.ts";
import type { SeriesColumns } from "./series-columns.ts";
import { SERIES_WALK_WASM } from "./series-walk.gen.ts";

/** The kernel's memory: entries, where they start, then what it writes. */
const PIECE_AT = 64 * 1024;
const PIECE_BYTES = 64 * 1024;
const STARTS_AT = PIECE_AT + PIECE_BYTES;
/** Series start at multiples of 16. */
const ENTRIES_MAX = PIECE_BYTES / 16;
const SYMBOLS_AT = STARTS_AT + 4 * ENTRIES_MAX;
/** Each takes a byte at least. */
const SYMBOL_ENDS_AT = SYMBOLS_AT + 4 * PIECE_BYTES;
const CHUNK_ENDS_AT = SYMBOL_ENDS_AT + 4 * ENTRIES_MAX;
const MIN_TIMES_AT = CHUNK_ENDS_AT + 4 * ENTRIES_MAX;
/** Each takes three bytes at least. */
const CHUNKS_MAX = Math.ceil(PIECE_BYTES / 3 / 8) * 8;
const MAX_TIMES_AT = MIN_TIMES_AT + 8 * CHUNKS_MAX;
const REFS_AT = MAX_TIMES_AT + 8 * CHUNKS_MAX;
const ROOM: PieceRoom = {
  bytesAt: PIECE_AT,
  size: PIECE_BYTES,
  startsAt: STARTS_AT,
  countMax: ENTRIES_MAX,
  tail: 1024,
};

interface Kernel {
  readonly memory: { readonly buffer: ArrayBuffer };
  initialize(): void;
  symbolsFound(): number;
  chunksFound(): number;
  walk(
    bytes: number,
    end: number,
    starts: number,
    count: number,
    symbolMax: number,
    minTime: number,
    maxTime: number,
    symbols: number,
    symbolEnds: number,
    minTimes: number,
    maxTimes: number,
    refs: number,
    chunkEnds: number,
  ): number;
}

interface Shared {
  readonly kernel: Kernel;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly floats: Float64Array;
}

let shared: Shared | undefined;

/** Entries of series that lie in `bytes`. */
export interface EntriesAt {
  readonly bytes: Uint8Array;
  /** Where they start, ascending. */
  readonly starts: Float64Array;
  /** As in postings. */
  readonly refs: Int32Array;
}

/**
 * Reads entries from the `from`th on in WebAssembly (series-walk.as) and adds them to `columns`, each checked against its
 * checksum, with those of its chunks that reach into the range. How many it read: it stops before one that is damaged, refers to
 * a symbol from `symbolCount` on, or is not whole in a piece of 64 KiB; the caller reads that one, and goes on.
 */
export function walkSeries(
  entries: EntriesAt,
  range: { readonly from: number; readonly to: number },
  options: { symbolCount: number; minTimeMs: number; maxTimeMs: number },
  columns: SeriesColumns,
): number {
  const memory = (shared ??= startKernel());
  const { kernel, words, floats } = memory;
  const { count, end } = placePiece(memory, entries, range, ROOM);
  const passed = kernel.walk(
    PIECE_AT,
    end,
    STARTS_AT,
    count,
    options.symbolCount,
    options.minTimeMs,
    options.maxTimeMs,
    SYMBOLS_AT,
    SYMBOL_ENDS_AT,
    MIN_TIMES_AT,
    MAX_TIMES_AT,
    REFS_AT,
    CHUNK_ENDS_AT,
  );
  const symbols = kernel.symbolsFound();
  const chunks = kernel.chunksFound();
  columns.reserve({ series: passed, symbols, chunks });
  const at = columns.count;
  const symbolsFrom = columns.symbolsFrom(at);
  const chunksFrom = columns.chunksFrom(at);
  columns.symbols.set(words.subarray(SYMBOLS_AT / 4, SYMBOLS_AT / 4 + symbols), symbolsFrom);
  for (const [column, place] of [
    [columns.minTimes, MIN_TIMES_AT],
    [columns.maxTimes, MAX_TIMES_AT],
    [columns.chunkRefs, REFS_AT],
  ] as const)
    column.set(floats.subarray(place / 8, place / 8 + chunks), chunksFrom);
  for (let i = 0; i < passed; i++) {
    columns.refs[at + i] = entries.refs[range.from + i]!;
    columns.symbolEnds[at + i] = words[SYMBOL_ENDS_AT / 4 + i]! + symbolsFrom;
    columns.chunkEnds[at + i] = words[CHUNK_ENDS_AT / 4 + i]! + chunksFrom;
  }
  columns.count += passed;
  return passed;
}

function startKernel(): Shared {
  const kernel = instantiate(compileModule(SERIES_WALK_WASM)) as Kernel;
  kernel.initialize();
  const { buffer } = kernel.memory;
  return {
    kernel,
    bytes: new Uint8Array(buffer),
    words: new Uint32Array(buffer),
    floats: new Float64Array(buffer),
  };
}
