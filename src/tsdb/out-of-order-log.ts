import { rm } from "node:fs/promises";
import { join } from "node:path";
import { listSegments } from "../wal/segment.ts";
import { type RecordGroup, type WalWriterOptions, WalWriter } from "../wal/writer.ts";

/** The folder of the log of samples out of order, beside `wal`. */
export const OUT_OF_ORDER_LOG_FOLDER = "wbl";

/**
 * The log of samples that came out of order ("write-behind log"): like the write-ahead log, without series of its own
 * and without checkpoints. It is made when the first such sample comes.
 */
export class OutOfOrderLog {
  readonly #options: WalWriterOptions;
  #writer: WalWriter | undefined;

  constructor(options: Omit<WalWriterOptions, "folder"> & { readonly folder: string }) {
    this.#options = { ...options, folder: join(options.folder, OUT_OF_ORDER_LOG_FOLDER) };
  }

  async write(group: RecordGroup): Promise<void> {
    this.#writer ??= await WalWriter.open(this.#options);
    await this.#writer.write(group);
  }

  async sync(): Promise<void> {
    await this.#writer?.sync();
  }

  /** Starts a new segment; the number of the last one before it, -1 without any. */
  async startSegment(): Promise<number> {
    await this.#writer?.nextSegment();
    const last = (await listSegments(this.#options.folder)).at(-1)?.index ?? -1;
    return this.#writer === undefined ? last : this.#writer.segmentIndex - 1;
  }

  /** Deletes the segments up to and including `lastIndex`, whose samples are in blocks. */
  async dropUpTo(lastIndex: number): Promise<void> {
    for (const { index, path } of await listSegments(this.#options.folder))
      if (index <= lastIndex) await rm(path, { force: true });
  }

  async close(): Promise<void> {
    await this.#writer?.close();
  }
}
