import { join } from "node:path";
import { WalWriter } from "../wal/writer.ts";
import { checkFileSystem } from "./file-system.ts";
import { Head } from "./head.ts";
import { openHeadChunks } from "./head-chunk-chains.ts";
import type { HeadChunkFiles } from "./head-chunk-files.ts";
import { registerHeadMetrics } from "./head-metrics.ts";
import { type HeadOptions, WAL_SEGMENT_BYTES } from "./head-options.ts";
import { CHUNK_RANGE_MS, HeadStore } from "./head-store.ts";
import { lockFolder } from "./lock.ts";
import { OutOfOrderLog } from "./out-of-order-log.ts";
import { replayLogs } from "./replay.ts";

/** Opens the head in `options.folder`: takes the folder, replays the log, and starts collecting old data. */
export async function openHead(options: HeadOptions): Promise<Head> {
  const lock = options.lock ?? (await lockFolder(options.folder, { logger: options.logger }));
  let chunkFiles: HeadChunkFiles | undefined;
  try {
    await checkFileSystem(options.folder, options.logger);
    const store = new HeadStore({
      chunkSamples: options.chunkSamples ?? 120,
      chunkRangeMs: options.chunkRangeMs ?? CHUNK_RANGE_MS,
      maxExemplars: options.maxExemplars ?? 0,
    });
    const { clock, logger } = options;
    const folder = join(options.folder, "wal");
    const nowMs = clock.now();
    const started = clock.monotonic();
    const oldestMs = nowMs - options.retentionMs;
    const minTimeMs = Math.max(oldestMs, options.lowestTimeMs ?? -Infinity);
    const chunks = await openHeadChunks(store.log, { ...options, nowMs, minTimeMs });
    chunkFiles = chunks.files;
    store.log.useFiles(chunkFiles, options.chunkMemoryBytes);
    const replay = await replayLogs(store, {
      folder: options.folder,
      minTimeMs,
      chunks,
      minLateTimeMs: oldestMs,
      nowMs,
      logger,
      ...(options.onReplay === undefined ? {} : { onProgress: options.onReplay }),
    });
    const durationMs = clock.monotonic() - started;
    if (replay.seriesCount > 0)
      logger.info("replayed the write-ahead log", {
        series: replay.seriesCount,
        samples: replay.sampleCount,
        duration_ms: Math.round(durationMs),
      });
    const logOptions = {
      segmentBytes: options.walSegmentBytes ?? WAL_SEGMENT_BYTES,
      compression: options.walCompression ?? "none",
    } as const;
    const wal = await WalWriter.open({ folder, ...logOptions });
    const lateLog = new OutOfOrderLog({ folder: options.folder, ...logOptions });
    const metrics = registerHeadMetrics(options.registry, store, wal);
    metrics.corruptions.inc(replay.corruptionCount);
    metrics.chunkCorruptions.inc(chunkFiles.damageCount);
    metrics.replaySeconds.set(durationMs / 1000);
    const ownLock = options.lock === undefined ? lock : undefined;
    const head = new Head({
      ...options,
      store,
      wal,
      lateLog,
      chunkFiles,
      ownLock,
      metrics,
      ...replay,
    });
    if (options.isMaintained !== true) head.truncateOnSchedule();
    return head;
  } catch (error) {
    await chunkFiles?.close();
    if (options.lock === undefined) await lock.release();
    throw error;
  }
}
