import { AppError } from "../base/errors.ts";
import { decodeXor } from "../chunk/xor.ts";
import { type Chunk, ENCODING_XOR } from "../storage/queryable.ts";
import { type Block, openBlock } from "./block.ts";
import type { ChunkPlace } from "./chunk-files.ts";
import { decodeHistogramChunk, isHistogram, sampleCountOf } from "../storage/chunk-encodings.ts";
import { readable } from "../storage/started-chunk.ts";
import { isUnreadable } from "./unreadable.ts";

/** What `verifyBlock` found. */
export interface BlockReport {
  readonly folder: string;
  readonly ulid: string;
  readonly seriesCount: number;
  readonly chunkCount: number;
  readonly sampleCount: number;
  /** One line per broken promise, the first `PROBLEMS_MAX` of them; empty for a sound block. */
  readonly problems: readonly string[];
}

const PROBLEMS_MAX = 100;
const BATCH_SERIES = 1024;

/**
 * Reads all of a block and holds it against its own promises: checksums, order of symbols, series and chunks, times and
 * counts of samples, postings against series, `meta.json` against all. Never throws for what is wrong with the block.
 * `onProgress` hears the share of its series that are done.
 */
export async function verifyBlock(
  folder: string,
  onProgress: (share: number) => void = () => {},
): Promise<BlockReport> {
  const check = new Check();
  let block: Block | undefined;
  try {
    block = await openBlock(folder);
    await checkSymbols(block, check);
    await checkSeries(block, check, onProgress);
    await checkPostings(block, check);
    checkMeta(block, check);
  } catch (error) {
    check.problem(error instanceof AppError ? error.message : String(error));
  } finally {
    await block?.close();
  }
  return {
    folder,
    ulid: block?.meta.ulid ?? "",
    seriesCount: check.seriesCount,
    chunkCount: check.chunkCount,
    sampleCount: check.sampleCount,
    problems: check.problems,
  };
}

interface SampleColumns {
  readonly times: Float64Array;
  readonly values: Float64Array;
  readonly offset: number;
}

class Check {
  readonly problems: string[] = [];
  seriesCount = 0;
  chunkCount = 0;
  sampleCount = 0;
  /** Series by label name and value, as symbols. */
  readonly pairs = new Map<number, Map<number, number>>();

  problem(text: string): void {
    if (this.problems.length < PROBLEMS_MAX) this.problems.push(text);
  }
}

async function checkSymbols({ index }: Block, check: Check): Promise<void> {
  const { symbols } = index;
  for (let i = 1; i < symbols.count; i++)
    if (symbols.compareWith(i - 1, symbols, i) >= 0)
      check.problem(`symbol ${i} (${JSON.stringify(symbols.text(i))}) is out of order`);
}

async function checkSeries(
  block: Block,
  check: Check,
  onProgress: (share: number) => void,
): Promise<void> {
  const { index, meta } = block;
  const refs = await index.allPostings();
  let previous: number[] = [];
  for (let from = 0; from < refs.length; from += BATCH_SERIES) {
    const places: (ChunkPlace & { name: string })[] = [];
    const range = { from, to: Math.min(from + BATCH_SERIES, refs.length) };
    await index.forEachSeries(refs, range, (entry) => {
      const symbols = [...entry.symbols.subarray(0, entry.labelCount * 2)];
      const name = `series ${index.labelsOf(entry.symbols, 0, 2 * entry.labelCount).toString()}`;
      if (compareNumbers(previous, symbols) >= 0) check.problem(`${name} is out of order`);
      previous = symbols;
      check.seriesCount++;
      for (let i = 0; i < symbols.length; i += 2) {
        let values = check.pairs.get(symbols[i]!);
        if (values === undefined) check.pairs.set(symbols[i]!, (values = new Map()));
        values.set(symbols[i + 1]!, (values.get(symbols[i + 1]!) ?? 0) + 1);
      }
      for (let i = 0; i < entry.chunkCount; i++) {
        const minTimeMs = entry.minTimes[i]!;
        const maxTimeMs = entry.maxTimes[i]!;
        if (i > 0 && minTimeMs <= entry.maxTimes[i - 1]!)
          check.problem(`${name}: chunk ${i} overlaps the one before`);
        if (minTimeMs < meta.minTime || maxTimeMs >= meta.maxTime)
          check.problem(`${name}: chunk ${i} is outside the block's time`);
        places.push({ ref: entry.chunkRefs[i]!, minTimeMs, maxTimeMs, name });
      }
    });
    await checkChunks(block, places, check);
    onProgress(range.to / refs.length);
  }
}

async function checkChunks(
  block: Block,
  places: readonly (ChunkPlace & { name: string })[],
  check: Check,
): Promise<void> {
  const into = { times: new Float64Array(65_535), values: new Float64Array(65_535), offset: 0 };
  const chunks = await block.chunks.read(places);
  for (const [i, chunk] of chunks.entries()) {
    const { name } = places[i]!;
    check.chunkCount++;
    const count = sampleCountOf(chunk);
    check.sampleCount += count;
    if (count === 0) check.problem(`${name} has a chunk without samples`);
    try {
      checkTimes(chunk, { name, count, into, check });
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      check.problem(`${name} has a chunk that cannot be read: ${error.message}`);
    }
  }
}

/** Throws `corrupt` when the chunk cannot be decoded. */
function checkTimes(
  chunk: Chunk,
  at: { name: string; count: number; into: SampleColumns; check: Check },
): void {
  const { name, count, into, check } = at;
  const plain = readable(chunk);
  let { times } = into;
  if (plain.encoding === ENCODING_XOR) decodeXor(plain.data, into);
  else if (isHistogram(plain.encoding)) ({ times } = decodeHistogramChunk(plain));
  else {
    check.problem(`${name} has a chunk of unknown encoding ${chunk.encoding}`);
    return;
  }
  if (times[0] !== chunk.minTimeMs || times[count - 1] !== chunk.maxTimeMs)
    check.problem(`${name}: the times of a chunk differ from the index`);
  for (let k = 1; k < count; k++)
    if (times[k]! <= times[k - 1]!) {
      check.problem(`${name}: samples of a chunk are not in order`);
      break;
    }
}

async function checkPostings({ index }: Block, check: Check): Promise<void> {
  let pairCount = 0;
  for (const name of index.labelNames()) {
    const values = check.pairs.get(index.symbols.find(name));
    await index.forEachValueCount(name, (value, seriesCount) => {
      pairCount++;
      const wanted = values?.get(index.symbols.find(value)) ?? 0;
      if (wanted !== seriesCount)
        check.problem(
          `postings of ${name}=${JSON.stringify(value)} list ${seriesCount} series, and ${wanted} carry it`,
        );
    });
  }
  let carried = 0;
  for (const values of check.pairs.values()) carried += values.size;
  if (carried !== pairCount)
    check.problem(`the index lists ${pairCount} label pairs, and its series carry ${carried}`);
}

function checkMeta({ meta, tombstones }: Block, check: Check): void {
  const f = (what: string, said: number | undefined, found: number): void => {
    if (said !== undefined && said !== found)
      check.problem(`meta.json says ${said} ${what}, and there are ${found}`);
  };
  f("series", meta.stats.numSeries, check.seriesCount);
  f("chunks", meta.stats.numChunks, check.chunkCount);
  f("samples", meta.stats.numSamples, check.sampleCount);
  if (tombstones.size > check.seriesCount) check.problem("there are more tombstones than series");
}

function compareNumbers(a: readonly number[], b: readonly number[]): number {
  for (let i = 0; i < a.length && i < b.length; i++) if (a[i] !== b[i]) return a[i]! - b[i]!;
  return a.length - b.length;
}
