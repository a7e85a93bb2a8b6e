import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { PrometheusClient } from "./prometheus-client.ts";

/**
 * How Prometheus is, as its own probes tell:
 *
 *     down ──it answers──► starting ──► replaying ──► ready
 *      ▲                      └──────────┴─────────────┘ it answers no more
 */
export type PrometheusState = "down" | "starting" | "replaying" | "ready";

export interface PrometheusHealth {
  readonly state: PrometheusState;
  /** Segments of the write-ahead log that are read, and all of them; only while it replays. */
  readonly replay: { readonly done: number; readonly total: number } | undefined;
  /** Why it is not ready; "" while it is. */
  readonly error: string;
}

export interface HealthWatchOptions {
  readonly client: PrometheusClient;
  readonly clock: Clock;
  readonly logger: Logger;
  /** It has become ready. */
  readonly onReady: () => void;
}

const HEARTBEAT_MS = 5_000;
/** While it is not ready. */
const QUICK_HEARTBEAT_MS = 500;
/** Every so many heartbeats its own metrics are read. */
const METRICS_BEATS = 6;

/** Asks Prometheus again and again how it is. */
export class HealthWatch {
  readonly #options: HealthWatchOptions;
  #health: PrometheusHealth = {
    state: "down",
    replay: undefined,
    error: "Prometheus was not asked yet",
  };
  #lowestTimeMs: number | undefined;
  #startSeconds: number | undefined;
  #restarts = 0;
  #beats = 0;
  #beat: Promise<void> | undefined;
  #isStopped = false;
  #cancel = (): void => {};

  constructor(options: HealthWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#schedule(0);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#cancel();
    await this.#beat;
  }

  /** As of the last heartbeat. */
  get health(): PrometheusHealth {
    return this.#health;
  }

  /** The time of its oldest sample, ms; undefined while that is not known. */
  get lowestTimeMs(): number | undefined {
    return this.#lowestTimeMs;
  }

  /** Starts seen after the first. */
  get restarts(): number {
    return this.#restarts;
  }

  #schedule(delayMs: number): void {
    if (this.#isStopped) return;
    this.#cancel = this.#options.clock.after(delayMs, () => {
      this.#beat = this.#look().finally(() =>
        this.#schedule(this.#health.state === "ready" ? HEARTBEAT_MS : QUICK_HEARTBEAT_MS),
      );
    });
  }

  /** Never rejects. */
  async #look(): Promise<void> {
    const { client, logger, onReady } = this.#options;
    const before = this.#health.state;
    const health = await probe(client);
    if (health.state === "ready" && (before !== "ready" || this.#beats++ % METRICS_BEATS === 0))
      await this.#readMetrics();
    this.#health = health;
    if (health.state === before) return;
    if (health.state === "ready") {
      logger.info("Prometheus is ready");
      onReady();
    } else if (before === "ready") logger.warn("Prometheus is not ready", { error: health.error });
    else logger.info("Prometheus is starting", { state: health.state });
  }

  async #readMetrics(): Promise<void> {
    const { client, clock } = this.#options;
    let metrics: string;
    try {
      metrics = await client.text("/metrics");
    } catch {
      return;
    }
    const lowestMs = metricIn(metrics, "prometheus_tsdb_lowest_timestamp_seconds") * 1000;
    // An empty database says the largest time there is.
    this.#lowestTimeMs = lowestMs <= clock.now() ? lowestMs : undefined;
    const startSeconds = metricIn(metrics, "process_start_time_seconds");
    if (Number.isNaN(startSeconds)) return;
    if (this.#startSeconds !== undefined && startSeconds !== this.#startSeconds) this.#restarts++;
    this.#startSeconds = startSeconds;
  }
}

/** A metric without labels; NaN when it is not there. */
export function metricIn(text: string, name: string): number {
  return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1] ?? Number.NaN);
}

async function probe(client: PrometheusClient): Promise<PrometheusHealth> {
  try {
    await client.text("/-/ready");
    return { state: "ready", replay: undefined, error: "" };
  } catch (error) {
    const replay = await replayOf(client);
    if (replay === undefined) return { state: "down", replay, error: messageOf(error) };
    if (replay.total === 0 || replay.done >= replay.total)
      return { state: "starting", replay: undefined, error: "Prometheus is starting" };
    const text = `Prometheus replays its write-ahead log: ${replay.done} of ${replay.total} segments`;
    return { state: "replaying", replay, error: text };
  }
}

/** Undefined when nobody answers, zeros when whoever answers does not tell. */
async function replayOf(
  client: PrometheusClient,
): Promise<{ done: number; total: number } | undefined> {
  try {
    const data = await client.ask("/api/v1/status/walreplay");
    const get = (name: string): number =>
      Number(typeof data === "object" && data !== null ? Reflect.get(data, name) : 0) || 0;
    return {
      done: Math.max(0, get("current") - get("min")),
      total: Math.max(0, get("max") - get("min")),
    };
  } catch {
    // Something that answers its other probe is there.
    return client.text("/-/healthy").then(
      () => ({ done: 0, total: 0 }),
      () => undefined,
    );
  }
}
