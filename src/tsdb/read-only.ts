import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { AppError, messageOf } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { type Block, openBlock } from "../block/block.ts";
import { isOutOfOrder } from "../block/meta.ts";
import { isUlid } from "../block/ulid.ts";
import { mergeSelect } from "../storage/merge.ts";
import type { SelectRequest, SeriesBatch } from "../storage/queryable.ts";
import { isDamage } from "./block-set.ts";
import { readHeadStart } from "./head-start.ts";
import { CHUNK_RANGE_MS, HeadStore } from "./head-store.ts";
import { type ReplayProgress, replayLogs } from "./replay.ts";
import { HeadReader } from "./select.ts";

/** The block folders of a data folder, in order of their names. */
export async function blockFolders(folder: string): Promise<string[]> {
  try {
    return (await readdir(folder))
      .filter(isUlid)
      .sort()
      .map((name) => join(folder, name));
  } catch (error) {
    throw new AppError("not-found", `cannot read data folder ${folder}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** What `read` gives, or undefined and a word to `onDamage` when the block is damaged. */
export async function unlessDamaged<T>(
  onDamage: (message: string) => void,
  read: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    onDamage(damageOf(error));
    return undefined;
  }
}

/** What is damaged; throws any other error. */
function damageOf(error: unknown): string {
  if (error instanceof AppError && isDamage(error)) return error.message;
  throw error;
}

interface ReadOnlyOptions {
  readonly logger: Logger;
  readonly clock: Clock;
  /** What is damaged and cannot be read. */
  readonly onDamage: (message: string) => void;
  readonly onReplay?: (progress: ReplayProgress) => void;
  /** The share of what selects give that they have given. */
  readonly onRead?: (share: number) => void;
}

/** A data folder as it stands, for tools: nothing in it is locked or changed, and its owner may go on writing. */
export class ReadOnlyDatabase {
  readonly blocks: readonly Block[];
  readonly #head: HeadReader;
  readonly #cutTimeMs: number;
  readonly #options: ReadOnlyOptions;
  /** Of what selects read: series in the sources, and how many of them have come. */
  #seriesTotal = 0;
  #seriesCount = 0;

  private constructor(parts: {
    blocks: readonly Block[];
    head: HeadReader;
    cutTimeMs: number;
    options: ReadOnlyOptions;
  }) {
    this.blocks = parts.blocks;
    this.#head = parts.head;
    this.#cutTimeMs = parts.cutTimeMs;
    this.#options = parts.options;
  }

  /** Opens all blocks and reads the log into memory. What is damaged is told, and the rest is read. */
  static async open(folder: string, options: ReadOnlyOptions): Promise<ReadOnlyDatabase> {
    const { onDamage, onReplay } = options;
    const blocks: Block[] = [];
    for (const one of await blockFolders(folder)) {
      const block = await unlessDamaged(onDamage, () => openBlock(one));
      if (block !== undefined) blocks.push(block);
    }
    blocks.sort((a, b) => a.meta.minTime - b.meta.minTime);
    const cutTimeMs = Math.max(
      await readHeadStart(folder),
      ...blocks.filter(({ meta }) => !isOutOfOrder(meta)).map(({ meta }) => meta.maxTime),
    );
    const store = new HeadStore({ chunkSamples: 120, chunkRangeMs: CHUNK_RANGE_MS });
    await replayLogs(store, {
      folder,
      minTimeMs: cutTimeMs,
      nowMs: options.clock.now(),
      logger: options.logger,
      isReadOnly: true,
      ...(onReplay && { onProgress: onReplay }),
    });
    return new ReadOnlyDatabase({ blocks, head: new HeadReader(store), cutTimeMs, options });
  }

  select(request: SelectRequest): AsyncIterable<SeriesBatch> {
    const sources = this.blocks
      .filter((block) => block.overlaps(request))
      .map((block) => this.#counted(this.#read(block, request)));
    sources.push(this.#counted(this.#head.select(request, this.#cutTimeMs)));
    return mergeSelect(sources);
  }

  /** The series of a block; when it turns out to be damaged, those before. */
  async *#read(block: Block, request: SelectRequest): AsyncGenerator<SeriesBatch> {
    try {
      yield* block.select(request);
    } catch (error) {
      this.#options.onDamage(damageOf(error));
    }
  }

  /** What `source` gives; tells how much of all that is read has come. */
  async *#counted(source: AsyncIterable<SeriesBatch>): AsyncGenerator<SeriesBatch> {
    let left = 0;
    const come = (count: number): void => {
      left -= count;
      this.#seriesCount += count;
      if (this.#seriesTotal > 0) this.#options.onRead?.(this.#seriesCount / this.#seriesTotal);
    };
    for await (const batch of source) {
      const atMost = batch.expected?.atMost ?? Infinity;
      if (atMost < Infinity) {
        left = atMost;
        this.#seriesTotal += atMost;
      }
      come(Math.min(batch.series.length, left));
      yield batch;
    }
    // Some have no samples in the range.
    come(left);
  }

  async close(): Promise<void> {
    for (const block of this.blocks) await block.close();
  }
}
