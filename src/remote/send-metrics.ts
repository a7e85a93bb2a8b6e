import type { Counter, Gauge, Histogram, Registry } from "../base/metrics.ts";

/** The figures of one remote, by Prometheus's names. */
export interface SendMetrics {
  readonly sent: Record<SampleKind, Counter>;
  readonly failed: Record<SampleKind, Counter>;
  readonly retried: Record<SampleKind, Counter>;
  readonly pending: Gauge;
  readonly shards: Gauge;
  readonly shardsDesired: Gauge;
  readonly bytes: Counter;
  readonly batchSeconds: Histogram;
  readonly highestIn: Gauge;
  readonly highestSent: Gauge;
  readonly metadataSent: Counter;
  readonly metadataFailed: Counter;
  dropped(reason: DropReason): Counter;
}

export type SampleKind = "samples" | "histograms" | "exemplars";
export type DropReason =
  | "dropped_series"
  | "too_old"
  | "unintentionally_dropped_series"
  | "nhcb_in_rw1_not_supported";

const KINDS = ["samples", "histograms", "exemplars"] as const;
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60, 120, 300];

export function registerSendMetrics(
  registry: Registry,
  options: {
    name: string;
    url: string;
    capacity: number;
    minShards: number;
    maxShards: number;
    maxSamples: number;
  },
): SendMetrics {
  const labels = { remote_name: options.name, url: options.url };
  const prefix = "prometheus_remote_storage_";
  const each = (suffix: string, help: string): Record<SampleKind, Counter> => {
    const of = (kind: SampleKind): Counter =>
      registry.counter(`${prefix}${kind}_${suffix}`, `Total number of ${kind} ${help}`, labels);
    return { samples: of(KINDS[0]), histograms: of(KINDS[1]), exemplars: of(KINDS[2]) };
  };
  const gauge = (name: string, help: string): Gauge => registry.gauge(prefix + name, help, labels);
  gauge(
    "shard_capacity",
    "The capacity of each shard of the queue used for parallel sending to the remote storage.",
  ).set(options.capacity);
  gauge("shards_max", "The maximum number of shards that the queue is allowed to run.").set(
    options.maxShards,
  );
  gauge("shards_min", "The minimum number of shards that the queue is allowed to run.").set(
    options.minShards,
  );
  gauge(
    "max_samples_per_send",
    "The maximum number of samples to be sent, in a single request, to the remote storage.",
  ).set(options.maxSamples);
  return {
    sent: each("total", "sent to remote storage."),
    failed: each("failed_total", "which failed on send to remote storage, non-recoverable errors."),
    retried: each(
      "retried_total",
      "which failed on send to remote storage but were retried because the send error was recoverable.",
    ),
    pending: gauge(
      "samples_pending",
      "The number of samples pending in the queues shards to be sent to the remote storage.",
    ),
    shards: gauge(
      "shards",
      "The number of shards used for parallel sending to the remote storage.",
    ),
    shardsDesired: gauge(
      "shards_desired",
      "The number of shards that the queues shard calculation wants to run based on the rate of samples in vs. samples out.",
    ),
    bytes: registry.counter(
      `${prefix}bytes_total`,
      "The total number of bytes of data (not metadata) sent by the queue after compression.",
      labels,
    ),
    batchSeconds: registry.histogram(
      `${prefix}sent_batch_duration_seconds`,
      "Duration of send calls to the remote storage.",
      { bounds: SECONDS, labels },
    ),
    highestIn: gauge(
      "queue_highest_timestamp_seconds",
      "Highest timestamp that was read from the log for this queue, in seconds since epoch.",
    ),
    highestSent: gauge(
      "queue_highest_sent_timestamp_seconds",
      "Timestamp of the newest sample that was sent, in seconds since epoch.",
    ),
    metadataSent: registry.counter(
      `${prefix}metadata_total`,
      "Total number of metadata entries sent to remote storage.",
      labels,
    ),
    metadataFailed: registry.counter(
      `${prefix}metadata_failed_total`,
      "Total number of metadata entries which failed on send to remote storage, non-recoverable errors.",
      labels,
    ),
    dropped: (reason) =>
      registry.counter(
        `${prefix}samples_dropped_total`,
        "Total number of samples which were dropped after being read from the log before being sent.",
        { ...labels, reason },
      ),
  };
}
