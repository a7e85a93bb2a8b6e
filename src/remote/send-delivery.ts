import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { RemoteWriteConfig } from "../config/types.ts";
import type { HttpClient } from "../http/client.ts";
import type { MetricMetadata } from "../model/metadata.ts";
import { ProtoWriter } from "../proto/wire.ts";
import type { SampleKind, SendMetrics } from "./send-metrics.ts";
import type { SendPosition } from "./send-position.ts";
import { type Extra, isHistogram, type SendColumns } from "./send-queue.ts";
import type { SendSeries } from "./send-series.ts";
import { WriteClient, type WriteOutcome } from "./write-client.ts";
import { encodeMetadataV1, encodeWriteV1, WriteEncoderV2 } from "./write-encode.ts";
import { WRITE_V1 } from "./write-receiver.ts";

export interface SendDeliveryParts {
  readonly name: string;
  readonly client: HttpClient;
  readonly series: SendSeries;
  readonly position: SendPosition;
  readonly metrics: SendMetrics;
  readonly metadata: () => ReadonlyMap<string, MetricMetadata>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

/** What was seen of sending so far. */
export interface Observed {
  readonly sentCount: number;
  /** Time spent on requests, of all queues together. */
  readonly busyMs: number;
  /** Time of the newest sample that was sent. */
  readonly newestMs: number;
}

/** Suffixes of the series of a family, which has its metadata under the name without. */
const SUFFIXES = ["_bucket", "_count", "_sum", "_total", "_created"];

/** Brings batches of one remote to their receiver: until it has them, or says that it will never take them. */
export class SendDelivery {
  readonly #config: RemoteWriteConfig;
  readonly #parts: SendDeliveryParts;
  readonly #client: WriteClient;
  readonly #encoder: WriteEncoderV2;
  readonly #writer = new ProtoWriter();
  #sentCount = 0;
  #busyMs = 0;
  #newestMs = 0;
  #failing = 0;
  #cancelMetadata = (): void => {};
  #metadata: ReadonlyMap<string, MetricMetadata> = new Map();
  #metadataAtMs = -Infinity;

  constructor(config: RemoteWriteConfig, parts: SendDeliveryParts) {
    this.#config = config;
    this.#parts = parts;
    this.#client = new WriteClient({
      client: parts.client,
      url: config.url,
      timeoutMs: config.remoteTimeoutMs,
      headers: config.headers,
      message: config.message,
      retryOn429: config.queue.retryOnHttp429,
      clock: parts.clock,
    });
    this.#encoder = new WriteEncoderV2((metric) => this.#metadataOf(metric));
    if (config.message === WRITE_V1 && config.metadata.send) this.#sendMetadataLater();
  }

  /** The last request of some queue was not answered well. */
  get isFailing(): boolean {
    return this.#failing > 0;
  }

  observed(): Observed {
    return { sentCount: this.#sentCount, busyMs: this.#busyMs, newestMs: this.#newestMs };
  }

  async close(): Promise<void> {
    this.#cancelMetadata();
    await this.#client.close();
  }

  /** Resolves when `batch` of queue `queue` is stored or given up, and its place is on disk. */
  async deliver(batch: SendColumns, queue: number): Promise<void> {
    const place = batch.lastPlace;
    await this.#send(batch);
    try {
      this.#parts.position.set(queue, place);
    } catch (error) {
      // A full disk, perhaps. What was sent is sent; after a restart it would be sent again.
      const { logger, name } = this.#parts;
      logger.error("cannot note how far remote write has got", { remote_name: name, error });
    }
  }

  async #send(batch: SendColumns): Promise<void> {
    const { metrics, logger, name } = this.#parts;
    const fresh = this.#dropOld(batch);
    if (fresh.count === 0) return;
    const outcome = await this.#attempts(fresh);
    if (outcome.kind === "done") {
      this.#count(metrics.sent, fresh);
      return;
    }
    // Of 1.0, one sample that is there already costs all others of its request: they are sent in smaller ones.
    if (
      outcome.status === 400 &&
      this.#config.message === WRITE_V1 &&
      fresh.count > 1 &&
      fresh.repeats.includes(1)
    ) {
      const half = fresh.count >> 1;
      await this.#send(fresh.slice(0, half));
      await this.#send(fresh.slice(half, fresh.count));
      return;
    }
    if (fresh.count === 1 && fresh.repeats[0] === 1 && outcome.status === 400) return;
    this.#count(metrics.failed, fresh);
    logger.error("remote write was refused, its samples are given up", {
      remote_name: name,
      url: this.#config.shownUrl,
      samples: fresh.count,
      reason: outcome.reason,
    });
  }

  /** Sends for as long as it may help. Rejects when the remote is stopped. */
  async #attempts(batch: SendColumns): Promise<Exclude<WriteOutcome, { kind: "retry" }>> {
    const { clock, metrics, logger, signal, name } = this.#parts;
    const { minBackoffMs, maxBackoffMs } = this.#config.queue;
    let backoffMs = minBackoffMs;
    let isCounted = false;
    try {
      for (let attempt = 0; ; attempt++) {
        const startedMs = clock.monotonic();
        const message = this.#encode(batch);
        const outcome = await this.#client.send({ message, expectsCounts: true, attempt }, signal);
        const tookMs = clock.monotonic() - startedMs;
        this.#busyMs += tookMs;
        metrics.batchSeconds.observe(tookMs / 1000);
        if (outcome.kind !== "retry") {
          if (outcome.kind === "done") metrics.bytes.inc(outcome.bytes);
          return outcome;
        }
        if (!isCounted) this.#failing++;
        isCounted = true;
        this.#count(metrics.retried, batch);
        const waitMs = Math.max(backoffMs, outcome.afterMs ?? 0);
        if (attempt === 0 || backoffMs >= maxBackoffMs)
          logger.warn("remote write failed, trying again", {
            remote_name: name,
            url: this.#config.shownUrl,
            samples: batch.count,
            reason: outcome.reason,
            wait_ms: waitMs,
          });
        await clock.sleep(waitMs, signal);
        backoffMs = Math.min(backoffMs * 2, maxBackoffMs);
      }
    } finally {
      if (isCounted) this.#failing--;
    }
  }

  #encode(batch: SendColumns): Uint8Array {
    const { series } = this.#parts;
    return this.#config.message === WRITE_V1
      ? encodeWriteV1(this.#writer, batch, series)
      : this.#encoder.encode(this.#writer, batch, series);
  }

  #dropOld(batch: SendColumns): SendColumns {
    const { clock, metrics } = this.#parts;
    const limitMs = this.#config.queue.sampleAgeLimitMs;
    if (limitMs === 0) return batch;
    const oldest = clock.now() - limitMs;
    const fresh = batch.filter((i) => batch.times[i]! >= oldest);
    if (fresh.count < batch.count) metrics.dropped("too_old").inc(batch.count - fresh.count);
    return fresh;
  }

  #count(counters: SendMetrics["sent"], batch: SendColumns): void {
    const counts: Record<SampleKind, number> = { samples: 0, histograms: 0, exemplars: 0 };
    for (let i = 0; i < batch.count; i++) counts[kindOf(batch.extras[i])]++;
    counters.samples.inc(counts.samples);
    counters.histograms.inc(counts.histograms);
    counters.exemplars.inc(counts.exemplars);
    if (counters !== this.#parts.metrics.sent) return;
    this.#sentCount += batch.count;
    for (let i = 0; i < batch.count; i++)
      if (batch.times[i]! > this.#newestMs) this.#newestMs = batch.times[i]!;
    this.#parts.metrics.highestSent.set(this.#newestMs / 1000);
  }

  #metadataOf(metric: string): MetricMetadata | undefined {
    const { clock, metadata } = this.#parts;
    const nowMs = clock.monotonic();
    if (nowMs - this.#metadataAtMs > this.#config.metadata.sendIntervalMs) {
      this.#metadata = metadata();
      this.#metadataAtMs = nowMs;
    }
    const own = this.#metadata.get(metric);
    if (own !== undefined) return own;
    for (const suffix of SUFFIXES)
      if (metric.endsWith(suffix)) return this.#metadata.get(metric.slice(0, -suffix.length));
    return undefined;
  }

  #sendMetadataLater(): void {
    const { clock, signal } = this.#parts;
    this.#cancelMetadata = clock.after(this.#config.metadata.sendIntervalMs, () => {
      this.#sendMetadata()
        .catch(() => {})
        .finally(() => {
          if (!signal.aborted) this.#sendMetadataLater();
        });
    });
  }

  /** What it cannot bring, the next round does. */
  async #sendMetadata(): Promise<void> {
    const { metadata, metrics, signal, logger, name } = this.#parts;
    const families = [...metadata()];
    const size = this.#config.metadata.maxSamplesPerSend;
    for (let at = 0; at < families.length; at += size) {
      const part = families.slice(at, at + size);
      const message = encodeMetadataV1(new ProtoWriter(), part);
      const outcome = await this.#client.send(
        { message, expectsCounts: false, attempt: 0 },
        signal,
      );
      if (outcome.kind === "done") metrics.metadataSent.inc(part.length);
      else {
        metrics.metadataFailed.inc(part.length);
        logger.warn("metadata was not taken", { remote_name: name, reason: outcome.reason });
      }
    }
  }
}

function kindOf(extra: Extra): SampleKind {
  if (extra === undefined) return "samples";
  return isHistogram(extra) ? "histograms" : "exemplars";
}
