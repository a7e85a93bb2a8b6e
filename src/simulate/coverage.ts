import type { SimTarget } from "./sim-target.ts";
import { countTicks, type Rhythm, tickBefore, tickFrom } from "./ticks.ts";

/**
 * Who scrapes what, watched from outside: neither planner nor shards know of it. For every target it keeps the shards
 * that scrape it and the time of the last good scrape by any of them, and finds
 *
 *     gap       more than one interval between two good scrapes, though the target answered and some shard ran
 *     overlap   scrapes beyond those that one owner would have made, while two shards had the target
 *     wait      from the first listing by discovery to the first good scrape
 *     lost      listed, and on no running shard for longer than is allowed
 *
 * It looks only when something changes; between two changes all follows from the scrapers' rhythms.
 */
export interface CoverageOptions {
  /** How long a listed target may be on no running shard before it counts as lost. */
  readonly maxWaitMs: number;
  /** How long two shards may scrape `target` before it counts as doubled. */
  readonly maxOverlapMs: (target: SimTarget) => number;
  /** How long a gap by the loss of a shard may last for `target`. */
  readonly maxLossGapMs: (target: SimTarget) => number;
  /** Told of each find at the time it began. */
  readonly onFind?: (kind: "loss-gap" | "gap" | "overlap", timeMs: number, count: number) => void;
}

/** One thing that went wrong, for people to look into. */
export interface Finding {
  readonly kind: "gap" | "loss-gap" | "doubled" | "lost";
  readonly url: string;
  readonly hash: string;
  /** The shard that had the target last; undefined for one that never had any. */
  readonly shard: string | undefined;
  readonly fromMs: number;
  readonly durationMs: number;
}

export interface GapFigures {
  /** Scrapes that did not happen. */
  readonly intervals: number;
  /** How often targets had a gap. */
  readonly count: number;
  readonly longestMs: number;
}

export interface CoverageFigures {
  /** Where no shard was lost. */
  readonly gaps: GapFigures;
  /** Where the shard that had the target was lost. */
  readonly lossGaps: GapFigures & { readonly tooLong: number };
  readonly overlaps: GapFigures & { readonly tooLong: number };
  /** Targets that were lost at any time. */
  readonly lost: number;
  /** Listed targets that no running shard had at the end, however short. */
  readonly unownedAtEnd: number;
  /** From listing to first good scrape. */
  readonly waitsMs: readonly number[];
  /** The first of each kind, at most `FINDINGS_MAX` in all. */
  readonly findings: readonly Finding[];
}

export const FINDINGS_MAX = 20;

/** Half a percent of an interval is rounding, not a gap. */
const TOLERANCE = 0.005;

interface Scraper {
  readonly shard: string;
  readonly rhythm: Rhythm;
}

interface Entry {
  readonly target: SimTarget;
  readonly listedMs: number;
  readonly scrapers: Scraper[];
  /** What stands in `scrapers` holds since then. */
  sinceMs: number;
  lastGoodMs: number | undefined;
  /** When it last lost a scraper together with a shard. */
  lostMs: number;
  lastShard: string | undefined;
  unownedSinceMs: number | undefined;
  overlapSinceMs: number | undefined;
}

class Tally implements GapFigures {
  intervals = 0;
  count = 0;
  longestMs = 0;
  tooLong = 0;

  add(intervals: number): void {
    this.intervals += intervals;
  }

  end(durationMs: number, maxMs: number): boolean {
    this.count++;
    this.longestMs = Math.max(this.longestMs, durationMs);
    const isTooLong = durationMs > maxMs;
    if (isTooLong) this.tooLong++;
    return isTooLong;
  }
}

export class Coverage {
  readonly #options: CoverageOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #gaps = new Tally();
  readonly #lossGaps = new Tally();
  readonly #overlaps = new Tally();
  readonly #waitsMs: number[] = [];
  readonly #lost = new Set<string>();
  readonly #findings: Finding[] = [];
  /** Times in which no shard ran at all; the last one may still be going on. */
  readonly #blackouts: { fromMs: number; toMs: number }[] = [];

  constructor(options: CoverageOptions) {
    this.#options = options;
  }

  /** Discovery lists `target` for the first time. */
  list(target: SimTarget, nowMs: number): void {
    this.#entries.set(target.target.hash, {
      target,
      listedMs: nowMs,
      scrapers: [],
      sinceMs: nowMs,
      lastGoodMs: undefined,
      lostMs: -Infinity,
      lastShard: undefined,
      unownedSinceMs: nowMs,
      overlapSinceMs: undefined,
    });
  }

  /** It had been scraped well before the simulation began, the last time at `timeMs`. */
  scraped(hash: string, timeMs: number): void {
    const entry = this.#entries.get(hash);
    if (entry !== undefined) entry.lastGoodMs = timeMs;
  }

  /** From now on `shard` scrapes the target with `hash` in `rhythm`. */
  join(hash: string, scraper: Scraper, nowMs: number): void {
    const entry = this.#entries.get(hash);
    if (entry === undefined) return;
    this.#advance(entry, nowMs);
    this.#endUnowned(entry, nowMs);
    entry.scrapers.push(scraper);
    entry.lastShard = scraper.shard;
    if (entry.scrapers.length === 2) entry.overlapSinceMs = nowMs;
  }

  /** `shard` scrapes it no more: it was told so, or it was lost. */
  leave(hash: string, leaver: { shard: string; isLost: boolean }, nowMs: number): void {
    const entry = this.#entries.get(hash);
    const index = entry?.scrapers.findIndex(({ shard }) => shard === leaver.shard) ?? -1;
    if (entry === undefined || index < 0) return;
    this.#advance(entry, nowMs);
    entry.scrapers.splice(index, 1);
    if (leaver.isLost) entry.lostMs = nowMs;
    if (entry.scrapers.length === 1) this.#endOverlap(entry, nowMs);
    if (entry.scrapers.length === 0) entry.unownedSinceMs = nowMs;
  }

  /** The target has ceased to exist: what is done about it from now on does not matter. */
  end(hash: string, nowMs: number): void {
    const entry = this.#entries.get(hash);
    if (entry === undefined) return;
    this.#close(entry, nowMs);
    this.#entries.delete(hash);
  }

  /** Tells whether any shard runs from now on. */
  shardsRunning(isAny: boolean, nowMs: number): void {
    const last = this.#blackouts.at(-1);
    const isDark = last !== undefined && last.toMs === Infinity;
    if (isAny && isDark) last.toMs = nowMs;
    else if (!isAny && !isDark) this.#blackouts.push({ fromMs: nowMs, toMs: Infinity });
  }

  /** Closes the books. */
  finish(nowMs: number): CoverageFigures {
    let unownedAtEnd = 0;
    for (const entry of this.#entries.values()) {
      if (entry.scrapers.length === 0) unownedAtEnd++;
      this.#close(entry, nowMs);
    }
    return {
      gaps: this.#gaps,
      lossGaps: this.#lossGaps,
      overlaps: this.#overlaps,
      lost: this.#lost.size,
      unownedAtEnd,
      waitsMs: this.#waitsMs,
      findings: this.#findings,
    };
  }

  #close(entry: Entry, nowMs: number): void {
    this.#advance(entry, nowMs);
    if (entry.lastGoodMs !== undefined) this.#checkGap(entry, nowMs);
    if (entry.overlapSinceMs !== undefined) this.#endOverlap(entry, nowMs);
    if (entry.unownedSinceMs !== undefined) this.#endUnowned(entry, nowMs);
  }

  /** Accounts for the scrapes in [sinceMs, nowMs). */
  #advance(entry: Entry, nowMs: number): void {
    const { scrapers, sinceMs, target } = entry;
    entry.sinceMs = nowMs;
    if (target.isDown || nowMs <= sinceMs) return;
    let firstMs = Infinity;
    let lastMs = -Infinity;
    let total = 0;
    let most = 0;
    for (const { rhythm } of scrapers) {
      const count = countTicks(rhythm, sinceMs, nowMs);
      if (count === 0) continue;
      firstMs = Math.min(firstMs, tickFrom(rhythm, sinceMs));
      lastMs = Math.max(lastMs, tickBefore(rhythm, nowMs));
      total += count;
      most = Math.max(most, count);
    }
    if (total === 0) return;
    if (entry.lastGoodMs === undefined) this.#waitsMs.push(firstMs - entry.listedMs);
    else this.#checkGap(entry, firstMs);
    entry.lastGoodMs = lastMs;
    if (total === most) return;
    this.#overlaps.add(total - most);
    this.#options.onFind?.("overlap", sinceMs, total - most);
  }

  /** A good scrape at `nextMs`, or the end of the target: was there one an interval before? */
  #checkGap(entry: Entry, nextMs: number): void {
    const fromMs = entry.lastGoodMs!;
    const { intervalMs } = entry.target.target;
    const durationMs = nextMs - fromMs - this.#darkTime(fromMs, nextMs);
    const missed = Math.ceil(durationMs / intervalMs - TOLERANCE) - 1;
    if (missed <= 0) return;
    const isLoss = entry.lostMs >= fromMs;
    const kind = isLoss ? "loss-gap" : "gap";
    const tally = isLoss ? this.#lossGaps : this.#gaps;
    const maxMs = isLoss ? this.#options.maxLossGapMs(entry.target) : 0;
    tally.add(missed);
    if (tally.end(durationMs, maxMs)) this.#found(entry, { kind, fromMs, durationMs });
    this.#options.onFind?.(kind, fromMs, missed);
  }

  #endOverlap(entry: Entry, nowMs: number): void {
    const fromMs = entry.overlapSinceMs!;
    entry.overlapSinceMs = undefined;
    const durationMs = nowMs - fromMs;
    if (durationMs === 0) return;
    if (this.#overlaps.end(durationMs, this.#options.maxOverlapMs(entry.target)))
      this.#found(entry, { kind: "doubled", fromMs, durationMs });
  }

  #endUnowned(entry: Entry, nowMs: number): void {
    const fromMs = entry.unownedSinceMs;
    entry.unownedSinceMs = undefined;
    if (fromMs === undefined || nowMs - fromMs <= this.#options.maxWaitMs) return;
    const { hash } = entry.target.target;
    if (this.#lost.has(hash)) return;
    this.#lost.add(hash);
    this.#found(entry, { kind: "lost", fromMs, durationMs: nowMs - fromMs });
  }

  #found(entry: Entry, found: Pick<Finding, "kind" | "fromMs" | "durationMs">): void {
    if (this.#findings.length >= FINDINGS_MAX) return;
    const { hash, url } = entry.target.target;
    this.#findings.push({ ...found, hash, url, shard: entry.lastShard });
  }

  #darkTime(fromMs: number, toMs: number): number {
    let sum = 0;
    for (const blackout of this.#blackouts)
      sum += Math.max(0, Math.min(toMs, blackout.toMs) - Math.max(fromMs, blackout.fromMs));
    return sum;
  }
}
