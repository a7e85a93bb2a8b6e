import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { type Block, openBlock } from "../block/block.ts";
import { isUlid } from "../block/ulid.ts";
import { CREATION_SUFFIX, DELETION_SUFFIX, syncFolder } from "../block/writer.ts";

/** A block that is damaged and was set aside. */
export interface QuarantinedBlock {
  readonly ulid: string;
  readonly reason: string;
  readonly keptAs: string;
}

/** The blocks of a data folder: opened together, replaced one by one, damaged ones set aside. */
export class BlockSet {
  readonly #folder: string;
  readonly #logger: Logger;
  readonly #clock: Clock;
  #blocks: readonly Block[] = [];
  readonly #quarantined: QuarantinedBlock[] = [];
  #loadCount = 0;
  #failedLoadCount = 0;

  private constructor(options: { folder: string; logger: Logger; clock: Clock }) {
    this.#folder = options.folder;
    this.#logger = options.logger;
    this.#clock = options.clock;
  }

  /**
   * Deletes what a crash left behind (unfinished blocks, half deleted ones, those a merge has replaced) and opens the
   * rest. A damaged block goes to `quarantine/`, with a line in the log; an unreadable disk fails.
   */
  static async open(options: { folder: string; logger: Logger; clock: Clock }): Promise<BlockSet> {
    const set = new BlockSet(options);
    const { folder, logger } = options;
    await mkdir(folder, { recursive: true });
    for (const name of await readdir(folder)) {
      const [ulid] = name.split(".");
      const isLeftover =
        name.endsWith(CREATION_SUFFIX) || name.endsWith(DELETION_SUFFIX) || name === `${ulid}.tmp`;
      if (!isLeftover || !isUlid(ulid!)) continue;
      logger.warn("deleted an unfinished block", { block: name });
      await rm(join(folder, name), { recursive: true, force: true });
    }
    for (const name of (await readdir(folder)).filter(isUlid).sort()) {
      try {
        set.#add(await set.#open(join(folder, name)));
      } catch (error) {
        if (!(error instanceof AppError) || !isDamage(error)) throw error;
        await set.#setAside(name, error.message);
      }
    }
    // A merge names what it was made from; a crash may have kept those from being deleted.
    const replaced = new Set(
      set.#blocks.flatMap(({ meta }) => meta.compaction.parents?.map(({ ulid }) => ulid) ?? []),
    );
    for (const { meta } of set.#blocks)
      if (replaced.has(meta.ulid) || meta.compaction.deletable === true)
        await set.delete(meta.ulid);
    return set;
  }

  /** In order of time. */
  get blocks(): readonly Block[] {
    return this.#blocks;
  }

  get quarantined(): readonly QuarantinedBlock[] {
    return this.#quarantined;
  }

  /** How often a block was opened, and how often one could not be. */
  get loads(): { readonly count: number; readonly failed: number } {
    return { count: this.#loadCount, failed: this.#failedLoadCount };
  }

  /** Bytes of all blocks. */
  get size(): number {
    return this.#blocks.reduce((total, { size }) => total + size, 0);
  }

  /** Opens the block in `folder` and adds it. */
  async load(folder: string): Promise<Block> {
    const block = await this.#open(folder);
    this.#add(block);
    return block;
  }

  /** Opens a block anew after its small files were changed. */
  async reload(ulid: string): Promise<void> {
    const block = await this.#open(join(this.#folder, ulid));
    const before = this.#blocks.find(({ meta }) => meta.ulid === ulid);
    // In one step: no select misses it.
    this.#blocks = this.#blocks.filter((one) => one !== before);
    this.#add(block);
    await before?.close();
  }

  /** Takes a block out and deletes it; queries that read it finish. */
  async delete(ulid: string): Promise<void> {
    await this.#remove(ulid);
    const gone = join(this.#folder, `${ulid}${DELETION_SUFFIX}`);
    await rm(gone, { recursive: true, force: true });
    await rename(join(this.#folder, ulid), gone);
    await rm(gone, { recursive: true, force: true });
  }

  /** Takes a damaged block out and keeps its files in `quarantine/`. Once for each block. */
  async quarantine(ulid: string, reason: string): Promise<void> {
    if (!this.#blocks.some(({ meta }) => meta.ulid === ulid)) return;
    const removed = this.#remove(ulid);
    await this.#setAside(ulid, reason);
    await removed;
  }

  async close(): Promise<void> {
    const blocks = this.#blocks;
    this.#blocks = [];
    for (const block of blocks) await block.close();
  }

  async #open(folder: string): Promise<Block> {
    this.#loadCount++;
    try {
      return await openBlock(folder);
    } catch (error) {
      this.#failedLoadCount++;
      throw error;
    }
  }

  #add(block: Block): void {
    this.#blocks = [...this.#blocks, block].sort(
      (a, b) => a.meta.minTime - b.meta.minTime || (a.meta.ulid < b.meta.ulid ? -1 : 1),
    );
  }

  async #remove(ulid: string): Promise<void> {
    const block = this.#blocks.find(({ meta }) => meta.ulid === ulid);
    this.#blocks = this.#blocks.filter((one) => one !== block);
    await block?.close();
  }

  async #setAside(ulid: string, reason: string): Promise<void> {
    const folder = join(this.#folder, "quarantine");
    await mkdir(folder, { recursive: true });
    const keptAs = join(folder, `${ulid}-${this.#clock.now()}`);
    this.#quarantined.push({ ulid, reason, keptAs });
    this.#logger.error("a block is damaged and was set aside", {
      block: ulid,
      reason,
      kept_as: keptAs,
    });
    await rename(join(this.#folder, ulid), keptAs);
    await syncFolder(this.#folder);
  }
}

/** Whether an error of reading a block means that its bytes are wrong, not that the disk or the query is. */
export function isDamage(error: AppError): boolean {
  return error.code === "corrupt" || error.code === "not-found";
}
