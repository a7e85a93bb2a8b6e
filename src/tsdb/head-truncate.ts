import { join } from "node:path";
import type { Logger } from "../base/logger.ts";
import { writeCheckpoint } from "../wal/checkpoint.ts";
import { listSegments } from "../wal/segment.ts";
import type { WalWriter } from "../wal/writer.ts";
import type { HeadChunkFiles } from "./head-chunk-files.ts";
import type { HeadMetrics } from "./head-metrics.ts";
import { WAL_SEGMENT_BYTES } from "./head-options.ts";
import type { HeadStore } from "./head-store.ts";

export interface TruncatedParts {
  readonly store: HeadStore;
  readonly wal: WalWriter;
  readonly chunkFiles: HeadChunkFiles;
  readonly metrics: HeadMetrics;
  /** The newest sample of each segment. */
  readonly segmentMaxTimes: Map<number, number>;
  /** Refs in the log that stand for a series known under another ref. */
  readonly aliases: ReadonlyMap<number, number>;
  /** Series that a scrape has just resolved: they have no sample yet. */
  readonly fresh: ReadonlySet<number>;
  /** Runs `act` when nobody else changes the log's files. */
  readonly inWalTurn: (act: () => Promise<void>) => Promise<void>;
}

/** Drops samples before `minTimeMs` and series that have only those, then the part of the log that holds nothing else. */
export async function truncateHead(
  parts: TruncatedParts,
  options: { folder: string; logger: Logger; walSegmentBytes?: number; minTimeMs: number },
): Promise<void> {
  const { store, wal, chunkFiles, metrics, segmentMaxTimes, fresh, inWalTurn } = parts;
  const { logger, minTimeMs } = options;
  const removed = store.truncate(minTimeMs, (ref) => fresh.has(ref));
  metrics.seriesRemoved.inc(removed);
  metrics.truncations.inc();
  await chunkFiles.dropBefore(minTimeMs);
  try {
    await inWalTurn(() => wal.nextSegment());
  } catch (error) {
    // A full disk, perhaps: then it matters all the more that old segments go.
    logger.error("cannot start a new WAL segment", { error });
  }
  const folder = join(options.folder, "wal");
  let lastExpired = -1;
  for (const { index } of await listSegments(folder)) {
    const maxTimeMs = segmentMaxTimes.get(index) ?? -Infinity;
    if (index >= wal.segmentIndex || maxTimeMs >= minTimeMs) break;
    lastExpired = index;
  }
  if (lastExpired < 0) return;
  metrics.logTruncations.inc();
  try {
    await writeCheckpoint(folder, lastExpired, {
      mapRef: (ref) => {
        const mapped = parts.aliases.get(ref) ?? ref;
        return store.series.has(mapped) ? mapped : -1;
      },
      minTimeMs,
      minDeletedTimeMs: store.minDeletedTimeMs(minTimeMs),
      segmentBytes: options.walSegmentBytes ?? WAL_SEGMENT_BYTES,
    });
    for (const index of segmentMaxTimes.keys())
      if (index <= lastExpired) segmentMaxTimes.delete(index);
    metrics.checkpoints.inc();
    logger.debug("wrote WAL checkpoint", { segment: lastExpired, series_removed: removed });
  } catch (error) {
    // The log is complete without the checkpoint; the next run tries again.
    metrics.checkpointsFailed.inc();
    metrics.logTruncationsFailed.inc();
    logger.error("cannot write WAL checkpoint", { segment: lastExpired, error });
  }
}
