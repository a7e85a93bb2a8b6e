import { AppError } from "../base/errors.ts";
import type { TextFormat } from "../exposition/entry-parser.ts";
import {
  EXACT_INTEGER_MAX,
  EXACT_POWERS,
  parseFloatBytes,
  writeNormalNaN,
} from "../exposition/float-bytes.ts";
import { ExpositionParser } from "../exposition/parse.ts";
import { decodePairs, decodeSeries } from "../exposition/series.ts";
import type { BesideText, FamiliesBeside } from "../exposition/protobuf.ts";
import type { NativeSample } from "../exposition/protobuf-histogram.ts";
import { Labels } from "../model/labels.ts";
import type { AppendExemplar, HistogramColumns } from "../storage/appender.ts";
import { LineTable, REF_DROPPED, REF_DUPLICATE, REF_REFUSED } from "./line-table.ts";
import type { CreatedSample } from "./created-zeros.ts";
import type { ScanScratch } from "./scan-scratch.ts";
import type { Labeler } from "./sample-labels.ts";

/** Prometheus's limit for samples from the future, counted from the scrape. */
export const FUTURE_MAX_MS = 10 * 60_000;
const NOT_RESOLVED = REF_REFUSED;
const NO_FAMILIES: FamiliesBeside = new Map();

/** What a scan of a body needs to know of its target. */
export interface ScanRules {
  readonly labeler: Labeler;
  readonly honorTimestamps: boolean;
  readonly trackTimestampsStaleness: boolean;
  /** 0: no limit. */
  readonly sampleLimit: number;
}

/** What a scan found. With `error` the whole body is void, the counts are those up to there. */
export interface ScanResult {
  readonly error: AppError | undefined;
  /** Samples in the body. */
  readonly scraped: number;
  /** Those that relabelling kept. */
  readonly added: number;
  /** Series that the scrape before did not have. */
  readonly seriesAdded: number;
  /** Second samples of one series. */
  readonly duplicate: number;
  /** Samples too far in the future. */
  readonly outOfBounds: number;
}

/** A series of the body that is to be stored. */
interface ScannedSeries {
  /** Where its line is in the body. */
  readonly start: number;
  readonly ref: number;
  readonly isFresh: boolean;
  readonly labels: () => Labels | undefined;
}

/** A series that this body shows for the first time. */
interface Fresh {
  readonly line: number;
  readonly labels: Labels;
}

interface ScannedExemplar {
  /** Of its sample. */
  readonly line: number;
  /** Where its labels are in the body, when they are there. */
  readonly start: number;
  readonly end: number;
  readonly labels?: Labels;
  readonly value: number;
  readonly timeMs: number | undefined;
}

interface ScanOptions {
  readonly body: Uint8Array;
  readonly length: number;
  readonly format: TextFormat;
  readonly rules: ScanRules;
  readonly nowMs: number;
  readonly forgotten: boolean;
  /** What the body's text cannot say, by the number of the sample. */
  readonly beside: BesideText | undefined;
}

/** One pass over a body, against the lines of the body before. */
export class Scan {
  readonly result: ScanResult;
  readonly format: TextFormat;
  /** Whether anything else than values differs from the previous body. */
  changed = false;
  readonly #scratch: ScanScratch;
  readonly #previous: LineTable;
  readonly #options: ScanOptions;
  readonly #parser: ExpositionParser;
  /** Whether the sample being read is the one that fails the scrape: it counts as scraped, not as added. */
  #failing = false;
  readonly #fresh: Fresh[] = [];
  readonly #exemplars: ScannedExemplar[] = [];
  #indexed = false;
  /** Lines of the previous body that may be matched: none when it was forgotten. */
  readonly #previousCount: number;
  /** Next line of the previous body to compare with; where this body goes on; lines read so far. */
  #line = 0;
  #position = 0;
  #count = 0;
  #kind = 0;
  #trackedSeen = 0;
  #dropped = 0;
  #duplicate = 0;
  #stamped = 0;
  #outOfBounds = 0;
  #freshAdded = 0;

  constructor(scratch: ScanScratch, previous: LineTable, options: ScanOptions) {
    this.#scratch = scratch;
    this.#previous = previous;
    this.#options = options;
    this.format = options.format;
    this.#previousCount = options.forgotten ? 0 : previous.count;
    this.#parser = scratch.parsers[options.format];
    this.#parser.reset(options.body, options.length);
    scratch.next.body = options.body;
    scratch.next.length = options.length;
    scratch.next.count = 0;
    scratch.next.trackedCount = 0;
    scratch.freshIndex.clear(0);
    scratch.reserve(this.#previousCount + 16);
    if (scratch.seen.length < previous.count)
      scratch.seen = new Int32Array(previous.count + (previous.count >> 2) + 16);
    scratch.seen.fill(0, 0, previous.count);
    for (const { sample, exemplar } of options.beside?.exemplars ?? []) {
      const { labels = Labels.EMPTY, value = 0, timeMs: ownMs } = exemplar;
      this.#exemplars.push({ line: sample, start: 0, end: 0, labels, value, timeMs: ownMs });
    }
    let error: AppError | undefined;
    try {
      this.#read();
      this.#restoreNaNs();
      error = this.#overLimit();
    } catch (thrown) {
      error = AppError.from(thrown, "bad-data");
    }
    const { sampleLimit } = options.rules;
    const added = this.#count - this.#dropped;
    this.result = {
      error,
      scraped: this.#count + (error !== undefined && this.#failing ? 1 : 0),
      added,
      seriesAdded: sampleLimit > 0 ? Math.min(this.#freshAdded, sampleLimit) : this.#freshAdded,
      duplicate: this.#duplicate,
      outOfBounds: this.#outOfBounds,
    };
    if (this.#trackedSeen !== this.#previous.trackedCount) this.changed = true;
  }

  /** The text has but one NaN. */
  #restoreNaNs(): void {
    const { nans } = this.#options.beside ?? {};
    if (nans === undefined || nans.size === 0) return;
    const bits = new BigUint64Array(this.#scratch.next.values.buffer);
    for (const [sample, value] of nans) bits[sample] = value;
  }

  /** Calls `resolve` for every series that is new; a ref below 0 means that the storage refused it. */
  resolve(resolve: (labels: Labels) => number): void {
    const { refs, tracked } = this.#scratch.next;
    for (const { line, labels } of this.#fresh) {
      const ref = resolve(labels);
      refs[line] = ref >= 0 ? ref : REF_REFUSED;
      if (ref < 0 && tracked[line] === 1) {
        tracked[line] = 0;
        this.#scratch.next.trackedCount--;
      }
    }
  }

  /** The body, for what else is to be read of it. */
  get source(): { body: Uint8Array; length: number; format: TextFormat } {
    const { body, length, format } = this.#options;
    return { body, length, format };
  }

  get families(): FamiliesBeside {
    return this.#options.beside?.families ?? NO_FAMILIES;
  }

  /** Calls `visit` with each series once it is resolved, in the order of the body. */
  forEachSeries(visit: (series: ScannedSeries) => void): void {
    const { next } = this.#scratch;
    const { rules } = this.#options;
    let fresh = 0;
    for (let line = 0; line < this.#count; line++) {
      while (fresh < this.#fresh.length && this.#fresh[fresh]!.line < line) fresh++;
      const own = this.#fresh[fresh];
      const isFresh = own?.line === line;
      const ref = next.refs[line]!;
      if (ref < 0) continue;
      const start = next.seriesStart[line]!;
      const labels = (): Labels | undefined => {
        if (isFresh) return own.labels;
        const at = { start, end: next.seriesEnd[line]!, kind: next.kinds[line]! };
        return rules.labeler(decodePairs(this.#parser.text, at));
      };
      visit({ start, ref, isFresh, labels });
    }
  }

  /** Appends the samples that are to be stored; `timeMs` is the scrape's time. */
  emit(into: EmitTarget, timeMs: number): void {
    const { next, hasTimestamp, timestamps } = this.#scratch;
    const count = this.#count;
    into.reserve(into.count + count);
    const { refs, times, values } = into;
    const from = next.refs;
    let n = into.count;
    const histograms = this.#options.beside?.histograms;
    if (
      this.#stamped === 0 &&
      this.#dropped === 0 &&
      this.#duplicate === 0 &&
      (histograms === undefined || histograms.size === 0)
    ) {
      // Fast path: every line is a sample at the scrape's time, unless the storage refused its series.
      for (let i = 0; i < count; i++) {
        if (from[i]! < 0) continue;
        refs[n] = from[i]!;
        n++;
      }
      if (n - into.count === count) {
        values.set(next.values.subarray(0, count), into.count);
        times.fill(timeMs, into.count, n);
        into.count = n;
        return;
      }
      n = into.count;
    }
    const futureMs = this.#options.nowMs + FUTURE_MAX_MS;
    const fromWords = new Uint32Array(next.values.buffer);
    const toWords = new Uint32Array(values.buffer);
    for (let i = 0; i < count; i++) {
      let ref = from[i]!;
      const stamped = hasTimestamp[i] === 1;
      if (ref <= REF_DUPLICATE && stamped) ref = from[REF_DUPLICATE - ref]!;
      if (ref < 0 || (stamped && timestamps[i]! > futureMs)) continue;
      if (histograms?.has(i) === true) continue;
      refs[n] = ref;
      times[n] = stamped ? timestamps[i]! : timeMs;
      toWords[2 * n] = fromWords[2 * i]!;
      toWords[2 * n + 1] = fromWords[2 * i + 1]!;
      n++;
    }
    into.count = n;
  }

  /** The samples that are native histograms; undefined when there are none. */
  histograms(timeMs: number): HistogramColumns | undefined {
    const all = this.#options.beside?.histograms;
    if (all === undefined || all.size === 0) return undefined;
    const { next, hasTimestamp, timestamps } = this.#scratch;
    const futureMs = this.#options.nowMs + FUTURE_MAX_MS;
    const rows: { ref: number; timeMs: number; sample: NativeSample }[] = [];
    for (const [line, sample] of all) {
      const stamped = hasTimestamp[line] === 1;
      let ref = next.refs[line]!;
      if (ref <= REF_DUPLICATE && stamped) ref = next.refs[REF_DUPLICATE - ref]!;
      const ownMs = stamped ? timestamps[line]! : timeMs;
      if (ref >= 0 && ownMs <= futureMs) rows.push({ ref, timeMs: ownMs, sample });
    }
    return {
      refs: Int32Array.from(rows, ({ ref }) => ref),
      times: Float64Array.from(rows, (row) => row.timeMs),
      histograms: rows.map(({ sample }) => sample.histogram),
      isFloat: Uint8Array.from(rows, ({ sample }) => (sample.isFloat ? 1 : 0)),
      count: rows.length,
    };
  }

  /** The samples that are to be stored and whose series tell when they were created, before the sample. */
  created(timeMs: number): CreatedSample[] {
    const { created, histograms } = this.#options.beside ?? {};
    const { next, hasTimestamp, timestamps } = this.#scratch;
    const found: CreatedSample[] = [];
    for (const [line, createdMs] of created ?? []) {
      const ref = next.refs[line]!;
      const ownMs = hasTimestamp[line] === 1 ? timestamps[line]! : timeMs;
      if (ref < 0 || createdMs === 0 || createdMs >= ownMs) continue;
      found.push({ ref, createdMs, native: histograms?.get(line) });
    }
    return found;
  }

  /** The exemplars of the samples that are to be stored; those without a time have their sample's. */
  exemplars(timeMs: number): AppendExemplar[] {
    const { next, hasTimestamp, timestamps } = this.#scratch;
    const found: AppendExemplar[] = [];
    for (const one of this.#exemplars) {
      const { line, start, end, value, timeMs: ownMs } = one;
      let ref = next.refs[line]!;
      if (ref <= REF_DUPLICATE) ref = next.refs[REF_DUPLICATE - ref]!;
      if (ref < 0) continue;
      const labels = one.labels ?? decodeSeries(this.#parser.text, { start, end, kind: 0 });
      const sampleMs = hasTimestamp[line] === 1 ? timestamps[line]! : timeMs;
      const exemplar = { labels, value, timeMs: ownMs ?? sampleMs };
      found.push(ownMs === undefined ? { ref, exemplar, isScrapeTime: true } : { ref, exemplar });
    }
    return found;
  }

  /** The refs of series that the previous body had and this one has not. */
  stale(): Iterable<number> {
    const previous = this.#previous;
    const { next, seen } = this.#scratch;
    if (this.#trackedSeen === previous.trackedCount) return [];
    const gone = new Set<number>();
    for (let i = 0; i < previous.count; i++) {
      if (previous.tracked[i] === 0 || previous.refs[i]! < 0) continue;
      const now = seen[i]! - 1;
      if (now < 0 || next.tracked[now] === 0) gone.add(previous.refs[i]!);
    }
    // Other text may stand for the same series.
    if (gone.size > 0)
      for (let i = 0; i < this.#count && gone.size > 0; i++)
        if (next.tracked[i] === 1) gone.delete(next.refs[i]!);
    return gone;
  }

  #overLimit(): AppError | undefined {
    const { sampleLimit } = this.#options.rules;
    const appended = this.#count - this.#dropped - this.#duplicate;
    return sampleLimit > 0 && appended > sampleLimit
      ? new AppError("resource-exhausted", SAMPLE_LIMIT_EXCEEDED)
      : undefined;
  }

  #read(): void {
    const { columns, next } = this.#scratch;
    const parser = this.#parser;
    let batch = this.#previousCount === 0 ? Infinity : 1;
    for (;;) {
      this.#match();
      columns.clear();
      parser.seek(this.#position, this.#kind);
      let more = true;
      let failure: AppError | undefined;
      try {
        more = parser.parse(columns, batch);
      } catch (error) {
        failure = AppError.from(error);
      }
      const parsed = columns.count;
      this.#scratch.reserve(this.#count + parsed);
      let found = -1;
      if (columns.exemplarCount > 0) this.#takeExemplars();
      for (let i = 0; i < parsed; i++) found = this.#take(i);
      next.count = this.#count;
      this.#position = parser.position;
      if (parsed > 0 || columns.metadataCount > 0) this.changed = true;
      if (failure !== undefined) throw failure;
      if (!more) return;
      if (found >= 0) {
        this.#line = found + 1;
        this.#kind = columns.kinds[parsed - 1]!;
        batch = 1;
      } else {
        this.#kind = parsed > 0 ? columns.kinds[parsed - 1]! : this.#kind;
        batch *= 2;
      }
    }
  }

  /** The exemplars of the samples just parsed, which will be the next lines. */
  #takeExemplars(): void {
    const { columns } = this.#scratch;
    for (let e = 0; e < columns.exemplarCount; e++)
      this.#exemplars.push({
        line: this.#count + columns.exemplarSample[e]!,
        start: columns.exemplarLabelsStart[e]!,
        end: columns.exemplarLabelsEnd[e]!,
        value: columns.exemplarValues[e]!,
        timeMs: columns.exemplarHasTimestamp[e] === 1 ? columns.exemplarTimestamps[e]! : undefined,
      });
  }

  /** Takes parsed sample `i`; the line of the previous body with the same series, or -1. */
  #take(i: number): number {
    const { columns, next, hasTimestamp, timestamps, index } = this.#scratch;
    const { rules } = this.#options;
    const n = this.#count;
    const start = columns.seriesStart[i]!;
    const end = columns.seriesEnd[i]!;
    const kind = columns.kinds[i]!;
    next.seriesStart[n] = start;
    next.seriesEnd[n] = end;
    next.lineEnd[n] = columns.lineEnd[i]!;
    next.kinds[n] = kind;
    next.tracked[n] = 0;
    const value = columns.values[i]!;
    next.values[n] = value;
    if (value !== value) writeNormalNaN(next.values, n);
    const stamped = rules.honorTimestamps && columns.hasTimestamp[i] === 1;
    hasTimestamp[n] = stamped ? 1 : 0;
    timestamps[n] = stamped ? columns.timestamps[i]! : 0;
    let found = -1;
    if (this.#previousCount > 0) {
      if (!this.#indexed) index.build(this.#previous);
      this.#indexed = true;
      found = index.find(this.#previous, this.#options.body, { start, end });
    }
    if (found < 0 || this.#previous.refs[found] === REF_REFUSED) {
      this.#takeFresh(n, { start, end, kind, stamped });
      return -1;
    }
    return this.#takeKnown(found, { n, stamped });
  }

  /** Line `n` carries the series of line `found` of the previous body: -1 when it is not the first to do so. */
  #takeKnown(found: number, at: { n: number; stamped: boolean }): number {
    const { next, seen } = this.#scratch;
    const { n, stamped } = at;
    const first = seen[found]! - 1;
    this.#count = n + 1;
    if (first >= 0) {
      this.#takeDuplicate(n, { first, stamped });
      return -1;
    }
    seen[found] = n + 1;
    const ref = this.#previous.refs[found]!;
    next.refs[n] = ref;
    if (ref === REF_DROPPED) {
      this.#dropped++;
      return found;
    }
    this.#countStamp(n, stamped);
    if (this.#track(n, stamped) && this.#previous.tracked[found] === 1) this.#trackedSeen++;
    return found;
  }

  #takeFresh(n: number, at: { start: number; end: number; kind: number; stamped: boolean }): void {
    const { next, freshIndex } = this.#scratch;
    const { body, rules, nowMs } = this.#options;
    this.changed = true;
    const first = freshIndex.find(next, body, at);
    if (first >= 0) {
      this.#count = n + 1;
      this.#takeDuplicate(n, { first, stamped: at.stamped });
      return;
    }
    this.#failing = true;
    const labels = rules.labeler(decodePairs(this.#parser.text, at));
    this.#failing = false;
    this.#count = n + 1;
    freshIndex.add(next, n);
    if (labels === undefined) {
      next.refs[n] = REF_DROPPED;
      this.#dropped++;
      return;
    }
    next.refs[n] = NOT_RESOLVED;
    this.#fresh.push({ line: n, labels });
    this.#countStamp(n, at.stamped);
    this.#track(n, at.stamped);
    if (!at.stamped || this.#scratch.timestamps[n]! <= nowMs + FUTURE_MAX_MS) this.#freshAdded++;
  }

  #takeDuplicate(n: number, at: { first: number; stamped: boolean }): void {
    const { next } = this.#scratch;
    if (next.refs[at.first] === REF_DROPPED) {
      next.refs[n] = REF_DROPPED;
      this.#dropped++;
      return;
    }
    next.refs[n] = REF_DUPLICATE - at.first;
    // With a time of its own it is a sample like any other.
    if (at.stamped) this.#countStamp(n, true);
    else this.#duplicate++;
  }

  #countStamp(n: number, stamped: boolean): void {
    if (!stamped) return;
    this.#stamped++;
    if (this.#scratch.timestamps[n]! > this.#options.nowMs + FUTURE_MAX_MS) this.#outOfBounds++;
  }

  #track(n: number, stamped: boolean): boolean {
    if (stamped && !this.#options.rules.trackTimestampsStaleness) return false;
    this.#scratch.next.tracked[n] = 1;
    this.#scratch.next.trackedCount++;
    return true;
  }

  /** Fast path: goes on while the lines of this body equal those of the previous one up to their values. */
  #match(): void {
    const { body: nb, length, rules } = this.#options;
    const previous = this.#previous;
    this.#scratch.reserve(this.#count + this.#previousCount - this.#line + 1);
    const { next, hasTimestamp, timestamps, seen } = this.#scratch;
    const pb = previous.body;
    const newView = new DataView(nb.buffer, nb.byteOffset, nb.length);
    const oldView = new DataView(pb.buffer, pb.byteOffset, pb.length);
    const { seriesStart: ps, seriesEnd: pe, lineEnd: pl, refs: pr, values: pv } = previous;
    const { kinds: pk, tracked: pt } = previous;
    const { seriesStart: ns, seriesEnd: ne, lineEnd: nl, refs: nr, values: nv } = next;
    const { kinds: nk, tracked: nt } = next;
    const powers = EXACT_POWERS;
    const isText = this.format === "text";
    const { honorTimestamps } = rules;
    const trackStamped = rules.trackTimestampsStaleness;
    const futureMs = this.#options.nowMs + FUTURE_MAX_MS;
    const last = this.#previousCount;
    let i = this.#line;
    let a = this.#position;
    let n = this.#count;
    let tracked = 0;
    let kind = this.#kind;
    for (; i < last; i++) {
      const from = i === 0 ? 0 : pl[i - 1]!;
      const size = pe[i]! - from;
      const keyEnd = a + size;
      const ref = pr[i]!;
      if (keyEnd >= length || ref === REF_REFUSED || ref <= REF_DUPLICATE || seen[i] !== 0) break;
      // The type in force must be the one that was in force here.
      if (kind !== (i === 0 ? 0 : pk[i - 1]!)) break;
      // Differences are gathered without a branch, 16 bytes at a time, the last block overlapping the one before.
      let difference = 0;
      if (size >= 16) {
        const lastBlock = size - 16;
        for (let j = 0; ; j += 16) {
          if (j > lastBlock) j = lastBlock;
          const x = a + j;
          const y = from + j;
          difference |=
            (newView.getInt32(x, true) ^ oldView.getInt32(y, true)) |
            (newView.getInt32(x + 4, true) ^ oldView.getInt32(y + 4, true)) |
            (newView.getInt32(x + 8, true) ^ oldView.getInt32(y + 8, true)) |
            (newView.getInt32(x + 12, true) ^ oldView.getInt32(y + 12, true));
          if (j === lastBlock) break;
        }
      } else for (let j = 0; j < size; j++) difference |= nb[a + j]! ^ pb[from + j]!;
      if (difference !== 0) break;
      let p = keyEnd;
      let c = nb[p]!;
      if (c !== 32) break;
      c = nb[++p]!;
      const valueStart = p;
      const negative = c === 45;
      if (negative) c = nb[++p]!;
      const firstDigit = p;
      let mantissa = 0;
      let scale = 0;
      while (c >= 48 && c <= 57) {
        mantissa = mantissa * 10 + (c - 48);
        c = nb[++p]!;
      }
      let digits = p - firstDigit;
      if (c === 46) {
        const point = p;
        c = nb[++p]!;
        while (c >= 48 && c <= 57) {
          mantissa = mantissa * 10 + (c - 48);
          c = nb[++p]!;
        }
        scale = p - point - 1;
        digits += scale;
      }
      if ((c === 10 || c === 32) && digits > 0 && mantissa <= EXACT_INTEGER_MAX && scale <= 22) {
        const value = scale === 0 ? mantissa : mantissa / powers[scale]!;
        nv[n] = negative ? -value : value;
      } else {
        while (c > 32 && c !== 123) c = nb[++p]!;
        // Long numbers are dear to read, and many never change.
        const valueSize = p - valueStart;
        const oldStart = pe[i]! + 1;
        let k = 0;
        while (k < valueSize && nb[valueStart + k] === pb[oldStart + k]) k++;
        const after = pb[oldStart + k]!;
        const value =
          k === valueSize && (after === 10 || after === 32)
            ? pv[i]!
            : parseFloatBytes(nb, this.#parser.text, { start: valueStart, end: p });
        if (value === undefined) break;
        nv[n] = value;
        if (value !== value) writeNormalNaN(nv, n);
      }
      let stamped = 0;
      let stampMs = 0;
      if (c === 32 && isText) {
        c = nb[++p]!;
        const first = p;
        while (c >= 48 && c <= 57) {
          stampMs = stampMs * 10 + (c - 48);
          c = nb[++p]!;
        }
        if (p === first || p - first > 15) break;
        stamped = honorTimestamps ? 1 : 0;
      }
      if (c !== 10 || (p === length && !isText)) break;
      kind = pk[i]!;
      ns[n] = a + ps[i]! - from;
      ne[n] = keyEnd;
      a = p + 1;
      nl[n] = a;
      nk[n] = kind;
      nr[n] = ref;
      hasTimestamp[n] = stamped;
      seen[i] = n + 1;
      nt[n] = 0;
      if (ref === REF_DROPPED) this.#dropped++;
      else {
        if (stamped === 1) {
          timestamps[n] = stampMs;
          this.#stamped++;
          if (stampMs > futureMs) this.#outOfBounds++;
        }
        if (stamped === 0 || trackStamped) {
          nt[n] = 1;
          tracked++;
          if (pt[i] === 1) this.#trackedSeen++;
        }
      }
      n++;
    }
    this.#line = i;
    this.#position = a;
    this.#count = n;
    this.#kind = kind;
    next.count = n;
    next.trackedCount += tracked;
  }
}

export const SAMPLE_LIMIT_EXCEEDED = "sample limit exceeded";

/** Where `Scan.emit` puts samples. */
export interface EmitTarget {
  refs: Int32Array;
  times: Float64Array;
  values: Float64Array;
  count: number;
  reserve(count: number): void;
}
