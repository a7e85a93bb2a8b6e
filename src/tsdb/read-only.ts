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

/** A data folder as it stands, for tools: nothing in it is locked or changed, and its owner may go on writing. */
export class ReadOnlyDatabase {
  readonly blocks: readonly Block[];
  readonly #head: HeadReader;
  readonly #cutTimeMs: number;

  private constructor(parts: { blocks: readonly Block[]; head: HeadReader; cutTimeMs: number }) {
    this.blocks = parts.blocks;
    this.#head = parts.head;
    this.#cutTimeMs = parts.cutTimeMs;
  }

  /** Opens all blocks and reads the log into memory. A damaged block is an error. */
  static async open(
    folder: string,
    options: { logger: Logger; clock: Clock },
  ): Promise<ReadOnlyDatabase> {
    const blocks: Block[] = [];
    for (const one of await blockFolders(folder)) blocks.push(await openBlock(one));
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
    return new ReadOnlyDatabase({ blocks, head: new HeadReader(store), cutTimeMs });
  }

  select(request: SelectRequest): AsyncIterable<SeriesBatch> {
    const sources: AsyncIterable<SeriesBatch>[] = this.blocks
      .filter((block) => block.overlaps(request))
      .map((block) => block.select(request));
    sources.push(this.#head.select(request, this.#cutTimeMs));
    return mergeSelect(sources);
  }

  async close(): Promise<void> {
    for (const block of this.blocks) await block.close();
  }
}
