import type { Chunk } from "../storage/queryable.ts";
import type { Block } from "./block.ts";
import type { ChunkPlace } from "./chunk-files.ts";
import { mergeChunkLists } from "../storage/merge-chunks.ts";
import { type BlockMeta, HINT_OUT_OF_ORDER } from "./meta.ts";
import { withoutAllDeleted } from "./recode.ts";
import { coverage, type Interval } from "./tombstones.ts";
import { BlockWriter, type BlockWriterOptions } from "./writer.ts";

/** Series of each block that are in memory at a time, with their chunks. */
const BATCH_SERIES = 512;

export interface MergeOptions extends BlockWriterOptions {
  readonly signal?: AbortSignal;
  /** Default: that of a merge. */
  readonly meta?: ReturnType<typeof mergedMeta>;
}

/**
 * Writes the samples of `blocks` (in order of time) to one new block and gives its folder; undefined when all of them
 * were deleted.
 *
 *     block 0 ─ series in label order ─┐
 *     block 1 ─ series in label order ─┼─► lowest labels ─► chunks of equal series joined ─► writer
 *     block 2 ─ series in label order ─┘
 *
 * The symbols of all blocks are joined first, so labels compare as numbers. Deleted samples are left out; chunks that
 * overlap no other are copied as they are. Memory is some series of each block and what the index writer keeps.
 */
export async function mergeBlocks(
  blocks: readonly Block[],
  options: MergeOptions,
): Promise<string | undefined> {
  const { symbols, places } = mergeSymbols(blocks);
  const writer = await BlockWriter.create(options);
  try {
    await writer.addSymbols(symbols);
    const cursors = blocks.map((block, i) => new SeriesCursor(block, places[i]!));
    for (const cursor of cursors) await cursor.open();
    for (;;) {
      let lowest: SeriesCursor | undefined;
      for (const cursor of cursors)
        if (
          cursor.current !== undefined &&
          (lowest === undefined || compareSymbols(cursor.current, lowest.current!) < 0)
        )
          lowest = cursor;
      if (lowest === undefined) break;
      const series = lowest.current!;
      const lists: (readonly Chunk[])[] = [];
      for (const cursor of cursors) {
        if (cursor.current === undefined || compareSymbols(cursor.current, series) !== 0) continue;
        lists.push(cursor.current.chunks);
        if (!cursor.step()) {
          options.signal?.throwIfAborted();
          await cursor.fill();
        }
      }
      const chunks = lists.length === 1 ? lists[0]! : mergeChunkLists(lists);
      if (chunks.length === 0) continue;
      for (const chunk of chunks) {
        const wait = writer.addChunk(chunk);
        if (wait !== undefined) await wait;
      }
      const wait = writer.endSeries(series);
      if (wait !== undefined) await wait;
    }
    if (writer.seriesCount > 0)
      return await writer.finish(options.meta ?? mergedMeta(blocks.map(({ meta }) => meta)));
    await writer.abandon();
    return undefined;
  } catch (error) {
    await writer.abandon().catch(() => {});
    throw error;
  }
}

/** The meta of a merge: one level up, and it names what it was made from. */
export function mergedMeta(
  metas: readonly BlockMeta[],
): Pick<BlockMeta, "minTime" | "maxTime" | "compaction"> {
  const sources = new Set(metas.flatMap(({ compaction }) => compaction.sources));
  const isAllOutOfOrder = metas.every(({ compaction }) =>
    compaction.hints?.includes(HINT_OUT_OF_ORDER),
  );
  return {
    minTime: Math.min(...metas.map(({ minTime }) => minTime)),
    maxTime: Math.max(...metas.map(({ maxTime }) => maxTime)),
    compaction: {
      level: Math.max(...metas.map(({ compaction }) => compaction.level)) + 1,
      sources: [...sources].sort(),
      parents: metas.map(({ ulid, minTime, maxTime }) => ({ ulid, minTime, maxTime })),
      ...(isAllOutOfOrder ? { hints: [HINT_OUT_OF_ORDER] } : {}),
    },
  };
}

/** The symbols of all blocks in order, and where each block's symbols are among them. */
function mergeSymbols(blocks: readonly Block[]): {
  symbols: Uint8Array[];
  places: Uint32Array[];
} {
  const tables = blocks.map(({ index }) => index.symbols);
  const places = tables.map((table) => new Uint32Array(table.count));
  const at = tables.map(() => 0);
  const symbols: Uint8Array[] = [];
  for (;;) {
    let lowest = -1;
    for (let i = 0; i < tables.length; i++) {
      if (at[i]! >= tables[i]!.count) continue;
      if (lowest < 0 || tables[i]!.compareWith(at[i]!, tables[lowest]!, at[lowest]!) < 0)
        lowest = i;
    }
    if (lowest < 0) break;
    const table = tables[lowest]!;
    const symbol = at[lowest]!;
    const bytes = table.bytesOf(symbol);
    // The empty text is part of every table that Prometheus writes; old ones lack it.
    if (symbols.length === 0 && bytes.length > 0) symbols.push(new Uint8Array(0));
    for (let i = 0; i < tables.length; i++)
      if (
        at[i]! < tables[i]!.count &&
        tables[i]!.compareWith(at[i]!, table, symbol) === 0 &&
        i !== lowest
      )
        places[i]![at[i]!++] = symbols.length;
    places[lowest]![at[lowest]!++] = symbols.length;
    symbols.push(bytes);
  }
  return { symbols, places };
}

interface MergeSeries {
  /** Name, value, … as places in the merged symbol table. */
  readonly symbols: Uint32Array;
  readonly labelCount: number;
  readonly chunks: readonly Chunk[];
}

/** The series of a block in label order, without what was deleted, read in batches. */
class SeriesCursor {
  readonly #block: Block;
  readonly #places: Uint32Array;
  #refs: Int32Array = new Int32Array(0);
  #next = 0;
  #batch: MergeSeries[] = [];
  #index = 0;

  constructor(block: Block, places: Uint32Array) {
    this.#block = block;
    this.#places = places;
  }

  async open(): Promise<void> {
    this.#refs = await this.#block.index.allPostings();
    await this.fill();
  }

  /** Undefined at the end, or when `fill` is due. */
  get current(): MergeSeries | undefined {
    return this.#batch[this.#index];
  }

  /** Steps on; false when `fill` is due. */
  step(): boolean {
    return ++this.#index < this.#batch.length;
  }

  /** Reads the next batch, unless the block is at its end. */
  async fill(): Promise<void> {
    this.#batch = [];
    this.#index = 0;
    while (this.#batch.length === 0 && this.#next < this.#refs.length) await this.#read();
  }

  async #read(): Promise<void> {
    const { index, chunks: files, tombstones } = this.#block;
    const from = this.#next;
    const to = Math.min(from + BATCH_SERIES, this.#refs.length);
    this.#next = to;
    const places: ChunkPlace[] = [];
    const found: { symbols: Uint32Array; ends: number; intervals: readonly Interval[] }[] = [];
    await index.forEachSeries(this.#refs, { from, to }, (entry) => {
      const intervals = tombstones.get(entry.ref) ?? [];
      for (let i = 0; i < entry.chunkCount; i++) {
        const place = {
          ref: entry.chunkRefs[i]!,
          minTimeMs: entry.minTimes[i]!,
          maxTimeMs: entry.maxTimes[i]!,
        };
        if (intervals.length === 0 || coverage(intervals, place) !== "all") places.push(place);
      }
      const symbols = new Uint32Array(entry.labelCount * 2);
      for (let i = 0; i < symbols.length; i++) symbols[i] = this.#places[entry.symbols[i]!]!;
      found.push({ symbols, ends: places.length, intervals });
    });
    const chunks = await files.read(places);
    let at = 0;
    for (const { symbols, ends, intervals } of found) {
      const own = chunks.slice(at, ends);
      at = ends;
      const kept = intervals.length === 0 ? own : withoutAllDeleted(own, intervals);
      this.#batch.push({ symbols, labelCount: symbols.length / 2, chunks: kept });
    }
  }
}

function compareSymbols(a: MergeSeries, b: MergeSeries): number {
  const x = a.symbols;
  const y = b.symbols;
  const count = x.length < y.length ? x.length : y.length;
  for (let i = 0; i < count; i++) if (x[i] !== y[i]) return x[i]! - y[i]!;
  return x.length - y.length;
}
