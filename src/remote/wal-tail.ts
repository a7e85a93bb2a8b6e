import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { systemCode } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { readSegment } from "../wal/reader.ts";
import type { RecordBytes } from "../wal/record.ts";
import { listCheckpoints, listSegments, segmentName } from "../wal/segment.ts";

/** Where the log ends: bytes of a segment that are written as a whole. */
export interface LogEnd {
  readonly segment: number;
  readonly size: number;
}

export interface WalTailOptions {
  /** The folder of the log. */
  readonly folder: string;
  readonly end: () => LogEnd;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly onRecord: (record: RecordBytes, segment: number) => void;
}

/** How often to look whether the log has grown. */
export const TAIL_INTERVAL_MS = 100;
/** About so much is read before the samples are handed on. */
const STEP_BYTES = 256 * 1024;

/**
 * Reads the log behind its writer, in steps: each calls `onRecord` for what it has read, so that the caller can wait with
 * the next one for as long as it likes. Nothing is read beyond what the writer has written as a whole.
 */
export class WalTail {
  readonly #options: WalTailOptions;
  #segment = -1;
  #offset = 0;
  #stepBytes = STEP_BYTES;

  constructor(options: WalTailOptions) {
    this.#options = options;
  }

  /** The segment that is being read. */
  get segment(): number {
    return this.#segment;
  }

  /** How much of it has been read. */
  get offset(): number {
    return this.#offset;
  }

  /** Reads the newest checkpoint as a whole; gives the number of the last segment it stands for, -1 without one. */
  async readCheckpoint(): Promise<number> {
    const { folder, onRecord } = this.#options;
    const checkpoint = (await listCheckpoints(folder)).at(-1);
    if (checkpoint === undefined) return -1;
    for (const { path } of await listSegments(checkpoint.path))
      await readSegment(path, (record) => onRecord(record, checkpoint.index));
    return checkpoint.index;
  }

  /** Begins with the oldest segment after `after`. */
  async begin(after: number): Promise<void> {
    const segments = await listSegments(this.#options.folder);
    this.#segment =
      segments.find(({ index }) => index > after)?.index ?? this.#options.end().segment;
    this.#offset = 0;
  }

  /** Reads on. Resolves when something was read, or after a while when nothing was there. */
  async step(signal: AbortSignal): Promise<void> {
    const { clock, end } = this.#options;
    const { segment, size } = end();
    if (this.#segment === segment && this.#offset >= size)
      return clock.sleep(TAIL_INTERVAL_MS, signal);
    const isComplete = this.#segment < segment;
    const to = this.#offset + this.#stepBytes;
    const report = await this.#read(isComplete ? to : Math.min(to, size));
    if (report === undefined) return this.#nextSegment(`it is gone, and with it what was not sent`);
    if (report.goodSize > this.#offset) {
      this.#offset = report.goodSize;
      this.#stepBytes = STEP_BYTES;
      return undefined;
    }
    // A record larger than the step, or nothing more in this segment.
    if (report.size >= to) this.#stepBytes *= 2;
    else if (isComplete) return this.#nextSegment("");
    else return clock.sleep(TAIL_INTERVAL_MS, signal);
    return undefined;
  }

  async #nextSegment(problem: string): Promise<void> {
    const { folder, logger, end } = this.#options;
    if (problem !== "")
      logger.error("cannot read a segment of the log", { segment: this.#segment, problem });
    const following = (await listSegments(folder)).find(({ index }) => index > this.#segment);
    this.#segment = following?.index ?? end().segment;
    this.#offset = 0;
    this.#stepBytes = STEP_BYTES;
  }

  async #read(to: number): Promise<{ goodSize: number; size: number } | undefined> {
    const { folder, onRecord } = this.#options;
    const segment = this.#segment;
    try {
      return await readSegment(
        join(folder, segmentName(segment)),
        (record) => onRecord(record, segment),
        { from: this.#offset, to },
      );
    } catch (error) {
      if (systemCode(error) === "ENOENT") return undefined;
      throw error;
    }
  }
}
