import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import { systemCode } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Registry } from "../base/metrics.ts";
import type { RemoteWriteConfig } from "../config/types.ts";
import type { HttpClient } from "../http/client.ts";
import { readSegment } from "../wal/reader.ts";
import { decodeSeries, RECORD_SERIES } from "../wal/record.ts";
import { listCheckpoints, listSegments } from "../wal/segment.ts";
import type { MetricMetadata } from "../model/metadata.ts";
import { createRelabeler } from "../model/relabel.ts";
import { LogSamples } from "./log-samples.ts";
import { type Observed, SendDelivery } from "./send-delivery.ts";
import { registerSendMetrics, type SendMetrics } from "./send-metrics.ts";
import { planShards } from "./send-plan.ts";
import { SendPosition } from "./send-position.ts";
import { SendSeries } from "./send-series.ts";
import { SendShard } from "./send-shard.ts";
import { type LogEnd, WalTail } from "./wal-tail.ts";
import { WRITE_V1 } from "./write-receiver.ts";

export interface RemoteQueueParts {
  /** The data folder: the log is in `wal`, what remotes have acknowledged in `remote`. */
  readonly folder: string;
  readonly end: () => LogEnd;
  readonly client: HttpClient;
  readonly externalLabels: Readonly<Record<string, string>>;
  readonly metadata: () => ReadonlyMap<string, MetricMetadata>;
  /** Whether the storage takes samples that are older than others of their series. */
  readonly keepsOutOfOrder: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: Registry;
}

/** How often the number of queues is thought over. */
const PLAN_INTERVAL_MS = 10_000;
/** How often to look whether the log was condensed. */
const FORGET_INTERVAL_MS = 60_000;
/** How long a stop waits for what is queued; the rest is sent after the next start. */
export const STOP_FLUSH_MS = 5_000;
/** After something unexpected, such as a disk that cannot be read, the log is begun anew. */
const RESTART_MS = 5_000;

/**
 * One remote that samples are sent to:
 *
 *     log ──► tail ──► relabelled ──┬─► queue 0 ──► requests, one at a time ──► place of the last acknowledged sample
 *              ▲                    ├─► queue 1 ──► …
 *              └── waits while the  └─► queue n
 *                  queue is full
 *
 * A series is always in the same queue, so its samples leave in order. The place of what was acknowledged is on disk before
 * the next request leaves: a process that is killed sends again at most the one request of each queue that was under way.
 */
export class RemoteQueue {
  readonly name: string;
  readonly #config: RemoteWriteConfig;
  readonly #parts: RemoteQueueParts;
  readonly #metrics: SendMetrics;
  readonly #series: SendSeries;
  readonly #samples: LogSamples;
  readonly #position: SendPosition;
  readonly #delivery: SendDelivery;
  readonly #abort = new AbortController();
  /** Ends the reading alone. */
  readonly #reading = new AbortController();
  #shards: SendShard[] = [];
  #shardsAbort = new AbortController();
  #running: Promise<unknown>[] = [];
  #loop: Promise<void> = Promise.resolve();
  #lookedAtMs = 0;
  /** The checkpoint that the table of series was last compared with. */
  #checkpoint = -1;
  #last: Observed & { readonly atMs: number; readonly read: number };

  constructor(config: RemoteWriteConfig, parts: RemoteQueueParts) {
    this.#config = config;
    this.#parts = parts;
    const identity = createHash("sha256").update(`${config.name}\n${config.url}`).digest("hex");
    this.name = config.name === "" ? identity.slice(0, 6) : config.name;
    const { clock, registry, externalLabels } = parts;
    const { queue } = config;
    this.#metrics = registerSendMetrics(registry, {
      name: this.name,
      url: config.shownUrl,
      capacity: queue.capacity,
      minShards: queue.minShards,
      maxShards: queue.maxShards,
      maxSamples: queue.maxSamplesPerSend,
    });
    this.#position = SendPosition.open(
      join(parts.folder, "remote", `${identity.slice(0, 16)}.pos`),
    );
    this.#series = new SendSeries({
      externalLabels,
      relabeler: createRelabeler(config.writeRelabelConfigs),
      keepsBytes: config.message === WRITE_V1,
    });
    this.#samples = new LogSamples({
      series: this.#series,
      metrics: this.#metrics,
      sendsExemplars: config.sendExemplars,
      sendsHistograms: config.sendNativeHistograms,
      keepsOutOfOrder: parts.keepsOutOfOrder,
      isV1: config.message === WRITE_V1,
    });
    this.#delivery = new SendDelivery(config, {
      ...parts,
      series: this.#series,
      metrics: this.#metrics,
      position: this.#position,
      signal: this.#abort.signal,
      name: this.name,
    });
    this.#last = { ...this.#delivery.observed(), atMs: clock.monotonic(), read: 0 };
  }

  start(): void {
    this.#loop = this.#run();
  }

  /** Sends what is queued, for a while, and ends. */
  async stop(): Promise<void> {
    this.#reading.abort();
    await this.#loop;
    const { clock } = this.#parts;
    const waiting = new AbortController();
    // A receiver that does not answer now will get the rest after the next start.
    if (!this.#delivery.isFailing)
      await Promise.race([
        this.#drain(),
        clock.sleep(STOP_FLUSH_MS, waiting.signal).catch(() => {}),
      ]);
    waiting.abort();
    this.#abort.abort();
    this.#shardsAbort.abort();
    await Promise.allSettled(this.#running);
    await this.#delivery.close();
    this.#position.close();
  }

  async #run(): Promise<void> {
    const { signal } = this.#reading;
    const { clock, logger } = this.#parts;
    while (!signal.aborted)
      try {
        await this.#follow(signal);
      } catch (error) {
        if (signal.aborted) return;
        logger.error("cannot read the log for remote write", { remote_name: this.name, error });
        await clock.sleep(RESTART_MS, signal).catch(() => {});
        await this.#drain();
      }
  }

  /** Reads the log from its beginning: the labels of all series, and the samples that were not acknowledged. */
  async #follow(signal: AbortSignal): Promise<void> {
    const { folder, clock, logger, end } = this.#parts;
    const { queue } = this.#config;
    const saved = this.#position.places;
    const startEnd = end();
    let isCatchingUp = true;
    const tail = new WalTail({
      folder: join(folder, "wal"),
      end: () => (isCatchingUp ? startEnd : end()),
      clock,
      logger,
      onRecord: (record, segment) => this.#samples.read(record, segment),
    });
    this.#samples.begin({ skip: saved, repeatMax: queue.maxSamplesPerSend * (saved?.length ?? 0) });
    this.#samples.isSkipping = true;
    const checkpoint = await tail.readCheckpoint();
    this.#samples.isSkipping = saved === undefined;
    await tail.begin(checkpoint);
    if (saved !== undefined) this.#setShards(saved.length);
    while (
      !(tail.segment === startEnd.segment && tail.offset >= startEnd.size) &&
      tail.segment <= startEnd.segment
    ) {
      await tail.step(signal);
      await this.#enqueue(signal);
    }
    isCatchingUp = false;
    this.#samples.isSkipping = false;
    if (saved === undefined) {
      this.#position.reset(queue.minShards, this.#samples.place);
      this.#setShards(queue.minShards);
    }
    logger.info("remote write follows the log", {
      remote_name: this.name,
      series: this.#series.size,
    });
    for (;;) {
      await tail.step(signal);
      await this.#enqueue(signal);
      await this.#plan();
      await this.#forget();
    }
  }

  /** Hands what was read to the queues; waits while one is full. */
  async #enqueue(signal: AbortSignal): Promise<void> {
    const { incoming } = this.#samples;
    for (let i = 0; i < incoming.count; i++) {
      const shard = this.#shards[incoming.refs[i]! % this.#shards.length]!;
      while (shard.isFull) {
        signal.throwIfAborted();
        await shard.change(signal);
      }
      shard.push(incoming, i);
    }
    incoming.count = 0;
    incoming.extras.length = 0;
    this.#metrics.pending.set(this.#shards.reduce((sum, { count }) => sum + count, 0));
  }

  #setShards(count: number): void {
    const { clock } = this.#parts;
    const { queue } = this.#config;
    this.#shardsAbort.abort();
    this.#shardsAbort = new AbortController();
    this.#shards = Array.from(
      { length: count },
      (_, i) =>
        new SendShard({
          clock,
          capacity: queue.capacity,
          maxSamples: queue.maxSamplesPerSend,
          deadlineMs: queue.batchSendDeadlineMs,
          deliver: (batch) => this.#delivery.deliver(batch, i),
        }),
    );
    const { signal } = this.#shardsAbort;
    this.#running = this.#shards.map((shard) => shard.run(signal).catch(() => {}));
    this.#metrics.shards.set(count);
  }

  /** Now and then: whether more or fewer queues would do. They change when all of them are empty. */
  async #plan(): Promise<void> {
    const { clock } = this.#parts;
    const nowMs = clock.monotonic();
    const seconds = (nowMs - this.#last.atMs) / 1000;
    if (seconds * 1000 < PLAN_INTERVAL_MS) return;
    const observed = this.#delivery.observed();
    const { queue } = this.#config;
    const desired = planShards(
      {
        inPerSecond: (this.#samples.readCount - this.#last.read) / seconds,
        outPerSecond: (observed.sentCount - this.#last.sentCount) / seconds,
        busyPerSecond: (observed.busyMs - this.#last.busyMs) / 1000 / seconds,
        behindSeconds: Math.max(0, this.#samples.newestMs - observed.newestMs) / 1000,
      },
      { current: this.#shards.length, min: queue.minShards, max: queue.maxShards },
    );
    this.#last = { ...observed, atMs: nowMs, read: this.#samples.readCount };
    this.#metrics.shardsDesired.set(desired);
    // While the receiver does not answer, more queues are of no use.
    if (desired === this.#shards.length || this.#delivery.isFailing) return;
    await this.#drain();
    if (this.#abort.signal.aborted) return;
    this.#position.reset(desired, this.#samples.place);
    this.#setShards(desired);
  }

  /** When the log was condensed: lets go of the series that are not in it any more. */
  async #forget(): Promise<void> {
    const { folder, clock } = this.#parts;
    if (clock.monotonic() - this.#lookedAtMs < FORGET_INTERVAL_MS || this.#delivery.isFailing)
      return;
    this.#lookedAtMs = clock.monotonic();
    const checkpoint = (await listCheckpoints(join(folder, "wal"))).at(-1);
    if (checkpoint === undefined || checkpoint.index === this.#checkpoint) return;
    const alive = new Set<number>();
    try {
      for (const { path } of await listSegments(checkpoint.path))
        await readSegment(path, (record) => {
          if (record.bytes[record.start] === RECORD_SERIES)
            decodeSeries(record, (ref) => alive.add(ref));
        });
    } catch (error) {
      // The next one has taken its place already.
      if (systemCode(error) === "ENOENT") return;
      throw error;
    }
    // Nothing that waits may lose its labels.
    await this.#drain();
    if (this.#abort.signal.aborted) return;
    this.#series.forget(alive, checkpoint.index);
    this.#checkpoint = checkpoint.index;
  }

  async #drain(): Promise<void> {
    for (const shard of this.#shards)
      while (!shard.isIdle && !this.#abort.signal.aborted) {
        shard.flush();
        await shard.change(this.#abort.signal);
      }
  }
}
