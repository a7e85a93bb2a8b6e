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
import { replayLogs } from "./replay.ts";
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

/** A data folder as it stands, for tools: nothing in it is locked or changed, and its owner may go on writing. */
export class ReadOnlyDatabase {
  readonly blocks: readonly Block[];
  readonly #head: HeadReader;
  readonly #cutTimeMs: number;
  readonly #onDamage: (message: string) => void;

  private constructor(parts: {
    blocks: readonly Block[];
    head: HeadReader;
    cutTimeMs: number;
    onDamage: (message: string) => void;
  }) {
    this.blocks = parts.blocks;
    this.#head = parts.head;
    this.#cutTimeMs = parts.cutTimeMs;
    this.#onDamage = parts.onDamage;
  }

  /** Opens all blocks and reads the log into memory. What is damaged is told, and the rest is read. */
  static async open(
    folder: string,
    options: { logger: Logger; clock: Clock; onDamage: (message: string) => void },
  ): Promise<ReadOnlyDatabase> {
    const { onDamage } = options;
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
    });
    return new ReadOnlyDatabase({ blocks, head: new HeadReader(store), cutTimeMs, onDamage });
  }

  select(request: SelectRequest): AsyncIterable<SeriesBatch> {
    const sources: AsyncIterable<SeriesBatch>[] = this.blocks
      .filter((block) => block.overlaps(request))
      .map((block) => this.#read(block, request));
    sources.push(this.#head.select(request, this.#cutTimeMs));
    return mergeSelect(sources);
  }

  /** The series of a block; when it turns out to be damaged, those before. */
  async *#read(block: Block, request: SelectRequest): AsyncGenerator<SeriesBatch> {
    try {
      yield* block.select(request);
    } catch (error) {
      this.#onDamage(damageOf(error));
    }
  }

  async close(): Promise<void> {
    for (const block of this.blocks) await block.close();
  }
}
