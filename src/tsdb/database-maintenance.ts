import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { AppError, isDiskFull } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import type { Block } from "../block/block.ts";
import { mergeBlocks } from "../block/merge.ts";
import { isOutOfOrder } from "../block/meta.ts";
import { compactionRanges, formatPlan, planCompaction, planRetention } from "../block/plan.ts";
import { newUlid } from "../block/ulid.ts";
import type { OnUnreadable } from "../block/unreadable.ts";
import { type Failpoint, writeMeta } from "../block/writer.ts";
import { formatSeries, type Labels } from "../model/labels.ts";
import { type BlockSet, isDamage } from "./block-set.ts";
import type { DatabaseMetrics } from "./database-metrics.ts";
import type { Head } from "./head.ts";
import { HEAD_CHUNKS_FOLDER } from "./head-chunk-files.ts";
import type { HeadOptions } from "./head-options.ts";
import { writeHeadStart } from "./head-start.ts";
import { CHUNK_RANGE_MS } from "./head-store.ts";
import { OUT_OF_ORDER_LOG_FOLDER } from "./out-of-order-log.ts";

/** Steps of maintenance beyond those of writing a block, at which a test stops the process. */
export type DatabaseStep =
  | Failpoint
  | "block-loaded"
  | "before-truncation"
  | "after-truncation"
  | "parents-deleted";

export interface MaintenanceOptions extends Pick<
  HeadOptions,
  "folder" | "clock" | "logger" | "retentionMs" | "chunkRangeMs"
> {
  /** The oldest blocks go while blocks and log together are larger than this many bytes. 0 (default): no limit. */
  readonly retentionBytes?: number;
  /** Blocks are merged up to this length. Default 31 d or a tenth of the retention, whichever is less. */
  readonly maxBlockMs?: number;
  /** Called at each step of maintenance; for tests of crashes. */
  readonly onStep?: (step: DatabaseStep) => void;
}

/** What is maintained, and what that needs to know of its owner. */
export interface MaintenanceParts {
  readonly head: Head;
  readonly blocks: BlockSet;
  readonly metrics: DatabaseMetrics;
  readonly random: Random;
  /** Aborted when the database closes. */
  readonly signal: AbortSignal;
  /** Waits for the selects under way, which may read from the head what is in a block now. */
  readonly waitForReaders: () => Promise<void>;
  /** Whether nothing is stored now for want of space, which is told of elsewhere. */
  readonly isDiskFull: () => boolean;
}

/** The line of a series some of whose samples are left out of what is written. */
export function tellUnreadable(logger: Logger, labels: Labels, error: AppError): void {
  logger.error("cannot read samples of a series: they are left out", {
    series: formatSeries(labels),
    error,
  });
}

/** The head is cut when it spans more than this many block ranges. */
const CUT_SPAN_RANGES = 1.5;
const DAY_MS = 86_400_000;
/** Blocks merged or cut in one round of maintenance. */
const ROUND_STEPS_MAX = 100;

/** Cuts the head where it is due, merges blocks, and drops what is past retention. */
export class Maintenance {
  readonly #options: MaintenanceOptions;
  readonly #parts: MaintenanceParts;
  readonly #head: Head;
  readonly #blocks: BlockSet;
  readonly #metrics: DatabaseMetrics;
  readonly #signal: AbortSignal;
  readonly #rangeMs: number;

  constructor(options: MaintenanceOptions, parts: MaintenanceParts) {
    this.#options = options;
    this.#parts = parts;
    this.#head = parts.head;
    this.#blocks = parts.blocks;
    this.#metrics = parts.metrics;
    this.#signal = parts.signal;
    this.#rangeMs = options.chunkRangeMs ?? CHUNK_RANGE_MS;
  }

  /** One round of it all. What fails is logged and left for the next one. */
  async run(): Promise<void> {
    this.#metrics.rounds.inc();
    await this.#do([
      ["cut the head", (): Promise<void> => this.#cutHead()],
      ["compact blocks", (): Promise<void> => this.#compact()],
      ["apply retention", (): Promise<void> => this.#retain()],
    ]);
  }

  /** Deletes the blocks past retention. What fails is logged. */
  async dropExpired(): Promise<void> {
    await this.#do([["apply retention", (): Promise<void> => this.#retainBlocks()]]);
  }

  async #do(steps: readonly (readonly [what: string, act: () => Promise<void>])[]): Promise<void> {
    const { logger } = this.#options;
    for (const [what, act] of steps) {
      if (this.#signal.aborted) return;
      try {
        await act();
      } catch (error) {
        if (this.#signal.aborted) return;
        this.#metrics.failures.inc();
        // As Prometheus, which counts cuts among its compactions. Failed merges are counted where they fail.
        if (what === "cut the head") this.#metrics.compactionsFailed.inc();
        // While nothing is stored for want of space, that is known.
        const isKnown = this.#parts.isDiskFull() && isDiskFull(error);
        logger[isKnown ? "debug" : "error"](`cannot ${what}`, { error });
      }
    }
  }

  readonly #tellUnreadable: OnUnreadable<Labels> = (labels, error) => {
    this.#metrics.compactionsFailed.inc();
    tellUnreadable(this.#options.logger, labels, error);
  };

  async #cutHead(): Promise<void> {
    const { clock, logger, onStep } = this.#options;
    const rangeMs = this.#rangeMs;
    let hasCut = false;
    for (let round = 0; round < ROUND_STEPS_MAX && !this.#signal.aborted; round++) {
      const { minTimeMs, maxTimeMs } = this.#head.stats();
      if (!(maxTimeMs - minTimeMs > CUT_SPAN_RANGES * rangeMs)) break;
      hasCut = true;
      const endMs = Math.floor(minTimeMs / rangeMs) * rangeMs + rangeMs;
      const startedMs = clock.monotonic();
      const ulid = newUlid({ clock, random: this.#parts.random });
      const folder = await this.#head.cut({
        ulid,
        minTimeMs,
        maxTimeMs: endMs,
        signal: this.#signal,
        onUnreadable: this.#tellUnreadable,
        ...(onStep === undefined ? {} : { onStep }),
      });
      if (folder !== undefined) {
        const { meta } = await this.#blocks.load(folder);
        this.#metrics.cuts.inc();
        this.#metrics.compactions.inc();
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
      await this.#parts.waitForReaders();
      onStep?.("before-truncation");
      await this.#head.truncateBefore(endMs);
      onStep?.("after-truncation");
    }
    // As Prometheus: what came out of order goes to blocks when the rest does.
    if (hasCut && !this.#signal.aborted) await this.#cutOutOfOrder();
  }

  async #cutOutOfOrder(): Promise<void> {
    const { clock, logger, onStep } = this.#options;
    if (!this.#head.hasOutOfOrder({ minTimeMs: -Infinity, maxTimeMs: Infinity })) return;
    const { folders, finish } = await this.#head.cutOutOfOrder({
      rangeMs: this.#rangeMs,
      newUlid: () => newUlid({ clock, random: this.#parts.random }),
      signal: this.#signal,
      onUnreadable: this.#tellUnreadable,
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
    await this.#parts.waitForReaders();
    await finish();
  }

  async #compact(): Promise<void> {
    const { logger, clock, folder, retentionMs, onStep } = this.#options;
    const maxMs = this.#options.maxBlockMs ?? Math.min(31 * DAY_MS, retentionMs / 10);
    const ranges = compactionRanges(this.#rangeMs, maxMs);
    for (let round = 0; round < ROUND_STEPS_MAX && !this.#signal.aborted; round++) {
      // Merged with others a block would no longer say that the head still has samples of its time.
      const { lowestTimeMs } = this.#head;
      const settled = this.#blocks.blocks
        .map(({ meta }) => meta)
        .filter((meta) => !isOutOfOrder(meta) || meta.maxTime <= lowestTimeMs);
      const plan = planCompaction(settled, ranges);
      if (plan === undefined) return;
      const inputs = plan.blocks.map(({ ulid }) =>
        this.#blocks.blocks.find(({ meta }) => meta.ulid === ulid)!,
      );
      const ulid = newUlid({ clock, random: this.#parts.random });
      const startedMs = clock.monotonic();
      try {
        const merged = await mergeBlocks(inputs, {
          parent: folder,
          ulid,
          signal: this.#signal,
          onUnreadable: this.#tellUnreadable,
          ...(onStep === undefined ? {} : { onStep }),
        });
        if (merged === undefined) await writeHeadStart(folder, this.#head.lowestTimeMs);
        else await this.#blocks.load(merged);
      } catch (error) {
        if (this.#signal.aborted) return;
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
    const { retentionMs, clock } = this.#options;
    await this.#retainBlocks();
    // A head that gets no new samples is never cut; its old ones go in steps.
    const slackMs = Math.min(Math.max(retentionMs / 8, 10_000), 3_600_000);
    const oldestMs = clock.now() - retentionMs;
    if (this.#head.stats().minTimeMs < oldestMs - slackMs)
      await this.#head.truncateBefore(oldestMs);
  }

  async #retainBlocks(): Promise<void> {
    const { retentionMs, retentionBytes = 0, logger } = this.#options;
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
