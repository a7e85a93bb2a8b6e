import { AppError } from "../base/errors.ts";
import { SymbolEntries } from "../index/symbol-entries.ts";
import { Labels } from "../model/labels.ts";
import type { Chunk } from "../storage/queryable.ts";
import { mergeChunkLists } from "../storage/merge-chunks.ts";
import type { Block } from "./block.ts";
import { compareCurrent, MergeCursor } from "./merge-cursor.ts";
import { type BlockMeta, HINT_OUT_OF_ORDER } from "./meta.ts";
import { isUnreadable, type OnUnreadable } from "./unreadable.ts";
import { BlockWriter, type BlockWriterOptions } from "./writer.ts";

export interface MergeOptions extends BlockWriterOptions {
  readonly signal?: AbortSignal;
  /** Absent: a chunk that has to be decoded and cannot be fails the merge. */
  readonly onUnreadable?: OnUnreadable<Labels> | undefined;
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
  const writer = await BlockWriter.create(options);
  try {
    const { entries, places } = mergeSymbols(blocks);
    await writer.addSymbols(entries);
    const cursors = blocks.map((block, i) => new MergeCursor(block, places[i]!));
    for (const cursor of cursors) await cursor.open();
    const series = { symbols: new Uint32Array(64), labelCount: 0 };
    const same: MergeCursor[] = [];
    for (;;) {
      const count = findLowest(cursors, same);
      if (count === 0) break;
      copySymbols(same[0]!, series);
      let hasChunks = false;
      if (areInOrder(same, count))
        for (let k = 0; k < count; k++) {
          const { frames, frameStart, frameEnd } = same[k]!;
          const wait = writer.addFrames(frames, { from: frameStart, to: frameEnd });
          if (wait !== undefined) await wait;
          hasChunks ||= frameEnd > frameStart;
        }
      else
        for (const chunk of joinChunks(same.slice(0, count), series, { entries, ...options })) {
          const wait = writer.addChunk(chunk);
          if (wait !== undefined) await wait;
          hasChunks = true;
        }
      for (let k = 0; k < count; k++)
        if (!same[k]!.step()) {
          options.signal?.throwIfAborted();
          await same[k]!.fill();
        }
      const wait = hasChunks ? writer.endSeries(series) : undefined;
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

/** Puts the cursors at the first series of all to the front of `same`, in their order; how many, 0 at the end. */
function findLowest(cursors: readonly MergeCursor[], same: MergeCursor[]): number {
  let count = 0;
  for (const cursor of cursors) {
    if (cursor.isDone) continue;
    const order = count === 0 ? 0 : compareCurrent(cursor, same[0]!);
    if (order < 0) count = 0;
    if (order <= 0) same[count++] = cursor;
  }
  return count;
}

/** The chunks of the series that all of `same` are at. */
function joinChunks(
  same: readonly MergeCursor[],
  { symbols, labelCount }: { symbols: Uint32Array; labelCount: number },
  { entries, onUnreadable }: { entries: SymbolEntries } & Pick<MergeOptions, "onUnreadable">,
): readonly Chunk[] {
  try {
    return mergeChunkLists(same.map((one) => one.chunks()));
  } catch (error) {
    if (onUnreadable === undefined || !isUnreadable(error)) throw error;
    const texts = Array.from(symbols.subarray(0, 2 * labelCount), (symbol) => entries.text(symbol));
    onUnreadable(Labels.fromSorted(texts), error);
    return mergeChunkLists(same.map((one) => one.readableChunks()));
  }
}

/** Sets `series` to the labels of the current series of `cursor`. */
function copySymbols(
  { symbols, symbolStart, symbolEnd }: MergeCursor,
  series: { symbols: Uint32Array; labelCount: number },
): void {
  const count = symbolEnd - symbolStart;
  if (count > series.symbols.length) series.symbols = new Uint32Array(count * 2);
  for (let i = 0; i < count; i++) series.symbols[i] = symbols[symbolStart + i]!;
  series.labelCount = count / 2;
}

/** Whether the chunks of the current series lie one behind the other and nothing of them is deleted. */
function areInOrder(same: readonly MergeCursor[], count: number): boolean {
  let maxTimeMs = -Infinity;
  for (let k = 0; k < count; k++) {
    const { hasDeleted, frames, frameStart, frameEnd } = same[k]!;
    if (hasDeleted) return false;
    for (let i = frameStart; i < frameEnd; i++) {
      if (frames.minTimes[i]! <= maxTimeMs) return false;
      maxTimeMs = frames.maxTimes[i]!;
    }
  }
  return true;
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
function mergeSymbols(blocks: readonly Block[]): { entries: SymbolEntries; places: Uint32Array[] } {
  const tables = blocks.map(({ index }) => index.symbols);
  const places = tables.map(({ count }) => new Uint32Array(count));
  const entries = new SymbolEntries();
  const at = new Uint32Array(tables.length);
  /** The tables whose next symbol is the lowest: the first `count`. */
  const same = new Uint32Array(tables.length);
  for (;;) {
    let count = 0;
    for (let i = 0; i < tables.length; i++) {
      if (at[i]! >= tables[i]!.count) continue;
      const first = same[0]!;
      const order = count === 0 ? 0 : tables[i]!.compareWith(at[i]!, tables[first]!, at[first]!);
      if (order < 0) count = 0;
      if (order <= 0) same[count++] = i;
    }
    if (count === 0) return { entries, places };
    const table = tables[same[0]!]!;
    const symbol = at[same[0]!]!;
    // The empty text is part of every table that Prometheus writes; old ones lack it.
    if (entries.count === 0 && table.sizeOf(symbol) > 0) entries.add(new Uint8Array(0), 0, 0);
    for (let k = 0; k < count; k++) {
      const i = same[k]!;
      places[i]![at[i]!++] = entries.count;
    }
    if (!table.addTo(entries, symbol)) throw new AppError("corrupt", outOfOrder(blocks));
  }
}

function outOfOrder(blocks: readonly Block[]): string {
  const names = blocks.map(({ meta }) => meta.ulid).join(", ");
  return `cannot merge blocks ${names}: the symbols of one are not in order`;
}
