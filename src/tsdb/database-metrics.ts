import type { Counter, Registry } from "../base/metrics.ts";
import type { Block } from "../block/block.ts";

/** The metrics of blocks, under Prometheus's names. */
export interface DatabaseMetrics {
  readonly cuts: Counter;
  readonly rounds: Counter;
  readonly compactions: Counter;
  readonly compactionsFailed: Counter;
  readonly timeRetentions: Counter;
  readonly sizeRetentions: Counter;
  readonly failures: Counter;
}

export function registerDatabaseMetrics(
  registry: Registry,
  state: {
    blocks: () => readonly Block[];
    retentionBytes: number;
    retentionMs: number;
    minTimeMs: () => number;
    quarantinedCount: () => number;
    loads: () => { readonly count: number; readonly failed: number };
  },
): DatabaseMetrics {
  const gauge = (name: string, help: string, read: () => number): void =>
    registry.collect({ name, help, type: "gauge" }, {}, read);
  gauge("prometheus_tsdb_blocks_loaded", "Blocks in use.", () => state.blocks().length);
  gauge("prometheus_tsdb_storage_blocks_bytes", "Bytes of all blocks.", () =>
    state.blocks().reduce((total, { size }) => total + size, 0),
  );
  gauge(
    "prometheus_tsdb_retention_limit_bytes",
    "Most bytes of blocks and log; 0 for no limit.",
    () => state.retentionBytes,
  );
  gauge("prometheus_tsdb_retention_limit_seconds", "How long samples are kept.", () =>
    Number.isFinite(state.retentionMs) ? state.retentionMs / 1000 : 0,
  );
  const counter = (name: string, help: string, read: () => number): void =>
    registry.collect({ name, help, type: "counter" }, {}, read);
  counter(
    "prometheus_tsdb_reloads_total",
    "Blocks opened since the start, or opened anew.",
    () => state.loads().count,
  );
  counter(
    "prometheus_tsdb_reloads_failures_total",
    "Blocks that could not be opened, since the start.",
    () => state.loads().failed,
  );
  gauge("prometheus_tsdb_lowest_timestamp_seconds", "Time of the oldest sample in seconds.", () =>
    Number.isFinite(state.minTimeMs()) ? state.minTimeMs() / 1000 : 0,
  );
  gauge("prometheus_tsdb_lowest_timestamp", "Time of the oldest sample in ms.", () =>
    Number.isFinite(state.minTimeMs()) ? state.minTimeMs() : 0,
  );
  gauge(
    "shoal_tsdb_blocks_quarantined",
    "Damaged blocks set aside since the start.",
    state.quarantinedCount,
  );
  return {
    cuts: registry.counter("shoal_tsdb_head_cuts_total", "Blocks written from the head."),
    rounds: registry.counter(
      "prometheus_tsdb_compactions_triggered_total",
      "Rounds of maintenance: looks for something to cut, merge or delete.",
    ),
    compactions: registry.counter(
      "prometheus_tsdb_compactions_total",
      "Blocks written from the head or merged.",
    ),
    compactionsFailed: registry.counter(
      "prometheus_tsdb_compactions_failed_total",
      "Cuts of the head and merges of blocks that failed, or left something out.",
    ),
    timeRetentions: registry.counter(
      "prometheus_tsdb_time_retentions_total",
      "Blocks deleted because of their age.",
    ),
    sizeRetentions: registry.counter(
      "prometheus_tsdb_size_retentions_total",
      "Blocks deleted because of the size of all.",
    ),
    failures: registry.counter(
      "shoal_tsdb_maintenance_failures_total",
      "Rounds of maintenance that failed in part.",
    ),
  };
}
