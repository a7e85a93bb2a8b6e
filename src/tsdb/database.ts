import { AppError } from "../base/errors.ts";
import { type Random, systemRandom } from "../base/random.ts";
import type { Block } from "../block/block.ts";
import { type BlockMeta, isOutOfOrder } from "../block/meta.ts";
import { Labels } from "../model/labels.ts";
import type { Appendable, AppendBatch, AppendResult } from "../storage/appender.ts";
import type { GroupedBatch, GroupedRequest } from "../storage/grouped.ts";
import { mergeSelect, mergeTexts } from "../storage/merge.ts";
import type {
  LabelRequest,
  LabelResult,
  Queryable,
  SelectRequest,
  SeriesBatch,
} from "../storage/queryable.ts";
import { sampleSize } from "../storage/series-sample.ts";
import { BlockSet, isDamage, type QuarantinedBlock } from "./block-set.ts";
import { type AdminParts, cleanTombstones, deleteSeries } from "./database-admin.ts";
import { Maintenance, type MaintenanceOptions } from "./database-maintenance.ts";
import { registerDatabaseMetrics } from "./database-metrics.ts";
import { FullDisk, hasSpaceIn } from "./full-disk.ts";
import type { Head } from "./head.ts";
import type { HeadOptions } from "./head-options.ts";
import { openHead } from "./open-head.ts";
import type { DeleteRequest } from "./head-delete.ts";
import { readHeadStart } from "./head-start.ts";
import { type FolderLock, lockFolder } from "./lock.ts";
import { takeSnapshot } from "./snapshot.ts";

export interface DatabaseOptions
  extends
    Omit<HeadOptions, "lock" | "lowestTimeMs" | "isMaintained" | "truncateIntervalMs">,
    MaintenanceOptions {
  /** How often to look for work. Default one minute, as Prometheus. */
  readonly maintainIntervalMs?: number;
  /** Default: the system's. */
  readonly random?: Random;
}

export const MAINTAIN_INTERVAL_MS = 60_000;
/** How long a truncation of the head waits for the selects that began before its block was there. */
export const READERS_WAIT_MAX_MS = 150_000;

/** Opens the database in `options.folder`: takes the folder, opens the blocks, replays the log. */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  const { folder, logger, clock } = options;
  const lock = await lockFolder(folder, { logger });
  let blocks: BlockSet | undefined;
  try {
    blocks = await BlockSet.open({ folder, logger, clock });
    const head = await openHead({
      ...options,
      lock,
      isMaintained: true,
      lowestTimeMs: Math.max(cutTime(blocks.blocks), await readHeadStart(folder)),
    });
    const database = new Database(options, { lock, blocks, head });
    await database.dropExpired();
    return database;
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
  readonly #maintenance: Maintenance;
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
    const metrics = registerDatabaseMetrics(options.registry, {
      blocks: () => this.#blocks.blocks,
      retentionBytes: options.retentionBytes ?? 0,
      retentionMs: options.retentionMs,
      loads: () => this.#blocks.loads,
      minTimeMs: () => this.minTimeMs,
      quarantinedCount: () => this.#blocks.quarantined.length,
    });
    this.#fullDisk = new FullDisk({ ...options, hasSpace: () => hasSpaceIn(options.folder) });
    this.#maintenance = new Maintenance(options, {
      head: this.head,
      blocks: this.#blocks,
      metrics,
      random: this.#random,
      signal: this.#abort.signal,
      waitForReaders: () => this.#waitForReaders(),
      isDiskFull: () => this.storageError !== "",
    });
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

  /** Rejects when another process has taken the folder: nothing more may be written. */
  get lost(): Promise<never> {
    return this.#lock.lost;
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
    // No await stands between these lines: the sources agree on which of them has a sample.
    const { lowestTimeMs } = this.head;
    const blocks = this.#blocks.blocks.filter((block) => block.overlaps(request));
    const isInHead = request.maxTimeMs >= lowestTimeMs || this.head.hasOutOfOrder(request);
    const part = { ...request, sampleSize: sampleSize(blocks.length + Number(isInHead)) };
    const sources = blocks.map((block): AsyncIterable<SeriesBatch> => this.#readBlock(block, part));
    if (isInHead) sources.push(this.head.select(part, lowestTimeMs));
    yield* this.#registered(mergeSelect(sources, { limit: request.limit ?? 0 }));
  }

  /** Undefined when more than one source may have samples in the range. */
  selectGrouped(request: GroupedRequest): AsyncIterable<GroupedBatch> | undefined {
    const { lowestTimeMs } = this.head;
    const blocks = this.#blocks.blocks.filter((block) => block.overlaps(request));
    const [block] = blocks;
    const isInHead = request.maxTimeMs >= lowestTimeMs || this.head.hasOutOfOrder(request);
    if (blocks.length > 1 || (isInHead && block !== undefined)) return undefined;
    const source =
      block === undefined
        ? this.head.selectGrouped(request, lowestTimeMs)
        : this.#groupedOfBlock(block, request);
    return source === undefined ? undefined : this.#registered(source);
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
    this.#maintaining ??= this.#inTurn(() => this.#maintenance.run()).finally(
      () => (this.#maintaining = undefined),
    );
    return this.#maintaining;
  }

  /** Deletes blocks past retention, as Prometheus does at its start too. What fails is logged. */
  dropExpired(): Promise<void> {
    return this.#inTurn(() => this.#maintenance.dropExpired());
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
    await this.#fullDisk.close();
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

  /** What `source` gives, as a reader that a truncation of the head waits for. */
  async *#registered<T>(source: AsyncIterable<T>): AsyncGenerator<T> {
    const reading = Promise.withResolvers<void>();
    this.#readers.add(reading.promise);
    try {
      yield* source;
    } finally {
      this.#readers.delete(reading.promise);
      reading.resolve();
    }
  }

  /** The series of a block; when it turns out to be damaged, those before, a warning, and its end. */
  async *#readBlock(block: Block, request: SelectRequest): AsyncGenerator<SeriesBatch> {
    try {
      yield* block.select(request);
    } catch (error) {
      yield { series: [], warnings: [await this.#damaged(block, error)] };
    }
  }

  /** As `#readBlock`. */
  async *#groupedOfBlock(block: Block, request: GroupedRequest): AsyncGenerator<GroupedBatch> {
    try {
      yield* block.selectGrouped(request);
    } catch (error) {
      yield noSeries(await this.#damaged(block, error));
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
}

function noSeries(warning: string): GroupedBatch {
  return {
    count: 0,
    groups: new Uint32Array(0),
    values: new Float64Array(0),
    chunks: new Map(),
    hashes: new Uint32Array(0),
    chunkCount: 0,
    sampleCount: 0,
    byteCount: 0,
    warnings: [warning],
    labelsOf: () => Labels.EMPTY,
  };
}
