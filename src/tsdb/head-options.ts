import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Registry } from "../base/metrics.ts";
import type { WalCompression } from "../wal/writer.ts";
import type { WalSync } from "./head-commit.ts";
import type { FolderLock } from "./lock.ts";
import type { ReplayProgress } from "./replay.ts";

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

export const WAL_SEGMENT_BYTES = 128 * 1024 * 1024;
export const WAL_SYNC_INTERVAL_MS = 1000;
/** One append, which is one record of the log, takes at most so many samples. */
export const APPEND_MAX_SAMPLES = 4_000_000;
