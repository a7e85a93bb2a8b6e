import type { Clock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import type { Labels } from "../model/labels.ts";
import type {
  AppendBatch,
  AppendResult,
  BatchZeros,
  HistogramColumns,
} from "../storage/appender.ts";
import { encodeExemplarRecord } from "../wal/exemplar-record.ts";
import { encodeHistogramRecords } from "../wal/histogram-record.ts";
import { encodeMetadataRecord } from "../wal/metadata-record.ts";
import { encodeSamples, encodeSeries } from "../wal/record.ts";
import { RecordGroup, type WalWriter } from "../wal/writer.ts";
import { type AppendExtras, applyExtras, NO_EXTRAS, pickExtras } from "./append-extras.ts";
import { AppendTally } from "./append-tally.ts";
import type { HeadMetrics } from "./head-metrics.ts";
import {
  APPENDED,
  CHUNK_RANGE_MS,
  type HeadStore,
  OUT_OF_ORDER,
  STALE_HISTOGRAM,
  UNKNOWN_REF,
} from "./head-store.ts";
import { LateBatch } from "./late-batch.ts";
import { Places } from "./places.ts";
import type { OutOfOrderLog } from "./out-of-order-log.ts";
import { type PickedHistogram, pickHistogram, staleMarker } from "./histogram-batch.ts";

/** One append that waits for its place in the log. */
export interface AppendJob {
  readonly batch: AppendBatch;
  readonly resolve: (result: AppendResult) => void;
  readonly reject: (error: unknown) => void;
}

const SERIES_PER_RECORD = 100;
/** After a group of more appends than this, their index buffers are let go. */
const PICKS_MAX = 256;

/** A job whose acceptable samples are in the group to be written. */
interface Logged {
  readonly job: AppendJob;
  readonly picked: Uint32Array;
  readonly pickedCount: number;
  readonly histograms: readonly PickedHistogram[];
  readonly extras: AppendExtras;
  readonly late: LateBatch;
  readonly tally: AppendTally;
}

/** When the log is forced to the disk: never, once a second, or before an append resolves. */
export type WalSync = "none" | "interval" | "commit";

export interface CommitOptions {
  readonly clock: Clock;
  readonly retentionMs: number;
  readonly chunkRangeMs?: number;
  readonly walSync?: WalSync;
}

interface CommitterParts {
  readonly store: HeadStore;
  readonly wal: WalWriter;
  readonly metrics: HeadMetrics;
  /** The newest sample of each segment. */
  readonly segmentMaxTimes: Map<number, number>;
  readonly unlogged: number[];
  readonly labelsOf: (ref: number) => Labels;
  /** Older samples are out of bounds. */
  readonly lowestTimeMs: () => number;
  readonly lateLog: OutOfOrderLog;
  /** How much older than the newest sample of all one may be that is out of order; 0: none may be. */
  readonly lateWindowMs: () => number;
}

/** Logs appends, many with one write, and then makes them seen. */
export class HeadCommitter {
  /** Series made since the last write: their records go first in the next one. */
  readonly unlogged: number[];
  readonly #options: CommitOptions;
  readonly #parts: CommitterParts;
  readonly #group = new RecordGroup();
  readonly #lateGroup = new RecordGroup();
  /** One for each append of a group, used again by the next group. */
  readonly #picks: Uint32Array[] = [];

  constructor(options: CommitOptions, parts: CommitterParts) {
    this.#options = options;
    this.#parts = parts;
    this.unlogged = parts.unlogged;
  }

  /** Logs the acceptable samples of `jobs` with one write, then applies them. */
  async commit(jobs: readonly AppendJob[]): Promise<void> {
    const { wal, metrics } = this.#parts;
    const group = this.#group;
    group.clear();
    const unloggedCount = this.unlogged.length;
    this.#logSeries();
    const logged = jobs.map((job, i) => this.#logSamples(job, i));
    if (group.ends.length > 0) {
      // First the log of what is out of order: it names no series, so what is left of a failure means nothing.
      await this.#writeLate(logged.map(({ late }) => late));
      await wal.write(group);
      if (this.#options.walSync === "commit") await wal.sync();
      metrics.walBytes.inc(group.buffer.length);
      group.clear();
    }
    this.unlogged.splice(0, unloggedCount);
    // The log has it all; no await from here on, so that a query sees the whole of each append.
    const unresolved = logged.filter((entry) => {
      this.#apply(entry);
      if (entry.late.isEmpty) entry.job.resolve(entry.tally.result);
      return !entry.late.isEmpty;
    });
    if (unresolved.length > 0) await this.#commitLatest(unresolved);
    if (this.#picks.length > PICKS_MAX) this.#picks.length = PICKS_MAX;
  }

  /** What turned out to be out of order within its own batch, or its group, is logged and made seen after the rest. */
  async #commitLatest(entries: readonly Logged[]): Promise<void> {
    await this.#writeLate(entries.map(({ late }) => late));
    for (const { job, late, tally } of entries) {
      this.#applyLate(late, tally);
      job.resolve(tally.result);
    }
  }

  async #writeLate(batches: readonly LateBatch[]): Promise<void> {
    const group = this.#lateGroup;
    group.clear();
    for (const batch of batches) batch.encode(group);
    if (group.ends.length === 0) return;
    await this.#parts.lateLog.write(group);
    if (this.#options.walSync === "commit") await this.#parts.lateLog.sync();
  }

  #applyLate(late: LateBatch, tally: AppendTally): void {
    this.#parts.metrics.appendedLate.inc(late.insertInto(this.#parts.store.outOfOrder, tally));
  }

  #logSeries(): void {
    const { store, labelsOf } = this.#parts;
    const refs = this.unlogged.filter((ref) => store.series.has(ref));
    for (let i = 0; i < refs.length; i += SERIES_PER_RECORD) {
      encodeSeries(this.#group.buffer, refs.slice(i, i + SERIES_PER_RECORD), labelsOf);
      this.#group.end();
    }
  }

  #logSamples(job: AppendJob, number: number): Logged {
    const { batch } = job;
    const { refs, times, values, count } = batch;
    const words = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
    const { store } = this.#parts;
    let picked = this.#picks[number];
    if (picked === undefined || picked.length < count)
      this.#picks[number] = picked = new Uint32Array(Math.max(count, 64));
    const tally = new AppendTally(batch.listRefused === true);
    const minTimeMs = this.#minValidTime();
    const late = new LateBatch(batch, { store, tally, windowMs: this.#parts.lateWindowMs() });
    const zeros = new Places(batch.zeros?.floats);
    const zeroMinTimeMs = this.#minValidTime(batch.zeros?.beforeMs);
    let histograms: PickedHistogram[] = [];
    let pickedCount = 0;
    for (let i = 0; i < count; i++) {
      const t = times[i]!;
      if (zeros.has(i)) {
        if (t < zeroMinTimeMs || !isTime(t)) continue;
        const outcome = store.check(refs[i]!, t, 0, 0);
        if (outcome === APPENDED) picked[pickedCount++] = i;
        else if (outcome === UNKNOWN_REF) tally.add(outcome, "float", i);
        continue;
      }
      if (t < minTimeMs || !isTime(t)) {
        if (!late.addFloat(i)) tally.refuse("out-of-bounds", "float", i);
        continue;
      }
      const outcome = store.check(refs[i]!, t, words[2 * i]!, words[2 * i + 1]!);
      if (outcome === APPENDED) picked[pickedCount++] = i;
      else if (outcome === STALE_HISTOGRAM) {
        const { kind } = store.histograms.get(refs[i]!);
        const marker = staleMarker({ ref: refs[i]!, kind, timeMs: t, index: i });
        this.#pickHistogram(marker, { into: histograms, tally, late });
      } else if (outcome !== OUT_OF_ORDER || !late.addFloat(i)) tally.add(outcome, "float", i);
    }
    if (batch.histograms !== undefined)
      this.#pickHistograms(batch.histograms, batch.zeros, { into: histograms, tally, late });
    const isRejected = batch.isWhole === true && tally.refusedCount > 0;
    if (isRejected) {
      tally.rejectAll();
      pickedCount = 0;
      histograms = [];
      late.clear();
    }
    const extras = isRejected ? NO_EXTRAS : pickExtras(batch, this.#parts, tally);
    const group = this.#group;
    encodeMetadataRecord(group, extras.metadata);
    if (pickedCount > 0) {
      encodeSamples(group.buffer, batch, { indices: picked, count: pickedCount });
      group.end();
    }
    encodeHistogramRecords(group, histograms);
    // As Prometheus: whoever follows the log finds these too; a replay passes over them.
    late.encode(group);
    encodeExemplarRecord(group, extras.exemplars);
    return { job, picked, pickedCount, histograms, extras, late, tally };
  }

  #pickHistograms(
    columns: HistogramColumns,
    zeros: BatchZeros | undefined,
    to: { into: PickedHistogram[]; tally: AppendTally; late: LateBatch },
  ): void {
    const { tally, late } = to;
    const minTimeMs = this.#minValidTime();
    const zeroMinTimeMs = this.#minValidTime(zeros?.beforeMs);
    const zeroPlaces = new Places(zeros?.histograms);
    for (let i = 0; i < columns.count; i++) {
      const t = columns.times[i]!;
      const isZero = zeroPlaces.has(i);
      const isInTime = t >= (isZero ? zeroMinTimeMs : minTimeMs) && isTime(t);
      if (isZero && !isInTime) continue;
      try {
        const picked = { ...pickHistogram(columns, i), isZero };
        if (isInTime) this.#pickHistogram(picked, to);
        else if (!late.addHistogram(picked)) tally.refuse("out-of-bounds", "histogram", i);
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== "bad-data") throw error;
        tally.refuse("invalid", "histogram", i, error.message);
      }
    }
  }

  #pickHistogram(
    picked: PickedHistogram,
    to: { into: PickedHistogram[]; tally: AppendTally; late: LateBatch },
  ): void {
    const { into, tally, late } = to;
    const outcome = this.#parts.store.checkHistogram(picked.ref, picked);
    if (outcome === APPENDED) into.push(picked);
    else if (picked.isZero === true && outcome !== UNKNOWN_REF) return;
    else if (outcome !== OUT_OF_ORDER || !late.addHistogram(picked))
      tally.add(outcome, picked.part, picked.index);
  }

  /** As Prometheus: nothing older than half a chunk range before the newest sample; while there is none, before `firstMs`. */
  #minValidTime(firstMs = -Infinity): number {
    const { clock, retentionMs, chunkRangeMs = CHUNK_RANGE_MS } = this.#options;
    const { store, lowestTimeMs } = this.#parts;
    const newestMs = store.maxTimeMs === -Infinity ? firstMs : store.maxTimeMs;
    return Math.max(clock.now() - retentionMs, newestMs - chunkRangeMs / 2, lowestTimeMs());
  }

  #apply({ job, picked, pickedCount, histograms, extras, late, tally }: Logged): void {
    const { refs, times, values } = job.batch;
    const words = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
    const zeros = new Places(job.batch.zeros?.floats);
    const { store, metrics, wal, segmentMaxTimes } = this.#parts;
    const segment = wal.segmentIndex;
    this.#applyLate(late, tally);
    late.clear();
    const latest = late;
    let maxTimeMs = segmentMaxTimes.get(segment) ?? -Infinity;
    let stored = 0;
    let storedZeros = 0;
    for (let k = 0; k < pickedCount; k++) {
      const i = picked[k]!;
      const t = times[i]!;
      if (t > maxTimeMs) maxTimeMs = t;
      // Judged again: another batch of the same write may have been first. A replay of the log judges the same way.
      const outcome = store.append(refs[i]!, t, words[2 * i]!, words[2 * i + 1]!);
      if (zeros.has(i)) {
        if (outcome === APPENDED) storedZeros++;
      } else if (outcome === APPENDED) stored++;
      else if (outcome !== OUT_OF_ORDER || !latest.addFloat(i)) tally.add(outcome, "float", i);
    }
    tally.result.appended += stored;
    let storedHistograms = 0;
    for (const sample of histograms) {
      if (sample.timeMs > maxTimeMs) maxTimeMs = sample.timeMs;
      const outcome = store.appendHistogram(sample.ref, sample);
      if (outcome === APPENDED) storedHistograms++;
      if (sample.isZero === true) continue;
      if (outcome !== OUT_OF_ORDER || !latest.addHistogram(sample))
        tally.add(outcome, sample.part, sample.index);
    }
    segmentMaxTimes.set(segment, maxTimeMs);
    applyExtras(extras, this.#parts, tally);
    const { result } = tally;
    metrics.appended.inc(stored + storedZeros);
    metrics.appendedHistograms.inc(storedHistograms);
    metrics.exemplars.inc(result.appendedExemplars);
    metrics.outOfOrder.inc(result.outOfOrder);
    metrics.outOfBounds.inc(result.outOfBounds);
    metrics.tooOld.inc(result.tooOld);
  }
}

/** Whether `t` can be the time of a sample. */
function isTime(t: number): boolean {
  return t <= Number.MAX_SAFE_INTEGER && Math.trunc(t) === t;
}
