import type { Matcher } from "../model/matcher.ts";
import { METRIC_NAME } from "../model/labels.ts";
import type { SeriesEntry } from "../index/series-entry.ts";
import type { Block } from "./block.ts";

/** A label, pair or metric and its figure. */
export interface Ranked {
  readonly name: string;
  readonly value: number;
}

/** What makes a block large: promtool's figures under promtool's meanings. Lists have their largest entries first. */
export interface BlockAnalysis {
  readonly ulid: string;
  readonly durationMs: number;
  readonly totalSeries: number;
  readonly labelNameCount: number;
  readonly matchedSeries: number;
  readonly pairCount: number;
  readonly pairEntryCount: number;
  /** By how many whole blocks' time all its series together are missing. */
  readonly churningPairs: readonly Ranked[];
  readonly churningNames: readonly Ranked[];
  readonly commonPairs: readonly Ranked[];
  /** Bytes of all values of a name. */
  readonly longestNames: readonly Ranked[];
  /** Values of a name. */
  readonly widestNames: readonly Ranked[];
  /** Series of a metric. */
  readonly widestMetrics: readonly Ranked[];
}

const BATCH_SERIES = 16_384;

/** Reads the index of a block, or the part of it that `matchers` select (absent: all of it), and ranks what it finds. */
export async function analyzeBlock(
  block: Block,
  options: {
    limit: number;
    matchers?: readonly Matcher[];
    onProgress?: (share: number) => void;
  },
): Promise<BlockAnalysis> {
  const { index, meta } = block;
  const { limit, matchers, onProgress } = options;
  const { symbols } = index;
  const durationMs = meta.maxTime - meta.minTime;
  // As with promtool, `{}` names nothing, and no selector at all means everything.
  const refs = matchers?.length === 0 ? new Int32Array(0) : await index.matching(matchers ?? []);
  /** By label name and value, as symbols: uncovered time and series. */
  const names = new Map<number, Map<number, { uncovered: number; count: number }>>();
  let entryCount = 0;
  const add = (entry: SeriesEntry): void => {
    const { chunkCount, minTimes, maxTimes } = entry;
    const covered = chunkCount === 0 ? 0 : maxTimes[chunkCount - 1]! - minTimes[0]!;
    for (let i = 0; i < entry.labelCount; i++) {
      const name = entry.symbols[2 * i]!;
      let values = names.get(name);
      if (values === undefined) names.set(name, (values = new Map()));
      let pair = values.get(entry.symbols[2 * i + 1]!);
      if (pair === undefined)
        values.set(entry.symbols[2 * i + 1]!, (pair = { uncovered: 0, count: 0 }));
      pair.uncovered += durationMs - covered;
      pair.count++;
      entryCount++;
    }
  };
  for (let from = 0; from < refs.length; from += BATCH_SERIES) {
    const to = Math.min(from + BATCH_SERIES, refs.length);
    await index.forEachSeries(refs, { from, to }, add);
    onProgress?.(to / refs.length);
  }
  const churningPairs: Ranked[] = [];
  const churningNames: Ranked[] = [];
  const commonPairs: Ranked[] = [];
  const longestNames: Ranked[] = [];
  const widestNames: Ranked[] = [];
  const widestMetrics: Ranked[] = [];
  for (const [symbol, values] of names) {
    const name = symbols.text(symbol);
    let uncovered = 0;
    let bytes = 0;
    for (const [value, pair] of values) {
      const text = `${name}=${symbols.text(value)}`;
      churningPairs.push({ name: text, value: Math.floor(pair.uncovered / durationMs) });
      commonPairs.push({ name: text, value: pair.count });
      uncovered += pair.uncovered;
      bytes += symbols.bytesOf(value).length;
      if (name === METRIC_NAME)
        widestMetrics.push({ name: symbols.text(value), value: pair.count });
    }
    churningNames.push({ name, value: Math.floor(uncovered / durationMs) });
    longestNames.push({ name, value: bytes });
    widestNames.push({ name, value: values.size });
  }
  const pairCount = commonPairs.length;
  const top = (list: Ranked[]): Ranked[] =>
    list.sort((a, b) => b.value - a.value || (a.name < b.name ? -1 : 1)).slice(0, limit);
  return {
    ulid: meta.ulid,
    durationMs,
    totalSeries: (await index.allPostings()).length,
    labelNameCount: names.size,
    matchedSeries: refs.length,
    pairCount,
    pairEntryCount: entryCount,
    churningPairs: top(churningPairs),
    churningNames: top(churningNames),
    commonPairs: top(commonPairs),
    longestNames: top(longestNames),
    widestNames: top(widestNames),
    widestMetrics: top(widestMetrics),
  };
}
