import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { AppError, assert, isDiskFull } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Registry } from "../base/metrics.ts";
import type { Labels } from "../model/labels.ts";
import type { MetricMetadata } from "../model/metadata.ts";
import type { ExemplarRequest, SeriesExemplars } from "../storage/exemplars.ts";
import type { Appendable, AppendBatch, AppendResult } from "../storage/appender.ts";
import type {
  LabelRequest,
  LabelResult,
  Queryable,
  SelectRequest,
  SeriesBatch,
} from "../storage/queryable.ts";
import { writeCheckpoint } from "../wal/checkpoint.ts";
import { listSegments } from "../wal/segment.ts";
import { type WalCompression, WalWriter } from "../wal/writer.ts";
import { type Cardinality, cardinality } from "./cardinality.ts";
import { type CutOptions, cutBlock } from "./cut.ts";
import { checkFileSystem } from "./file-system.ts";
import { type AppendJob, HeadCommitter, type WalSync } from "./head-commit.ts";
import { openHeadChunks } from "./head-chunk-chains.ts";
import type { HeadChunkFiles } from "./head-chunk-files.ts";
import { type DeleteRequest, deleteSamples } from "./head-delete.ts";
import { type HeadMetrics, registerHeadMetrics } from "./head-metrics.ts";
import { CHUNK_RANGE_MS, HeadStore } from "./head-store.ts";
import { snapshotHead } from "./head-snapshot.ts";
import { type FolderLock, lockFolder } from "./lock.ts";
import { cutFrozen } from "./out-of-order-cut.ts";
import { OutOfOrderLog } from "./out-of-order-log.ts";
import { type ReplayProgress, replayLogs } from "./replay.ts";
import { HeadReader } from "./select.ts";

export interface HeadOptions {
  /** The data folder; the log is in its subfolder `wal`. */
  readonly folder: string;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly registry: Registry;
  /** Samples older than this are dropped, and series that have only those. */
  readonly retentionMs: number;
  /** No more series than this; 0 (default) for no limit. */
  readonly maxSeries?: number;
  /** Samples may be so much older than the newest one of all; 0 (default): each series in order. */
  readonly outOfOrderTimeWindowMs?: number;
  /** No more exemplars than this, of all series; 0 (default) for none. */
  readonly maxExemplars?: number;
  /** Finished chunks beyond this are in files only. Default 64 MiB. */
  readonly chunkMemoryBytes?: number;
  /** Samples a chunk should have. Default 120, as Prometheus. */
  readonly chunkSamples?: number;
  /** Chunks do not cross a multiple of this. Default 2 h, Prometheus's `min-block-duration`; at most 12 h. */
  readonly chunkRangeMs?: number;
  /** Default 128 MiB, as Prometheus. */
  readonly walSegmentBytes?: number;
  /** Default `none`. */
  readonly walCompression?: WalCompression;
  /** Default `none`: as Prometheus, what the operating system has survives a crash of the process, not of the machine. */
  readonly walSync?: WalSync;
  /** How often to look for data past retention. Default: an eighth of it, within 10 s and one hour. */
  readonly truncateIntervalMs?: number;
  readonly onReplay?: (progress: ReplayProgress) => void;
  /** The folder's lock when the owner of the head holds it, and then releases it too. */
  readonly lock?: FolderLock;
  /** Older samples are in blocks: a replay skips them and an append of them is out of bounds. Default: none are. */
  readonly lowestTimeMs?: number;
  /** The owner calls `cut` and `truncateBefore`; the head drops nothing on a schedule of its own. Default no. */
  readonly isMaintained?: boolean;
}

export interface HeadStats {
  readonly seriesCount: number;
  readonly chunkCount: number;
  /** Different ones. */
  readonly labelPairCount: number;
  /** Infinity when there are no samples. */
  readonly minTimeMs: number;
  /** -Infinity when there are no samples. */
  readonly maxTimeMs: number;
  readonly sampleCount: number;
}

export const WAL_SYNC_INTERVAL_MS = 1000;
/** One append, which is one record of the log, takes at most so many samples. */
export const APPEND_MAX_SAMPLES = 4_000_000;
/** Batches of appends written with one write hold at most about so many samples. */
const GROUP_MAX_SAMPLES = 1_000_000;

/** Opens the head in `options.folder`: takes the folder, replays the log, and starts collecting old data. */
export async function openHead(options: HeadOptions): Promise<Head> {
  const lock = options.lock ?? (await lockFolder(options.folder));
  let chunkFiles: HeadChunkFiles | undefined;
  try {
    await checkFileSystem(options.folder, options.logger);
    const store = new HeadStore({
      chunkSamples: options.chunkSamples ?? 120,
      chunkRangeMs: options.chunkRangeMs ?? CHUNK_RANGE_MS,
      maxExemplars: options.maxExemplars ?? 0,
    });
    const { clock, logger } = options;
    const folder = join(options.folder, "wal");
    const nowMs = clock.now();
    const started = clock.monotonic();
    const oldestMs = nowMs - options.retentionMs;
    const minTimeMs = Math.max(oldestMs, options.lowestTimeMs ?? -Infinity);
    const chunks = await openHeadChunks(store.log, { ...options, nowMs, minTimeMs });
    chunkFiles = chunks.files;
    store.log.useFiles(chunkFiles, options.chunkMemoryBytes);
    const replay = await replayLogs(store, {
      folder: options.folder,
      minTimeMs,
      chunks,
      minLateTimeMs: oldestMs,
      nowMs,
      logger,
      ...(options.onReplay === undefined ? {} : { onProgress: options.onReplay }),
    });
    const durationMs = clock.monotonic() - started;
    if (replay.seriesCount > 0)
      logger.info("replayed the write-ahead log", {
        series: replay.seriesCount,
        samples: replay.sampleCount,
        duration_ms: Math.round(durationMs),
      });
    const logOptions = {
      segmentBytes: options.walSegmentBytes ?? 128 * 1024 * 1024,
      compression: options.walCompression ?? "none",
    } as const;
    const wal = await WalWriter.open({ folder, ...logOptions });
    const lateLog = new OutOfOrderLog({ folder: options.folder, ...logOptions });
    const metrics = registerHeadMetrics(options.registry, store, wal);
    metrics.corruptions.inc(replay.corruptionCount);
    metrics.chunkCorruptions.inc(chunkFiles.damageCount);
    metrics.replaySeconds.set(durationMs / 1000);
    const ownLock = options.lock === undefined ? lock : undefined;
    const head = new Head({
      ...options,
      store,
      wal,
      lateLog,
      chunkFiles,
      ownLock,
      metrics,
      ...replay,
    });
    if (options.isMaintained !== true) head.truncateOnSchedule();
    return head;
  } catch (error) {
    await chunkFiles?.close();
    if (options.lock === undefined) await lock.release();
    throw error;
  }
}

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
  #queue: AppendJob[] = [];
  #draining: Promise<void> | undefined;
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
    return new Promise((resolve, reject) => {
      if (this.#closed) {
        reject(new AppError("unavailable", "cannot append samples: the head is closed"));
        return;
      }
      if (count > APPEND_MAX_SAMPLES) {
        const text = `cannot append ${count} samples at once: the limit is ${APPEND_MAX_SAMPLES}`;
        reject(new AppError("bad-data", text));
        return;
      }
      this.#queue.push({ batch, resolve, reject });
      // All appends of this turn of the event loop, and those that come while a write is under way, share one write.
      this.#draining ??= new Promise((done) => {
        setImmediate(() => {
          void this.#drain().then(done);
        });
      });
    });
  }

  /** `inOrderMinTimeMs`: of samples that came in order, leave out those before. */
  select(request: SelectRequest, inOrderMinTimeMs = -Infinity): AsyncIterable<SeriesBatch> {
    return this.#reader.select(request, inOrderMinTimeMs);
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
  cut(task: Omit<CutOptions, "clock" | "parent">): Promise<string | undefined> {
    const { folder, clock } = this.#options;
    return this.#inMaintenance(() => cutBlock(this.#store, { ...task, clock, parent: folder }));
  }

  /**
   * Writes the samples that came out of order to blocks, one for each range of `rangeMs`, and gives their folders. The head
   * keeps the samples until `finish`, which forgets them and their log.
   */
  cutOutOfOrder(
    task: Pick<CutOptions, "signal" | "onStep"> & { rangeMs: number; newUlid: () => string },
  ): Promise<{ folders: readonly string[]; finish: () => Promise<void> }> {
    const { folder, clock, retentionMs } = this.#options;
    const { rangeMs, newUlid, ...rest } = task;
    return this.#inMaintenance(async () => {
      const { outOfOrder } = this.#store;
      await this.#inWalTurn(async () => {
        const upTo = await this.#lateLog.startSegment();
        if (outOfOrder.freeze()) this.#frozenUpTo = upTo;
      });
      const cut = { ...rest, clock, parent: folder, oldestMs: clock.now() - retentionMs };
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
    task: Pick<CutOptions, "parent" | "ulid"> & { signal: AbortSignal },
  ): Promise<string | undefined> {
    const { clock } = this.#options;
    return this.#inMaintenance(() =>
      snapshotHead(this.#store, { ...task, clock, lowestTimeMs: this.#lowestTimeMs }),
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
    await this.#draining;
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

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      let size = 0;
      let count = 0;
      while (count < this.#queue.length && size < GROUP_MAX_SAMPLES)
        size += this.#queue[count++]!.batch.count;
      const jobs = this.#queue.splice(0, count);
      try {
        await this.#inWalTurn(() => this.#committer.commit(jobs));
        if (this.#store.log.hasUnsaved) this.#saveChunks();
      } catch (error) {
        this.#metrics.writesFailed.inc();
        for (const job of jobs) job.reject(error);
      }
    }
    this.#draining = undefined;
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
    const { logger, walSegmentBytes } = this.#options;
    // A series that a scrape has just resolved has no sample yet.
    const fresh = new Set(this.#committer.unlogged);
    const removed = this.#store.truncate(minTimeMs, (ref) => fresh.has(ref));
    this.#metrics.seriesRemoved.inc(removed);
    this.#metrics.truncations.inc();
    await this.#chunkFiles.dropBefore(minTimeMs);
    try {
      await this.#inWalTurn(() => this.#wal.nextSegment());
    } catch (error) {
      // A full disk, perhaps: then it matters all the more that old segments go.
      logger.error("cannot start a new WAL segment", { error });
    }
    let lastExpired = -1;
    for (const { index } of await listSegments(join(this.#options.folder, "wal"))) {
      const maxTimeMs = this.#segmentMaxTimes.get(index) ?? -Infinity;
      if (index >= this.#wal.segmentIndex || maxTimeMs >= minTimeMs) break;
      lastExpired = index;
    }
    if (lastExpired < 0) return;
    try {
      await writeCheckpoint(join(this.#options.folder, "wal"), lastExpired, {
        mapRef: (ref) => {
          const mapped = this.#aliases.get(ref) ?? ref;
          return this.#store.series.has(mapped) ? mapped : -1;
        },
        minTimeMs,
        minDeletedTimeMs: this.#store.minDeletedTimeMs(minTimeMs),
        segmentBytes: walSegmentBytes ?? 128 * 1024 * 1024,
      });
      for (const index of this.#segmentMaxTimes.keys())
        if (index <= lastExpired) this.#segmentMaxTimes.delete(index);
      this.#metrics.checkpoints.inc();
      logger.debug("wrote WAL checkpoint", { segment: lastExpired, series_removed: removed });
    } catch (error) {
      // The log is complete without the checkpoint; the next run tries again.
      this.#metrics.checkpointsFailed.inc();
      logger.error("cannot write WAL checkpoint", { segment: lastExpired, error });
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
