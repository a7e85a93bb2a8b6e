import { AppError, assert, isDiskFull } from "../base/errors.ts";
import type { Labels } from "../model/labels.ts";
import type { MetricMetadata } from "../model/metadata.ts";
import type { ExemplarRequest, SeriesExemplars } from "../storage/exemplars.ts";
import type { Appendable, AppendBatch, AppendResult } from "../storage/appender.ts";
import type { GroupedBatch, GroupedRequest } from "../storage/grouped.ts";
import type {
  LabelRequest,
  LabelResult,
  Queryable,
  SelectRequest,
  SeriesBatch,
} from "../storage/queryable.ts";
import type { WalWriter } from "../wal/writer.ts";
import { AppendQueue } from "./append-queue.ts";
import { type Cardinality, cardinality } from "./cardinality.ts";
import { type CutOptions, cutBlock } from "./cut.ts";
import type { OnUnreadable } from "../block/unreadable.ts";
import { type AppendJob, HeadCommitter } from "./head-commit.ts";
import type { HeadChunkFiles } from "./head-chunk-files.ts";
import { type DeleteRequest, deleteSamples } from "./head-delete.ts";
import type { HeadMetrics } from "./head-metrics.ts";
import {
  APPEND_MAX_SAMPLES,
  type HeadOptions,
  type HeadStats,
  WAL_SYNC_INTERVAL_MS,
} from "./head-options.ts";
import type { HeadStore } from "./head-store.ts";
import { snapshotHead } from "./head-snapshot.ts";
import { truncateHead } from "./head-truncate.ts";
import type { FolderLock } from "./lock.ts";
import { cutFrozen } from "./out-of-order-cut.ts";
import type { OutOfOrderLog } from "./out-of-order-log.ts";
import { HeadReader } from "./select.ts";

/** A task of maintenance, as the head's owner gives it. */
type HeadTask<Task> = Omit<Task, "onUnreadable"> & {
  /** Absent: a chunk that has to be decoded and cannot be fails the task. */
  readonly onUnreadable?: OnUnreadable<Labels>;
};

/**
 * Recent samples in memory, logged before they are seen. One thread owns it all, and an append becomes visible in one
 * synchronous step after its record is written; a query fixes what it sees in one synchronous step too.
 */
export class Head implements Queryable, Appendable {
  readonly #options: HeadOptions;
  readonly #store: HeadStore;
  readonly #reader: HeadReader;
  readonly #wal: WalWriter;
  readonly #lateLog: OutOfOrderLog;
  readonly #chunkFiles: HeadChunkFiles;
  #savingChunks: Promise<void> | undefined;
  /** The last segment of that log whose samples are frozen for a cut. */
  #frozenUpTo = -1;
  #lateWindowMs: number;
  /** Undefined when the owner holds it. */
  readonly #lock: FolderLock | undefined;
  readonly #metrics: HeadMetrics;
  readonly #segmentMaxTimes: Map<number, number>;
  readonly #aliases: Map<number, number>;
  readonly #committer: HeadCommitter;
  readonly #queue = new AppendQueue((jobs) => this.#write(jobs));
  #truncating: Promise<void> | undefined;
  /** Truncations and cuts follow each other: a cut reads what a truncation renumbers. */
  #maintenance: Promise<unknown> = Promise.resolve();
  #lowestTimeMs: number;
  /** Whoever changes the log's files waits for the one before. */
  #walTurn: Promise<void> = Promise.resolve();
  #closed = false;
  #cancelTimers: (() => void)[] = [];

  /** Use `openHead`. */
  constructor(
    parts: HeadOptions & {
      store: HeadStore;
      wal: WalWriter;
      lateLog: OutOfOrderLog;
      chunkFiles: HeadChunkFiles;
      ownLock: FolderLock | undefined;
      metrics: HeadMetrics;
      segmentMaxTimes: Map<number, number>;
      aliases: Map<number, number>;
      unlogged: number[];
    },
  ) {
    this.#options = parts;
    this.#store = parts.store;
    this.#reader = new HeadReader(parts.store);
    this.#wal = parts.wal;
    this.#lateLog = parts.lateLog;
    this.#chunkFiles = parts.chunkFiles;
    this.#lateWindowMs = parts.outOfOrderTimeWindowMs ?? 0;
    this.#lock = parts.ownLock;
    this.#metrics = parts.metrics;
    this.#segmentMaxTimes = parts.segmentMaxTimes;
    this.#aliases = parts.aliases;
    this.#committer = new HeadCommitter(parts, {
      ...parts,
      labelsOf: (ref) => this.#reader.labels(ref),
      lowestTimeMs: () => this.#lowestTimeMs,
      lateWindowMs: () => this.#lateWindowMs,
    });
    this.#lowestTimeMs = parts.lowestTimeMs ?? -Infinity;
    this.#store.maxSeries = parts.maxSeries ?? 0;
    if (parts.walSync === "interval")
      this.#every(WAL_SYNC_INTERVAL_MS, async () => {
        await Promise.all([this.#wal.sync(), this.#lateLog.sync()]);
      });
  }

  resolve(labels: Labels): number {
    const { ref, created } = this.#store.resolve(labels);
    if (created) {
      this.#committer.unlogged.push(ref);
      this.#metrics.seriesCreated.inc();
    }
    return ref;
  }

  append(batch: AppendBatch): Promise<AppendResult> {
    const { refs, times, values, count } = batch;
    assert(
      count <= refs.length && count <= times.length && count <= values.length,
      "append: count is more than the columns hold",
    );
    if (this.#closed)
      return Promise.reject(
        new AppError("unavailable", "cannot append samples: the head is closed"),
      );
    if (count > APPEND_MAX_SAMPLES) {
      const text = `cannot append ${count} samples at once: the limit is ${APPEND_MAX_SAMPLES}`;
      return Promise.reject(new AppError("bad-data", text));
    }
    return this.#queue.push(batch);
  }

  /** `inOrderMinTimeMs`: of samples that came in order, leave out those before. */
  select(request: SelectRequest, inOrderMinTimeMs = -Infinity): AsyncIterable<SeriesBatch> {
    return this.#reader.select(request, inOrderMinTimeMs);
  }

  /** As `select`, in columns. */
  selectGrouped(
    request: GroupedRequest,
    inOrderMinTimeMs = -Infinity,
  ): AsyncIterable<GroupedBatch> | undefined {
    return this.#reader.selectGrouped(request, inOrderMinTimeMs);
  }

  /** Whether samples that came out of order may lie in the range. */
  hasOutOfOrder(range: { minTimeMs: number; maxTimeMs: number }): boolean {
    return this.#store.outOfOrder.overlaps(range);
  }

  /** Samples may be so much older than the newest one of all; 0: each series in order. */
  setOutOfOrderTimeWindow(windowMs: number): void {
    this.#lateWindowMs = windowMs;
  }

  async labelNames(request: LabelRequest): Promise<LabelResult> {
    return this.#inRange(request) ? this.#reader.labelNames(request) : NOTHING;
  }

  async labelValues(name: string, request: LabelRequest): Promise<LabelResult> {
    return this.#inRange(request) ? this.#reader.labelValues(name, request) : NOTHING;
  }

  /** The exemplars of the head, which are all there are. */
  exemplars(request: ExemplarRequest): SeriesExemplars[] {
    return this.#store.exemplars.select(request);
  }

  /** Keeps the newest `limit` exemplars from now on. */
  setMaxExemplars(limit: number): void {
    this.#store.exemplars.limit = limit;
  }

  /** What a series has said of itself; undefined when it has not. */
  metadata(ref: number): MetricMetadata | undefined {
    return this.#store.metadata.get(ref);
  }

  stats(): HeadStats {
    const store = this.#store;
    return {
      seriesCount: store.series.count,
      chunkCount: store.chunkCount,
      labelPairCount: store.postings.livePairCount,
      minTimeMs: store.minTimeMs,
      maxTimeMs: store.maxTimeMs,
      sampleCount: store.sampleCount,
    };
  }

  /** The `limit` largest of each list that `/api/v1/status/tsdb` shows. */
  cardinality(limit: number): Cardinality {
    return cardinality(this.#store.postings, limit);
  }

  /**
   * Drops samples and series past retention, and the part of the log that holds nothing else. Runs on a schedule; safe
   * to call at any time.
   */
  truncate(): Promise<void> {
    this.#truncating ??= this.#inMaintenance(() => {
      const { clock, retentionMs } = this.#options;
      return this.#truncate(clock.now() - retentionMs);
    }).finally(() => (this.#truncating = undefined));
    return this.#truncating;
  }

  /** Where the log ends: who reads it behind the head reads no further. */
  logEnd(): { readonly segment: number; readonly size: number } {
    return { segment: this.#wal.segmentIndex, size: this.#wal.segmentSize };
  }

  /** Samples before this are not here, nor taken. -Infinity when there is no such time. */
  get lowestTimeMs(): number {
    return this.#lowestTimeMs;
  }

  /** As `truncate`, for what ends before `timeMs`; from now on older samples are out of bounds. */
  truncateBefore(timeMs: number): Promise<void> {
    this.#lowestTimeMs = Math.max(this.#lowestTimeMs, timeMs);
    return this.#inMaintenance(() => this.#truncate(timeMs));
  }

  /**
   * Writes the samples of a time range to a block in the data folder and gives the block's folder, or undefined when
   * there are none. No sample of the range may still come. The head keeps them; appends go on meanwhile.
   */
  cut(task: HeadTask<Omit<CutOptions, "clock" | "parent">>): Promise<string | undefined> {
    const { folder, clock } = this.#options;
    const onUnreadable = this.#byRef(task);
    return this.#inMaintenance(() =>
      cutBlock(this.#store, { ...task, onUnreadable, clock, parent: folder }),
    );
  }

  #byRef({ onUnreadable }: HeadTask<object>): OnUnreadable<number> | undefined {
    return onUnreadable && ((ref, error): void => onUnreadable(this.#reader.labels(ref), error));
  }

  /**
   * Writes the samples that came out of order to blocks, one for each range of `rangeMs`, and gives their folders. The head
   * keeps the samples until `finish`, which forgets them and their log.
   */
  cutOutOfOrder(
    task: HeadTask<Pick<CutOptions, "signal" | "onStep">> & {
      rangeMs: number;
      newUlid: () => string;
    },
  ): Promise<{ folders: readonly string[]; finish: () => Promise<void> }> {
    const { folder, clock, retentionMs } = this.#options;
    const { rangeMs, newUlid, ...rest } = task;
    return this.#inMaintenance(async () => {
      const { outOfOrder } = this.#store;
      await this.#inWalTurn(async () => {
        const upTo = await this.#lateLog.startSegment();
        if (outOfOrder.freeze()) this.#frozenUpTo = upTo;
      });
      const onUnreadable = this.#byRef(task);
      const cut = {
        ...rest,
        onUnreadable,
        clock,
        parent: folder,
        oldestMs: clock.now() - retentionMs,
      };
      const folders = await cutFrozen(this.#store, { ...cut, rangeMs, newUlid });
      const finish = async (): Promise<void> => {
        outOfOrder.dropFrozen();
        await this.#lateLog.dropUpTo(this.#frozenUpTo);
      };
      return { folders, finish };
    });
  }

  /** Deletes samples that are here, on disk when it resolves; in how many series. Later ones are not deleted. */
  async delete(request: DeleteRequest): Promise<number> {
    if (this.#closed)
      throw new AppError("unavailable", "cannot delete samples: the head is closed");
    let seriesCount = 0;
    await this.#inMaintenance(() =>
      this.#inWalTurn(async () => {
        const parts = { store: this.#store, reader: this.#reader, wal: this.#wal };
        const lowest = { lowestTimeMs: this.#lowestTimeMs };
        seriesCount = await deleteSamples({ ...parts, ...lowest }, request);
      }),
    );
    return seriesCount;
  }

  /** Writes all samples of now to a block in `task.parent` and gives its folder; undefined when there are none. */
  snapshot(
    task: HeadTask<Pick<CutOptions, "parent" | "ulid"> & { signal: AbortSignal }>,
  ): Promise<string | undefined> {
    const { clock } = this.#options;
    const onUnreadable = this.#byRef(task);
    const lowestTimeMs = this.#lowestTimeMs;
    return this.#inMaintenance(() =>
      snapshotHead(this.#store, { ...task, onUnreadable, clock, lowestTimeMs }),
    );
  }

  /** Calls `truncate` from time to time until the head is closed. */
  truncateOnSchedule(): void {
    const { retentionMs, truncateIntervalMs } = this.#options;
    const everyMs = truncateIntervalMs ?? Math.min(Math.max(retentionMs / 8, 10_000), 3_600_000);
    this.#every(everyMs, () => this.truncate());
  }

  /** Writes what is queued, closes the log and gives the folder back. Appends are refused from now on. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const cancel of this.#cancelTimers) cancel();
    await this.#queue.drained();
    await this.#maintenance.catch(() => {});
    await this.#savingChunks;
    await this.#store.log.save({ all: true }).catch((error: unknown) => {
      this.#options.logger.warn("cannot write head chunks", { error });
    });
    await this.#chunkFiles.close();
    try {
      await this.#inWalTurn(async () => {
        await this.#lateLog.close();
        await this.#wal.close();
      });
    } finally {
      await this.#lock?.release();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #inRange(request: LabelRequest): boolean {
    const { minTimeMs, maxTimeMs, outOfOrder } = this.#store;
    const inOrder = request.minTimeMs <= maxTimeMs && request.maxTimeMs >= minTimeMs;
    return inOrder || outOfOrder.overlaps(request);
  }

  async #write(jobs: readonly AppendJob[]): Promise<void> {
    try {
      await this.#inWalTurn(() => this.#committer.commit(jobs));
      if (this.#store.log.hasUnsaved) this.#saveChunks();
    } catch (error) {
      this.#metrics.writesFailed.inc();
      throw error;
    }
  }

  /** Finished chunks go to files on the side; what cannot be written stays in memory and is tried again. */
  #saveChunks(): void {
    const { logger } = this.#options;
    this.#savingChunks ??= this.#store.log
      .save({ all: false })
      .catch((error: unknown) => {
        // A full disk is told of by the appends.
        if (!isDiskFull(error)) logger.warn("cannot write head chunks", { error });
      })
      .finally(() => (this.#savingChunks = undefined));
  }

  async #truncate(minTimeMs: number): Promise<void> {
    const truncating = truncateHead(
      {
        store: this.#store,
        wal: this.#wal,
        chunkFiles: this.#chunkFiles,
        metrics: this.#metrics,
        segmentMaxTimes: this.#segmentMaxTimes,
        aliases: this.#aliases,
        // A series that a scrape has just resolved has no sample yet.
        fresh: new Set(this.#committer.unlogged),
        inWalTurn: (act) => this.#inWalTurn(act),
      },
      { ...this.#options, minTimeMs },
    );
    try {
      await truncating;
    } catch (error) {
      this.#metrics.truncationsFailed.inc();
      throw error;
    }
  }

  #inMaintenance<T>(act: () => Promise<T>): Promise<T> {
    const turn = this.#maintenance.then(act);
    this.#maintenance = turn.catch(() => {});
    return turn;
  }

  #inWalTurn(act: () => Promise<void>): Promise<void> {
    const turn = this.#walTurn.then(act);
    this.#walTurn = turn.catch(() => {});
    return turn;
  }

  /** Runs `act` every `everyMs` until the head is closed; errors are logged. */
  #every(everyMs: number, act: () => Promise<void>): void {
    const { clock, logger } = this.#options;
    const index = this.#cancelTimers.length;
    const next = (): void => {
      this.#cancelTimers[index] = clock.after(everyMs, () => {
        act()
          .catch((error: unknown) => logger.error("cannot maintain the head", { error }))
          .finally(() => {
            if (!this.#closed) next();
          });
      });
    };
    next();
  }
}

const NOTHING: LabelResult = { values: [], warnings: [] };
