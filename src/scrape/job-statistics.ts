import { decodePairs } from "../exposition/series.ts";
import { METRIC_NAME } from "../model/labels.ts";
import type { LineCache } from "./line-cache.ts";
import { REF_DROPPED, REF_DUPLICATE } from "./line-table.ts";

/** Samples of one metric, in Kvass's words: all of them, and those left after metric_relabel_configs. */
export interface MetricCount {
  total: number;
  scraped: number;
}

/** What the last scrapes of a job's targets brought (Kvass's `Statistics`). */
export interface JobStatistics {
  readonly scrapedTotal: number;
  readonly total: number;
  /** Empty unless asked for. */
  readonly metrics: ReadonlyMap<string, MetricCount>;
}

/** What is wanted: jobs whose name contains `job`, and whether metric by metric. */
export interface StatisticsQuery {
  readonly job: string;
  readonly withMetrics: boolean;
}

const BRACE = 123;

/**
 * Adds the samples of a target's last good body to `into`, by metric name. Read when somebody asks: scrapes pay nothing
 * for it. A body has its metrics together, so a name is mostly the one of the line before.
 */
export function countMetrics(cache: LineCache, into: Map<string, MetricCount>): void {
  const { body, refs, seriesStart, seriesEnd, kinds, count } = cache.table;
  const text = Buffer.from(body.buffer, body.byteOffset, body.length);
  let nameStart = 0;
  let nameLength = -1;
  let current: MetricCount = { total: 0, scraped: 0 };
  for (let i = 0; i < count; i++) {
    const start = seriesStart[i]!;
    const end = seriesEnd[i]!;
    // Fast path: the same bytes up to the brace or the end are the same name.
    let same = nameLength > 0 && nameLength <= end - start;
    for (let k = 0; same && k < nameLength; k++) same = body[start + k] === body[nameStart + k];
    const after = start + nameLength;
    if (!same || (after < end && body[after] !== BRACE)) {
      let p = start;
      while (p < end && body[p] !== BRACE) p++;
      nameStart = start;
      nameLength = p - start;
      const name = nameOf(text, { start, end, kind: kinds[i]! });
      const known = into.get(name);
      if (known === undefined) into.set(name, (current = { total: 0, scraped: 0 }));
      else current = known;
    }
    current.total++;
    let ref = refs[i]!;
    if (ref <= REF_DUPLICATE) ref = refs[REF_DUPLICATE - ref]!;
    if (ref !== REF_DROPPED) current.scraped++;
  }
}

function nameOf(text: Buffer, range: { start: number; end: number; kind: number }): string {
  const pairs = decodePairs(text, range);
  const at = pairs.findIndex((name, i) => i % 2 === 0 && name === METRIC_NAME);
  return at < 0 ? "" : pairs[at + 1]!;
}
