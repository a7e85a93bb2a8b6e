import { join } from "node:path";
import { readdir, stat } from "node:fs/promises";
import { AppError, isDiskFull } from "../base/errors.ts";
import { type Random, systemRandom } from "../base/random.ts";
import type { Block } from "../block/block.ts";
import { mergeBlocks } from "../block/merge.ts";
import { type BlockMeta, isOutOfOrder } from "../block/meta.ts";
import { compactionRanges, formatPlan, planCompaction, planRetention } from "../block/plan.ts";
import { newUlid } from "../block/ulid.ts";
import { type Failpoint, writeMeta } from "../block/writer.ts";
import type { Labels } from "../model/labels.ts";
import type { Appendable, AppendBatch, AppendResult } from "../storage/appender.ts";
import { mergeSelect, mergeTexts } from "../storage/merge.ts";
import type {
  LabelRequest,
  LabelResult,
  Queryable,
  SelectRequest,
  SeriesBatch,
} from "../storage/queryable.ts";
import { BlockSet, isDamage, type QuarantinedBlock } from "./block-set.ts";
import { type AdminParts, cleanTombstones, deleteSeries } from "./database-admin.ts";
import { type DatabaseMetrics, registerDatabaseMetrics } from "./database-metrics.ts";
import { FullDisk } from "./full-disk.ts";
import type { Head } from "./head.ts";
import type { HeadOptions } from "./head-options.ts";
import { openHead } from "./open-head.ts";
import { HEAD_CHUNKS_FOLDER } from "./head-chunk-files.ts";
import type { DeleteRequest } from "./head-delete.ts";
import { CHUNK_RANGE_MS } from "./head-store.ts";
import { readHeadStart, writeHeadStart } from "./head-start.ts";
import { OUT_OF_ORDER_LOG_FOLDER } from "./out-of-order-log.ts";
import { type FolderLock, lockFolder } from "./lock.ts";
import { takeSnapshot } from "./snapshot.ts";

/** Steps of maintenance beyond those of writing a block, at which a test stops the process. */
export type DatabaseStep =
  | Failpoint
  | "block-loaded"
  | "before-truncation"
  | "after-truncation"
  | "parents-deleted";

export interface DatabaseOptions extends Omit<
  HeadOptions,
  "lock" | "lowestTimeMs" | "isMaintained" | "truncateIntervalMs"
> {
  /** The oldest blocks go while blocks and log together are larger than this many bytes. 0 (default): no limit. */
  readonly retentionBytes?: number;
  /** Blocks are merged up to this length. Default 31 d or a tenth of the retention, whichever is less. */
  readonly maxBlockMs?: number;
  /** How often to look for work. Default one minute, as Prometheus. */
  readonly maintainIntervalMs?: number;
  /** Default: the system's. */
  readonly random?: Random;
  /** Called at each step of maintenance; for tests of crashes. */
  readonly onStep?: (step: DatabaseStep) => void;
}

export const MAINTAIN_INTERVAL_MS = 60_000;
/** The head is cut when it spans more than this many block ranges. */
const CUT_SPAN_RANGES = 1.5;
/** How long a truncation of the head waits for the selects that began before its block was there. */
export const READERS_WAIT_MAX_MS = 150_000;
const DAY_MS = 86_400_000;
/** Blocks merged or cut in one round of maintenance. */
const ROUND_STEPS_MAX = 100;

/** Opens the database in `options.folder`: takes the folder, opens the blocks, replays the log. */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const { folder, logger, clock } = options;
  const lock = await lockFolder(folder);
  let blocks: BlockSet | undefined;
  try {
    blocks = await BlockSet.open({ folder, logger, clock });
    const head = await openHead({
      ...options,
      lock,
      isMaintained: true,
      lowestTimeMs: Math.max(cutTime(blocks.blocks), await readHeadStart(folder)),
    });
    return new Database(options, { lock, blocks, head });
  } catch (error) {
    await blocks?.close();
    await lock.release();
    throw error;
  }
}

/** Up to here the head was cut to blocks. Out-of-order blocks say nothing about that. */
function cutTime(blocks: readonly Block[]): number {
  return Math.max(
    -Infinity,
    ...blocks.filter(({ meta }) => !isOutOfOrder(meta)).map(({ meta }) => meta.maxTime),
  );
}

/**
 * Recent samples in a head, older ones in blocks, read as one:
 *
 *     append ──► head ──── cut, every 2 h ────► block 2h ┐
 *                  ▲                            block 2h ├─ merge ─► block 6h ─► … ─► retention
 *     select ──────┴──────── merged ──────────► block 2h ┘
 *
 * A block is on disk under its name before the head lets go of its samples, and the head lets go before anything else
 * is done, so each sample is there once or, for a moment, twice with the same value.
 */
export class Database implements Queryable, Appendable {
  readonly head: Head;
  readonly #options: DatabaseOptions;
  readonly #blocks: BlockSet;
  readonly #lock: FolderLock;
  readonly #random: Random;
  readonly #rangeMs: number;
  readonly #metrics: DatabaseMetrics;
  /** The selects under way. */
  readonly #readers = new Set<Promise<void>>();
  readonly #abort = new AbortController();
  readonly #fullDisk: FullDisk;
  #maintaining: Promise<void> | undefined;
  /** Maintenance and what an administrator asks for follow each other. */
  #turn: Promise<unknown> = Promise.resolve();
  #cancelTimer = (): void => {};
  #closed = false;

  /** Use `openDatabase`. */
  constructor(options: DatabaseOptions, parts: { lock: FolderLock; blocks: BlockSet; head: Head }) {
    this.#options = options;
    this.#lock = parts.lock;
    this.#blocks = parts.blocks;
    this.head = parts.head;
    this.#random = options.random ?? systemRandom;
    this.#rangeMs = options.chunkRangeMs ?? CHUNK_RANGE_MS;
    this.#metrics = registerDatabaseMetrics(options.registry, {
      blocks: () => this.#blocks.blocks,
      retentionBytes: options.retentionBytes ?? 0,
      minTimeMs: () => this.minTimeMs,
      quarantinedCount: () => this.#blocks.quarantined.length,
    });
    this.#fullDisk = new FullDisk(options);
    this.#schedule();
  }

  /** Why nothing is stored now, for people; "" while all is. */
  get storageError(): string {
    return this.#fullDisk.error;
  }

  /** The start of the oldest sample that may be there; Infinity without any. */
  get minTimeMs(): number {
    const { minTimeMs } = this.head.stats();
    return Math.min(minTimeMs, ...this.#blocks.blocks.map(({ meta }) => meta.minTime));
  }

  /** The time of the newest sample; -Infinity without any. */
  get maxTimeMs(): number {
    const { maxTimeMs } = this.head.stats();
    return Math.max(maxTimeMs, ...this.#blocks.blocks.map(({ meta }) => meta.maxTime - 1));
  }

  /** The blocks in use, in order of time. */
  blocks(): readonly BlockMeta[] {
    return this.#blocks.blocks.map(({ meta }) => meta);
  }

  /** The blocks set aside since the start. */
  quarantined(): readonly QuarantinedBlock[] {
    return this.#blocks.quarantined;
  }

  resolve(labels: Labels): number {
    return this.head.resolve(labels);
  }

  append(batch: AppendBatch): Promise<AppendResult> {
    return this.#fullDisk.watch(this.head.append(batch));
  }

  async *select(request: SelectRequest): AsyncGenerator<SeriesBatch> {
    const reading = Promise.withResolvers<void>();
    this.#readers.add(reading.promise);
    try {
      // No await stands between these lines: the sources agree on which of them has a sample.
      const { lowestTimeMs } = this.head;
      const sources: AsyncIterable<SeriesBatch>[] = this.#blocks.blocks
        .filter((block) => block.overlaps(request))
        .map((block) => this.#readBlock(block, request));
      if (request.maxTimeMs >= lowestTimeMs || this.head.hasOutOfOrder(request))
        sources.push(this.head.select(request, lowestTimeMs));
      yield* mergeSelect(sources, { limit: request.limit ?? 0 });
    } finally {
      this.#readers.delete(reading.promise);
      reading.resolve();
    }
  }

  labelNames(request: LabelRequest): Promise<LabelResult> {
    return this.#labels(request, (source) => source.labelNames(request));
  }

  labelValues(name: string, request: LabelRequest): Promise<LabelResult> {
    return this.#labels(request, (source) => source.labelValues(name, request));
  }

  /**
   * Cuts the head where it is due, merges blocks, and drops what is past retention. Runs on a schedule; safe to call at
   * any time. What fails is logged and tried again next time.
   */
  maintain(): Promise<void> {
    this.#maintaining ??= this.#inTurn(() => this.#maintain()).finally(
      () => (this.#maintaining = undefined),
    );
    return this.#maintaining;
  }

  /** Deletes the samples that are in the range now. On disk when it resolves. */
  deleteSeries(request: DeleteRequest): Promise<void> {
    return this.#inTurn(() => deleteSeries(this.#adminParts(), request));
  }

  /** Takes deleted samples out of the blocks they are in. */
  cleanTombstones(): Promise<void> {
    return this.#inTurn(() => cleanTombstones(this.#adminParts()));
  }

  /** Stops maintenance, writes what is queued and gives the folder back. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelTimer();
    this.#abort.abort();
    await this.#turn;
    try {
      await this.head.close();
      await this.#blocks.close();
    } finally {
      await this.#lock.release();
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Makes a data folder of its own of all samples of now, and gives its name below `snapshots`. */
  snapshot(options: { skipHead: boolean }): Promise<string> {
    return this.#inTurn(() => takeSnapshot(this.#adminParts(), options));
  }

  #adminParts(): AdminParts {
    if (this.#closed) throw new AppError("unavailable", "cannot do that: the database is closed");
    const { folder, clock, logger } = this.#options;
    const [blocks, random, { signal }] = [this.#blocks, this.#random, this.#abort];
    return { folder, head: this.head, blocks, clock, random, logger, signal };
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(act);
    this.#turn = turn.catch(() => {});
    return turn;
  }

  #schedule(): void {
    const { clock, maintainIntervalMs } = this.#options;
    this.#cancelTimer = clock.after(maintainIntervalMs ?? MAINTAIN_INTERVAL_MS, () => {
      void this.maintain().finally(() => {
        if (!this.#closed) this.#schedule();
      });
    });
  }

  /** The series of a block; when it turns out to be damaged, those before, a warning, and its end. */
  async *#readBlock(block: Block, request: SelectRequest): AsyncGenerator<SeriesBatch> {
    try {
      yield* block.select(request);
    } catch (error) {
      yield { series: [], warnings: [await this.#damaged(block, error)] };
    }
  }

  /** Sets a damaged block aside and says so; throws any other error. */
  async #damaged(block: Block, error: unknown): Promise<string> {
    if (!(error instanceof AppError) || !isDamage(error)) throw error;
    await this.#blocks.quarantine(block.meta.ulid, error.message);
    return `block ${block.meta.ulid} is damaged, its samples are missing: ${error.message}`;
  }

  async #labels(
    request: LabelRequest,
    ask: (source: Queryable) => Promise<LabelResult>,
  ): Promise<LabelResult> {
    const results = await Promise.all([
      ...this.#blocks.blocks
        .filter((block) => block.overlaps(request))
        .map(async (block): Promise<LabelResult> => {
          try {
            return await ask(block);
          } catch (error) {
            return { values: [], warnings: [await this.#damaged(block, error)] };
          }
        }),
      ask(this.head),
    ]);
    return {
      values: mergeTexts(
        results.map(({ values }) => values),
        request.limit,
      ),
      warnings: results.flatMap(({ warnings }) => warnings),
    };
  }

  async #maintain(): Promise<void> {
    const { logger } = this.#options;
    for (const [what, act] of [
      ["cut the head", (): Promise<void> => this.#cutHead()],
      ["compact blocks", (): Promise<void> => this.#compact()],
      ["apply retention", (): Promise<void> => this.#retain()],
    ] as const) {
      if (this.#closed) return;
      try {
        await act();
      } catch (error) {
        if (this.#closed) return;
        this.#metrics.failures.inc();
        // While nothing is stored for want of space, that is known.
        const isKnown = this.storageError !== "" && isDiskFull(error);
        logger[isKnown ? "debug" : "error"](`cannot ${what}`, { error });
      }
    }
  }

  async #cutHead(): Promise<void> {
    const { clock, logger, onStep } = this.#options;
    const rangeMs = this.#rangeMs;
    let hasCut = false;
    for (let round = 0; round < ROUND_STEPS_MAX && !this.#closed; round++) {
      const { minTimeMs, maxTimeMs } = this.head.stats();
      if (!(maxTimeMs - minTimeMs > CUT_SPAN_RANGES * rangeMs)) break;
      hasCut = true;
      const endMs = Math.floor(minTimeMs / rangeMs) * rangeMs + rangeMs;
      const startedMs = clock.monotonic();
      const ulid = newUlid({ clock, random: this.#random });
      const folder = await this.head.cut({
        ulid,
        minTimeMs,
        maxTimeMs: endMs,
        signal: this.#abort.signal,
        ...(onStep === undefined ? {} : { onStep }),
      });
      if (folder !== undefined) {
        const { meta } = await this.#blocks.load(folder);
        this.#metrics.cuts.inc();
        onStep?.("block-loaded");
        logger.info("wrote a block from the head", {
          block: ulid,
          min_time: meta.minTime,
          max_time: meta.maxTime,
          series: meta.stats.numSeries,
          samples: meta.stats.numSamples,
          duration_ms: Math.round(clock.monotonic() - startedMs),
        });
      }
      await this.#waitForReaders();
      onStep?.("before-truncation");
      await this.head.truncateBefore(endMs);
      onStep?.("after-truncation");
    }
    // As Prometheus: what came out of order goes to blocks when the rest does.
    if (hasCut && !this.#closed) await this.#cutOutOfOrder();
  }

  async #cutOutOfOrder(): Promise<void> {
    const { clock, logger, onStep } = this.#options;
    if (!this.head.hasOutOfOrder({ minTimeMs: -Infinity, maxTimeMs: Infinity })) return;
    const { folders, finish } = await this.head.cutOutOfOrder({
      rangeMs: this.#rangeMs,
      newUlid: () => newUlid({ clock, random: this.#random }),
      signal: this.#abort.signal,
      ...(onStep === undefined ? {} : { onStep }),
    });
    for (const folder of folders) {
      const { meta } = await this.#blocks.load(folder);
      logger.info("wrote a block of samples that came out of order", {
        block: meta.ulid,
        min_time: meta.minTime,
        max_time: meta.maxTime,
        samples: meta.stats.numSamples,
      });
    }
    await this.#waitForReaders();
    await finish();
  }

  /** Selects that began before the new block was there take its samples from the head. */
  async #waitForReaders(): Promise<void> {
    const before = [...this.#readers];
    if (before.length === 0) return;
    const waiting = new AbortController();
    const signal = AbortSignal.any([waiting.signal, this.#abort.signal]);
    const tooLong = this.#options.clock.sleep(READERS_WAIT_MAX_MS, signal).catch(() => {});
    await Promise.race([Promise.all(before), tooLong]);
    waiting.abort();
  }

  async #compact(): Promise<void> {
    const { logger, clock, folder, retentionMs, onStep } = this.#options;
    const maxMs = this.#options.maxBlockMs ?? Math.min(31 * DAY_MS, retentionMs / 10);
    const ranges = compactionRanges(this.#rangeMs, maxMs);
    for (let round = 0; round < ROUND_STEPS_MAX && !this.#closed; round++) {
      // Merged with others a block would no longer say that the head still has samples of its time.
      const { lowestTimeMs } = this.head;
      const settled = this.blocks().filter(
        (meta) => !isOutOfOrder(meta) || meta.maxTime <= lowestTimeMs,
      );
      const plan = planCompaction(settled, ranges);
      if (plan === undefined) return;
      const inputs = plan.blocks.map(({ ulid }) =>
        this.#blocks.blocks.find(({ meta }) => meta.ulid === ulid)!,
      );
      const ulid = newUlid({ clock, random: this.#random });
      const startedMs = clock.monotonic();
      try {
        const merged = await mergeBlocks(inputs, {
          parent: folder,
          ulid,
          signal: this.#abort.signal,
          ...(onStep === undefined ? {} : { onStep }),
        });
        if (merged === undefined) await writeHeadStart(folder, this.head.lowestTimeMs);
        else await this.#blocks.load(merged);
      } catch (error) {
        if (this.#closed) return;
        await this.#mergeFailed(inputs, error);
        continue;
      }
      onStep?.("block-loaded");
      for (const { meta } of inputs) await this.#blocks.delete(meta.ulid);
      onStep?.("parents-deleted");
      this.#metrics.compactions.inc();
      logger.info("compacted blocks", {
        block: ulid,
        plan: formatPlan(plan),
        duration_ms: Math.round(clock.monotonic() - startedMs),
      });
    }
  }

  /** A damaged input is set aside; inputs that cannot be merged are marked so that the plan leaves them out. */
  async #mergeFailed(inputs: readonly Block[], error: unknown): Promise<void> {
    this.#metrics.compactionsFailed.inc();
    this.#options.logger.error("cannot compact blocks", {
      blocks: inputs.map(({ meta }) => meta.ulid),
      error,
    });
    if (!(error instanceof AppError)) throw error;
    if (isDamage(error)) {
      const damaged = inputs.filter(({ folder }) => error.message.includes(folder));
      for (const { meta } of damaged) await this.#blocks.quarantine(meta.ulid, error.message);
      if (damaged.length > 0) return;
    }
    if (error.code === "resource-exhausted" || error.code === "unavailable") throw error;
    for (const { folder, meta } of inputs) {
      await writeMeta(folder, { ...meta, compaction: { ...meta.compaction, failed: true } });
      await this.#blocks.reload(meta.ulid);
    }
  }

  async #retain(): Promise<void> {
    const { retentionMs, retentionBytes = 0, clock, logger } = this.#options;
    const steps = planRetention(this.#blocks.blocks, {
      retentionMs,
      retentionBytes,
      otherBytes: retentionBytes === 0 ? 0 : await this.#logSize(),
    });
    for (const { block, reason } of steps) {
      await this.#blocks.delete(block.ulid);
      (reason === "time" ? this.#metrics.timeRetentions : this.#metrics.sizeRetentions).inc();
      logger.info("deleted a block past retention", { block: block.ulid, reason });
    }
    // A head that gets no new samples is never cut; its old ones go in steps.
    const slackMs = Math.min(Math.max(retentionMs / 8, 10_000), 3_600_000);
    const oldestMs = clock.now() - retentionMs;
    if (this.head.stats().minTimeMs < oldestMs - slackMs) await this.head.truncateBefore(oldestMs);
  }

  /** Bytes of the logs and of the files of head chunks. */
  async #logSize(): Promise<number> {
    let size = 0;
    for (const name of ["wal", OUT_OF_ORDER_LOG_FOLDER, HEAD_CHUNKS_FOLDER]) {
      const folder = join(this.#options.folder, name);
      const options = { withFileTypes: true, recursive: true } as const;
      for (const entry of await readdir(folder, options).catch(() => [])) {
        if (!entry.isFile()) continue;
        // A file may go at any moment.
        const file = await stat(join(entry.parentPath, entry.name)).catch(() => undefined);
        size += file?.size ?? 0;
      }
    }
    return size;
  }
}
