import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import type { Counter, Gauge, Registry } from "../base/metrics.ts";
import type { WalWriter } from "../wal/writer.ts";
import type { HeadStore } from "./head-store.ts";

/** The head's own metrics, under Prometheus's names. */
export interface HeadMetrics {
  readonly appended: Counter;
  readonly appendedHistograms: Counter;
  readonly exemplars: Counter;
  readonly outOfOrder: Counter;
  readonly outOfBounds: Counter;
  readonly tooOld: Counter;
  readonly appendedLate: Counter;
  readonly seriesCreated: Counter;
  readonly seriesRemoved: Counter;
  readonly truncations: Counter;
  readonly truncationsFailed: Counter;
  readonly logTruncations: Counter;
  readonly logTruncationsFailed: Counter;
  readonly checkpoints: Counter;
  readonly checkpointsFailed: Counter;
  readonly corruptions: Counter;
  readonly chunkCorruptions: Counter;
  readonly writesFailed: Counter;
  readonly walBytes: Counter;
  readonly replaySeconds: Gauge;
}

export function registerHeadMetrics(
  registry: Registry,
  store: HeadStore,
  wal: WalWriter,
): HeadMetrics {
  const float = { type: "float" };
  const read = (name: string, help: string, value: () => number): void =>
    registry.collect({ name, help, type: "gauge" }, {}, value);
  read("prometheus_tsdb_head_series", "Series in the head.", () => store.series.count);
  read("prometheus_tsdb_head_chunks", "Chunks in the head.", () => store.chunkCount);
  read("prometheus_tsdb_exemplar_exemplars_in_storage", "Exemplars in storage.", () => {
    return store.exemplars.count;
  });
  read(
    "prometheus_tsdb_exemplar_series_with_exemplars_in_storage",
    "Series with exemplars in storage.",
    () => store.exemplars.seriesCount,
  );
  read("prometheus_tsdb_exemplar_max_exemplars", "The limit of exemplars in storage.", () => {
    return store.exemplars.limit;
  });
  read("prometheus_tsdb_head_min_time", "Time of the oldest sample of the head in ms.", () =>
    Number.isFinite(store.minTimeMs) ? store.minTimeMs : 0,
  );
  read("prometheus_tsdb_head_max_time", "Time of the newest sample of the head in ms.", () =>
    Number.isFinite(store.maxTimeMs) ? store.maxTimeMs : 0,
  );
  read(
    "prometheus_tsdb_head_min_time_seconds",
    "Time of the oldest sample of the head in seconds.",
    () => (Number.isFinite(store.minTimeMs) ? store.minTimeMs / 1000 : 0),
  );
  read(
    "prometheus_tsdb_head_max_time_seconds",
    "Time of the newest sample of the head in seconds.",
    () => (Number.isFinite(store.maxTimeMs) ? store.maxTimeMs / 1000 : 0),
  );
  read("prometheus_tsdb_wal_storage_size_bytes", "Bytes of the WAL, checkpoints included.", () =>
    folderSize(wal.folder),
  );
  read(
    "prometheus_tsdb_wal_segment_current",
    "The WAL segment being written.",
    () => wal.segmentIndex,
  );
  return {
    appended: registry.counter(
      "prometheus_tsdb_head_samples_appended_total",
      "Samples appended to the head.",
      float,
    ),
    appendedHistograms: registry.counter(
      "prometheus_tsdb_head_samples_appended_total",
      "Samples appended to the head.",
      { type: "histogram" },
    ),
    exemplars: registry.counter(
      "prometheus_tsdb_exemplar_exemplars_appended_total",
      "Exemplars appended.",
    ),
    outOfOrder: registry.counter(
      "prometheus_tsdb_out_of_order_samples_total",
      "Samples refused because a later one of the series was there.",
      float,
    ),
    outOfBounds: registry.counter(
      "prometheus_tsdb_out_of_bound_samples_total",
      "Samples refused because they were older than the head accepts.",
      float,
    ),
    tooOld: registry.counter(
      "prometheus_tsdb_too_old_samples_total",
      "Samples refused because they were older than the window for samples out of order.",
      float,
    ),
    appendedLate: registry.counter(
      "prometheus_tsdb_head_out_of_order_samples_appended_total",
      "Samples out of order appended to the head.",
      float,
    ),
    seriesCreated: registry.counter(
      "prometheus_tsdb_head_series_created_total",
      "Series created in the head.",
    ),
    seriesRemoved: registry.counter(
      "prometheus_tsdb_head_series_removed_total",
      "Series removed from the head.",
    ),
    truncations: registry.counter(
      "prometheus_tsdb_head_truncations_total",
      "Times the head was truncated.",
    ),
    truncationsFailed: registry.counter(
      "prometheus_tsdb_head_truncations_failed_total",
      "Truncations of the head that failed.",
    ),
    logTruncations: registry.counter(
      "prometheus_tsdb_wal_truncations_total",
      "Times the WAL was to be truncated.",
    ),
    logTruncationsFailed: registry.counter(
      "prometheus_tsdb_wal_truncations_failed_total",
      "Truncations of the WAL that failed.",
    ),
    checkpoints: registry.counter(
      "prometheus_tsdb_checkpoint_creations_total",
      "WAL checkpoints written.",
    ),
    checkpointsFailed: registry.counter(
      "prometheus_tsdb_checkpoint_creations_failed_total",
      "WAL checkpoints that could not be written.",
    ),
    corruptions: registry.counter(
      "prometheus_tsdb_wal_corruptions_total",
      "Damaged places found in the WAL.",
    ),
    chunkCorruptions: registry.counter(
      "prometheus_tsdb_mmap_chunk_corruptions_total",
      "Files of head chunks that were damaged at the start.",
    ),
    writesFailed: registry.counter(
      "prometheus_tsdb_wal_writes_failed_total",
      "Writes to the WAL that failed.",
    ),
    walBytes: registry.counter(
      "prometheus_tsdb_wal_record_bytes_total",
      "Bytes of WAL records written.",
    ),
    replaySeconds: registry.gauge(
      "prometheus_tsdb_data_replay_duration_seconds",
      "How long replaying the WAL took.",
    ),
  };
}

/** Bytes of all files below `folder`: some dozens of segments at most, so that asking in one go is no matter. */
function folderSize(folder: string): number {
  let size = 0;
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true, recursive: true }))
      if (entry.isFile())
        size += statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })?.size ?? 0;
  } catch {
    // A checkpoint may go while it is looked at.
  }
  return size;
}
