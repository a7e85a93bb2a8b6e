import type { Clock } from "../base/clock.ts";
import type { Labels } from "../model/labels.ts";
import {
  type AppendBatch,
  type AppendResult,
  NOTHING_APPENDED,
  type Refusal,
  type RefusalReason,
} from "../storage/appender.ts";
import { encodeSamples, encodeSeries } from "../wal/record.ts";
import { RecordGroup, type WalWriter } from "../wal/writer.ts";
import type { HeadMetrics } from "./head-metrics.ts";
import {
  APPENDED,
  type AppendOutcome,
  CHUNK_RANGE_MS,
  DUPLICATE,
  type HeadStore,
  OUT_OF_ORDER,
  REPEATED,
  UNKNOWN_REF,
} from "./head-store.ts";

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
  readonly tally: Tally;
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
}

/** Logs appends, many with one write, and then makes them seen. */
export class HeadCommitter {
  /** Series made since the last write: their records go first in the next one. */
  readonly unlogged: number[];
  readonly #options: CommitOptions;
  readonly #parts: CommitterParts;
  readonly #group = new RecordGroup();
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
      await wal.write(group);
      if (this.#options.walSync === "commit") await wal.sync();
      metrics.walBytes.inc(group.buffer.length);
      group.clear();
    }
    this.unlogged.splice(0, unloggedCount);
    // The log has it all; no await from here on, so that a query sees the whole of each append.
    for (const entry of logged) entry.job.resolve(this.#apply(entry));
    if (this.#picks.length > PICKS_MAX) this.#picks.length = PICKS_MAX;
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
    const { refs, times, values, count } = job.batch;
    const words = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
    const { store } = this.#parts;
    let picked = this.#picks[number];
    if (picked === undefined || picked.length < count)
      this.#picks[number] = picked = new Uint32Array(Math.max(count, 64));
    const tally = new Tally(job.batch.listRefused === true);
    let pickedCount = 0;
    const minValidTimeMs = this.#minValidTime();
    for (let i = 0; i < count; i++) {
      const t = times[i]!;
      if (t < minValidTimeMs || t > Number.MAX_SAFE_INTEGER || Math.trunc(t) !== t) {
        tally.refuse("out-of-bounds", i);
        continue;
      }
      const outcome = store.check(refs[i]!, t, words[2 * i]!, words[2 * i + 1]!);
      if (outcome === APPENDED) picked[pickedCount++] = i;
      else tally.add(outcome, i);
    }
    if (job.batch.isWhole === true && tally.refusedCount > 0) {
      tally.result.appended = 0;
      pickedCount = 0;
    }
    if (pickedCount > 0) {
      encodeSamples(this.#group.buffer, job.batch, { indices: picked, count: pickedCount });
      this.#group.end();
    }
    return { job, picked, pickedCount, tally };
  }

  /** As Prometheus: nothing older than half a chunk range before the newest sample. */
  #minValidTime(): number {
    const { clock, retentionMs, chunkRangeMs = CHUNK_RANGE_MS } = this.#options;
    const { store, lowestTimeMs } = this.#parts;
    return Math.max(clock.now() - retentionMs, store.maxTimeMs - chunkRangeMs / 2, lowestTimeMs());
  }

  #apply({ job, picked, pickedCount, tally }: Logged): AppendResult {
    const { refs, times, values } = job.batch;
    const words = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
    const { store, metrics, wal, segmentMaxTimes } = this.#parts;
    const segment = wal.segmentIndex;
    let maxTimeMs = segmentMaxTimes.get(segment) ?? -Infinity;
    let stored = 0;
    for (let k = 0; k < pickedCount; k++) {
      const i = picked[k]!;
      const t = times[i]!;
      if (t > maxTimeMs) maxTimeMs = t;
      // Judged again: another batch of the same write may have been first. A replay of the log judges the same way.
      const outcome = store.append(refs[i]!, t, words[2 * i]!, words[2 * i + 1]!);
      if (outcome === APPENDED) stored++;
      else tally.add(outcome, i);
    }
    segmentMaxTimes.set(segment, maxTimeMs);
    const { result } = tally;
    metrics.appended.inc(stored);
    metrics.outOfOrder.inc(result.outOfOrder);
    metrics.outOfBounds.inc(result.outOfBounds);
    result.appended += stored;
    return result;
  }
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** Counts what becomes of one batch. */
class Tally {
  readonly result: Writable<AppendResult>;
  refusedCount = 0;
  readonly #refused: Refusal[] | undefined;

  constructor(listRefused: boolean) {
    this.#refused = listRefused ? [] : undefined;
    this.result = { ...NOTHING_APPENDED, refused: this.#refused ?? NOTHING_APPENDED.refused };
  }

  /** What became of a sample that the head did not append; a repeated one is as good as stored. */
  add(outcome: AppendOutcome, index: number): void {
    if (outcome === REPEATED) this.result.appended++;
    else if (outcome === OUT_OF_ORDER) this.refuse("out-of-order", index);
    else if (outcome === DUPLICATE) this.refuse("duplicate", index);
    else if (outcome === UNKNOWN_REF) this.refuse("unknown-ref", index);
  }

  refuse(reason: RefusalReason, index: number): void {
    this.refusedCount++;
    this.result[COUNT_OF[reason]]++;
    this.#refused?.push({ part: "float", index, reason });
  }
}

const COUNT_OF = {
  "out-of-order": "outOfOrder",
  duplicate: "duplicate",
  "too-old": "tooOld",
  "out-of-bounds": "outOfBounds",
  "unknown-ref": "unknownRef",
  invalid: "invalid",
} as const satisfies Record<RefusalReason, keyof AppendResult>;
