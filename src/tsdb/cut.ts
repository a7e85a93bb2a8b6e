import type { Clock } from "../base/clock.ts";
import { withoutDeleted } from "../block/recode.ts";
import { isUnreadable, type OnUnreadable, ofReadable } from "../block/unreadable.ts";
import { BlockWriter, type Failpoint } from "../block/writer.ts";
import { type Chunk, ENCODING_XOR } from "../storage/queryable.ts";
import { Breather, sortWithRests } from "./breather.ts";
import type { HeadStore } from "./head-store.ts";
import {
  CHUNK_START,
  FIRST_BLOCK,
  LAST_CHUNK,
  LAST_TIME,
  LINE_WORDS,
  OPEN_HISTOGRAM,
  PAGE_SERIES,
} from "./series-table.ts";

export interface CutOptions {
  readonly clock: Clock;
  /** The data folder. */
  readonly parent: string;
  /** The name of the block. */
  readonly ulid: string;
  /** ms, inclusive. */
  readonly minTimeMs: number;
  /** ms, exclusive. */
  readonly maxTimeMs: number;
  /** Where its samples come from, when that is not the plain head: for `meta.json`. */
  readonly hints?: readonly string[];
  readonly segmentMaxBytes?: number;
  readonly signal?: AbortSignal;
  /** Absent: a chunk that has to be decoded and cannot be fails the cut. */
  readonly onUnreadable?: OnUnreadable<number> | undefined;
  /** Called at each step; for tests of crashes. */
  readonly onStep?: (step: Failpoint) => void;
}

const PAGE_MASK = PAGE_SERIES - 1;

/** Where a cut takes its chunks from. */
export interface CutSource {
  /** The series that may have some, ascending. */
  readonly refs: readonly number[];
  /** The chunks of a series that overlap the range, in order of time and without overlap. */
  chunksOf(ref: number, range: { minTimeMs: number; maxTimeMs: number }): readonly Chunk[];
}

/**
 * Writes what a head has in a time range to a block; the block's folder, or undefined when there is nothing.
 *
 * The head's numbers of label pairs become ranks first, so that sorting a million series compares small numbers and
 * touches no text. All of it happens in short pieces between which appends and queries go on; what they change lies
 * outside the range. The store must not be truncated meanwhile.
 */
export async function cutBlock(
  store: HeadStore,
  options: CutOptions,
  source: CutSource = inOrder(store, options.minTimeMs),
): Promise<string | undefined> {
  const breather = new Breather(options.clock);
  const unreadable = new Set<number>();
  const chunksOf = (ref: number): readonly Chunk[] => {
    const chunks = source.chunksOf(ref, options);
    const wanted = (some: readonly Chunk[]): readonly Chunk[] =>
      withinRange(store.deleted.apply(ref, some), options);
    try {
      return wanted(chunks);
    } catch (error) {
      if (options.onUnreadable === undefined || !isUnreadable(error)) throw error;
      if (!unreadable.has(ref)) options.onUnreadable(ref, error);
      unreadable.add(ref);
      return ofReadable(chunks, (chunk) => wanted([chunk]));
    }
  };
  const refs = await findSeries(source.refs, chunksOf, breather);
  if (refs.length === 0) return undefined;
  const order = await rankPairs(store, refs, breather);
  const sorted = await sortWithRests(refs, (a, b) => order.compare(a, b), breather);
  const writer = await BlockWriter.create(options);
  try {
    await writer.addSymbols(order.symbols.map((symbol) => store.postings.symbols.bytes(symbol)));
    let symbols = new Uint32Array(64);
    for (const ref of sorted) {
      for (const chunk of chunksOf(ref)) {
        const wait = writer.addChunk(chunk);
        if (wait !== undefined) await wait;
      }
      const page = store.series.pageOf(ref)!;
      const { start, count } = store.series.pairRange(page, ref);
      if (symbols.length < count * 2) symbols = new Uint32Array(count * 4);
      for (let i = 0; i < count; i++) {
        const pair = page.pairs[start + i]!;
        symbols[2 * i] = order.places[store.postings.nameOf(pair)]!;
        symbols[2 * i + 1] = order.places[store.postings.valueOf(pair)]!;
      }
      const wait = writer.endSeries({ symbols, labelCount: count });
      if (wait !== undefined) await wait;
      if (!breather.isDue()) continue;
      await breather.rest();
      options.signal?.throwIfAborted();
    }
    return await writer.finish({
      minTime: options.minTimeMs,
      maxTime: options.maxTimeMs,
      compaction: {
        level: 1,
        sources: [options.ulid],
        ...(options.hints === undefined ? {} : { hints: options.hints }),
      },
    });
  } catch (error) {
    await writer.abandon().catch(() => {});
    throw error;
  }
}

/** The samples that came in order. */
function inOrder(store: HeadStore, minTimeMs: number): CutSource {
  const refs: number[] = [];
  store.series.forEach((ref, page, base) => {
    if (page.floats[(base >> 1) + (LAST_TIME >> 1)]! >= minTimeMs) refs.push(ref);
  });
  return { refs, chunksOf: (ref, range) => chunksInOrder(store, ref, range) };
}

/** Those of `candidates` that have samples in the range. */
async function findSeries(
  candidates: readonly number[],
  chunksOf: (ref: number) => readonly Chunk[],
  breather: Breather,
): Promise<Int32Array<ArrayBuffer>> {
  const refs = Int32Array.from(candidates);
  let found = 0;
  for (const ref of candidates) {
    if (chunksOf(ref).length > 0) refs[found++] = ref;
    if (breather.isDue()) await breather.rest();
  }
  return refs.slice(0, found);
}

/** Chunks that reach out of the range are cut. */
function withinRange(
  chunks: readonly Chunk[],
  { minTimeMs, maxTimeMs }: { minTimeMs: number; maxTimeMs: number },
): Chunk[] {
  return chunks.flatMap((chunk) =>
    chunk.minTimeMs >= minTimeMs && chunk.maxTimeMs < maxTimeMs
      ? chunk
      : withoutDeleted(chunk, [
          { minTime: -Infinity, maxTime: minTimeMs - 1 },
          { minTime: maxTimeMs, maxTime: Infinity },
        ]),
  );
}

/** The chunks of a series that overlap the range, oldest first. */
function chunksInOrder(
  store: HeadStore,
  ref: number,
  { minTimeMs, maxTimeMs }: { minTimeMs: number; maxTimeMs: number },
): Chunk[] {
  const { series, log, open, histograms } = store;
  const page = series.pageOf(ref)!;
  const base = (ref & PAGE_MASK) * LINE_WORDS;
  const half = base >> 1;
  const chunks: Chunk[] = [];
  const startMs = page.floats[half + CHUNK_START]!;
  const lastTimeMs = page.floats[half + (LAST_TIME >> 1)]!;
  if (page.words[base + FIRST_BLOCK] !== 0 && startMs < maxTimeMs && lastTimeMs >= minTimeMs) {
    if (page.words[base + FIRST_BLOCK] === OPEN_HISTOGRAM) chunks.push(histograms.toChunk(ref));
    else {
      const data = new Uint8Array(open.encodedSize(page, base));
      open.copyTo(page, base, data, 0);
      chunks.push({ encoding: ENCODING_XOR, minTimeMs: startMs, maxTimeMs: lastTimeMs, data });
    }
  }
  let stored = log.get(page.floats[half + LAST_CHUNK]!);
  while (stored !== undefined && stored.maxTimeMs >= minTimeMs) {
    if (stored.minTimeMs < maxTimeMs) chunks.push(log.read(stored));
    stored = log.get(stored.previous);
  }
  return chunks.reverse();
}

interface PairOrder {
  /** The symbols in use, in byte order; the first place is the empty text's. */
  readonly symbols: readonly number[];
  /** The place of each symbol in the block's table. */
  readonly places: Uint32Array;
  /** The order of two series by their labels. */
  compare(a: number, b: number): number;
}

/** Puts the symbols and label pairs of `refs` in order. */
async function rankPairs(
  store: HeadStore,
  refs: Int32Array,
  breather: Breather,
): Promise<PairOrder> {
  const { postings, series } = store;
  const { symbols } = postings;
  const empty = symbols.intern("");
  const usedPairs = new Uint8Array(postings.pairCount);
  for (const ref of refs) {
    const page = series.pageOf(ref)!;
    const { start, count } = series.pairRange(page, ref);
    for (let i = start; i < start + count; i++) usedPairs[page.pairs[i]!] = 1;
    if (breather.isDue()) await breather.rest();
  }
  const usedSymbols = new Uint8Array(symbols.count);
  usedSymbols[empty] = 1;
  let pairCount = 0;
  for (let pair = 0; pair < usedPairs.length; pair++) {
    if (usedPairs[pair] === 0) continue;
    pairCount++;
    usedSymbols[postings.nameOf(pair)] = 1;
    usedSymbols[postings.valueOf(pair)] = 1;
  }
  const ordered = await sortWithRests(
    numbersOf(usedSymbols),
    (a, b) => symbols.compare(a, b),
    breather,
  );
  const places = new Uint32Array(usedSymbols.length);
  for (let i = 0; i < ordered.length; i++) places[ordered[i]!] = i;
  const pairs = await sortWithRests(
    numbersOf(usedPairs),
    (a, b) =>
      places[postings.nameOf(a)]! - places[postings.nameOf(b)]! ||
      places[postings.valueOf(a)]! - places[postings.valueOf(b)]!,
    breather,
  );
  const ranks = new Uint32Array(usedPairs.length);
  for (let i = 0; i < pairCount; i++) ranks[pairs[i]!] = i;
  return {
    symbols: [...ordered],
    places,
    compare(a, b) {
      const pageA = series.pageOf(a)!;
      const pageB = series.pageOf(b)!;
      let i = pageA.labelStarts[a & PAGE_MASK]!;
      let j = pageB.labelStarts[b & PAGE_MASK]!;
      const countA = pageA.pairs[i]!;
      const countB = pageB.pairs[j]!;
      for (let rest = countA < countB ? countA : countB; rest > 0; rest--) {
        const x = pageA.pairs[++i]!;
        const y = pageB.pairs[++j]!;
        if (x !== y) return ranks[x]! - ranks[y]!;
      }
      return countA - countB;
    },
  };
}

/** The places at which `flags` is set. */
function numbersOf(flags: Uint8Array): Int32Array<ArrayBuffer> {
  let count = 0;
  for (const flag of flags) count += flag;
  const numbers = new Int32Array(count);
  let at = 0;
  for (let i = 0; i < flags.length; i++) if (flags[i] !== 0) numbers[at++] = i;
  return numbers;
}
