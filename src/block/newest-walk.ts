import { compileModule, instantiate } from "../base/web-assembly.ts";
import { type PieceRoom, placePiece } from "../index/kernel-piece.ts";
import { NEWEST_WALK_WASM } from "./newest-walk.gen.ts";

/** The kernel's memory: chunks, where they start, what it writes, and room for it to decode one. */
const PIECE_AT = 64 * 1024;
const PIECE_BYTES = 64 * 1024;
const STARTS_AT = PIECE_AT + PIECE_BYTES;
const CHUNKS_MAX = 8 * 1024;
const COUNTS_AT = STARTS_AT + 4 * CHUNKS_MAX;
const NEWEST_AT = COUNTS_AT + 4 * CHUNKS_MAX;
/** Where the first byte of a chunk goes, those behind it in front. */
const TURNED_AT = NEWEST_AT + 8 * CHUNKS_MAX + PIECE_BYTES + 16 * 1024 - 16;
const TIMES_AT = TURNED_AT + 16;
const SAMPLES_MAX = 2048;
const COLUMN_BYTES = 24 * 1024;
const VALUES_AT = TIMES_AT + COLUMN_BYTES;
const ROOM: PieceRoom = {
  bytesAt: PIECE_AT,
  size: PIECE_BYTES,
  startsAt: STARTS_AT,
  countMax: CHUNKS_MAX,
  tail: 2048,
};
/** In place of how many samples: the chunk has another encoding. */
export const OTHER_ENCODING = 0xffffffff;

interface Kernel {
  readonly memory: { readonly buffer: ArrayBuffer };
  initialize(): void;
  bytesFound(): number;
  walk(
    bytes: number,
    end: number,
    starts: number,
    count: number,
    minTime: number,
    maxTime: number,
    turned: number,
    times: number,
    values: number,
    samplesMax: number,
    counts: number,
    newest: number,
  ): number;
}

interface Shared {
  readonly kernel: Kernel;
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
}

let shared: Shared | undefined;

/** What a walk has found, in the kernel's memory: it is lent until the next walk. */
export interface NewestFound {
  /** How many chunks were passed. */
  readonly count: number;
  /** Of each how many samples it has, or `OTHER_ENCODING`. */
  readonly counts: Uint32Array;
  /** Of each the newest sample in the range by its bits, low word first: a stale marker without any. */
  readonly words: Uint32Array;
  /** Bytes of the chunks that hold floats. */
  readonly byteCount: number;
}

/**
 * Reads the newest samples in a range of time of chunks from the `from`th on, which start at `starts` (ascending) in `bytes`, each
 * checked against its checksum, in WebAssembly (newest-walk.as). It stops before a chunk that is damaged or not whole in a piece
 * of 64 KiB; the caller reads that one, and goes on.
 */
export function walkNewest(
  chunks: { readonly bytes: Uint8Array; readonly starts: Float64Array },
  range: { readonly from: number; readonly to: number },
  { minTimeMs, maxTimeMs }: { minTimeMs: number; maxTimeMs: number },
): NewestFound {
  const memory = (shared ??= startKernel());
  const { kernel, words } = memory;
  const { count, end } = placePiece(memory, chunks, range, ROOM);
  const passed = kernel.walk(
    PIECE_AT,
    end,
    STARTS_AT,
    count,
    minTimeMs,
    maxTimeMs,
    TURNED_AT,
    TIMES_AT,
    VALUES_AT,
    SAMPLES_MAX,
    COUNTS_AT,
    NEWEST_AT,
  );
  return {
    count: passed,
    counts: words.subarray(COUNTS_AT / 4, COUNTS_AT / 4 + passed),
    words: words.subarray(NEWEST_AT / 4, NEWEST_AT / 4 + 2 * passed),
    byteCount: kernel.bytesFound(),
  };
}

function startKernel(): Shared {
  const kernel = instantiate(compileModule(NEWEST_WALK_WASM)) as Kernel;
  kernel.initialize();
  const { buffer } = kernel.memory;
  return { kernel, bytes: new Uint8Array(buffer), words: new Uint32Array(buffer) };
}
