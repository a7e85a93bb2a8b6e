/** What the tests and benches of this folder share: configurations, targets, a clock that is turned by hand. */
import type { Clock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import { isStaleWords } from "../base/float.ts";
import { plainHttpClient } from "../config/plain-http-client.ts";
import { DEFAULT_OTLP } from "../config/server.ts";
import type { Config, ScrapeConfig } from "../config/types.ts";
import type { HttpClient, HttpRequest, HttpResponse } from "../http/client.ts";
import { compileAnchored } from "../model/regex.ts";
import type { RelabelConfig } from "../model/relabel-config.ts";
import { Labels } from "../model/labels.ts";
import { hashTarget } from "../model/target-hash.ts";
import type { Target } from "../model/target.ts";
import {
  type Appendable,
  type AppendBatch,
  type AppendResult,
  NOTHING_APPENDED,
} from "../storage/appender.ts";

export function scrapeConfig(overrides: Partial<ScrapeConfig> = {}): ScrapeConfig {
  return {
    jobName: "job",
    scrapeIntervalMs: 10_000,
    scrapeTimeoutMs: 5000,
    scrapeProtocols: [
      "OpenMetricsText1.0.0",
      "OpenMetricsText0.0.1",
      "PrometheusText1.0.0",
      "PrometheusText0.0.4",
    ],
    fallbackScrapeProtocol: "",
    metricsPath: "/metrics",
    scheme: "http",
    params: {},
    honorLabels: false,
    honorTimestamps: true,
    trackTimestampsStaleness: false,
    enableCompression: true,
    bodySizeLimit: 0,
    sampleLimit: 0,
    targetLimit: 0,
    labelLimit: 0,
    labelNameLengthLimit: 0,
    labelValueLengthLimit: 0,
    keepDroppedTargets: 0,
    nativeHistogramBucketLimit: 0,
    nativeHistogramMinBucketFactor: 0,
    scrapeNativeHistograms: false,
    convertClassicHistogramsToNhcb: false,
    alwaysScrapeClassicHistograms: false,
    extraScrapeMetrics: false,
    metricNameValidationScheme: "utf8",
    metricNameEscapingScheme: "allow-utf-8",
    relabelConfigs: [],
    metricRelabelConfigs: [],
    httpClient: plainHttpClient(),
    serviceDiscovery: [],
    ...overrides,
  };
}

export function configOf(...scrapeConfigs: ScrapeConfig[]): Config {
  return {
    global: {
      scrapeIntervalMs: 10_000,
      scrapeTimeoutMs: 5000,
      evaluationIntervalMs: 10_000,
      ruleQueryOffsetMs: 0,
      externalLabels: {},
      queryLogFile: "",
    },
    ruleFiles: [],
    scrapeConfigs,
    alerting: { alertRelabelConfigs: [] },
    storage: { outOfOrderTimeWindowMs: 0, maxExemplars: undefined },
    remoteWrites: [],
    remoteReads: [],
    otlp: DEFAULT_OTLP,
    source: "",
    baseFolder: "/",
  };
}

export function targetOf(
  url: string,
  options: {
    job?: string;
    labels?: Record<string, string>;
    intervalMs?: number;
    timeoutMs?: number;
  } = {},
): Target {
  const job = options.job ?? "job";
  const labels = Labels.fromObject({ job, instance: new URL(url).host, ...options.labels });
  const intervalMs = options.intervalMs ?? 10_000;
  return {
    hash: hashTarget(labels.with("__scrape_interval__", `${intervalMs}ms`), url),
    job,
    allLabels: labels,
    labels,
    discoveredLabels: labels,
    url,
    intervalMs,
    timeoutMs: options.timeoutMs ?? 5000,
  };
}

/** A clock whose time passes only in `advance`. */
export class FakeClock implements Clock {
  #now: number;
  readonly #timers = new Set<{ atMs: number; run: () => void }>();

  constructor(nowMs = 1_700_000_000_000) {
    this.#now = nowMs;
  }

  now(): number {
    return this.#now;
  }

  monotonic(): number {
    return this.#now;
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { atMs: this.#now + Math.max(0, delayMs), run };
    this.#timers.add(timer);
    return () => void this.#timers.delete(timer);
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.after(delayMs, resolve);
    });
  }

  get timerCount(): number {
    return this.#timers.size;
  }

  /** Sets the wall clock without running timers, as somebody may do to a machine. */
  jump(byMs: number): void {
    this.#now += byMs;
    for (const timer of this.#timers) timer.atMs += byMs;
  }

  /** Runs what falls due in the next `durationMs`, in order, each with everything it started. */
  async advance(durationMs: number): Promise<void> {
    const endMs = this.#now + durationMs;
    for (;;) {
      const due = [...this.#timers]
        .filter((timer) => timer.atMs <= endMs)
        .sort((a, b) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      this.#timers.delete(due);
      this.#now = Math.max(this.#now, due.atMs);
      due.run();
      await settle();
    }
    this.#now = endMs;
  }
}

/** Lets promises that are only waiting for each other run. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++)
    await new Promise<void>((resolve) => {
      setImmediate(resolve);
    });
}

export interface StoredSample {
  readonly series: string;
  readonly timeMs: number;
  /** "stale" for the staleness marker with exactly its bits. */
  readonly value: number | "stale";
}

/** A storage that remembers what it was given; like the real one it refuses samples that are not newer. */
export class FakeStorage implements Appendable {
  readonly batches: StoredSample[][] = [];
  /** Exemplars of all batches, as `series: {labels} value @time`. */
  readonly exemplars: string[] = [];
  readonly refs = new Map<string, number>();
  seriesMax = Infinity;
  resolveCount = 0;
  failWith: Error | undefined;
  readonly #names: string[] = [];
  readonly #last = new Map<number, number>();

  resolve(labels: Labels): number {
    this.resolveCount++;
    const name = labels.toString();
    let ref = this.refs.get(name);
    if (ref === undefined) {
      if (this.refs.size >= this.seriesMax)
        throw new AppError("resource-exhausted", "cannot add series: limit reached");
      ref = this.#names.length;
      this.#names.push(name);
      this.refs.set(name, ref);
    }
    return ref;
  }

  /** Makes the storage forget series, as it does when their samples have become too old. */
  forget(series: string): void {
    this.refs.delete(series);
  }

  append(columns: AppendBatch): Promise<AppendResult> {
    if (this.failWith !== undefined) return Promise.reject(this.failWith);
    const result = { ...NOTHING_APPENDED };
    const words = new Uint32Array(columns.values.buffer);
    const batch: StoredSample[] = [];
    for (let i = 0; i < columns.count; i++) {
      const ref = columns.refs[i]!;
      const series = this.#names[ref]!;
      const timeMs = columns.times[i]!;
      if (this.refs.get(series) !== ref) {
        result.unknownRef++;
        continue;
      }
      const last = this.#last.get(ref) ?? -Infinity;
      if (timeMs <= last) {
        if (timeMs === last) result.duplicate++;
        else result.outOfOrder++;
        continue;
      }
      this.#last.set(ref, timeMs);
      result.appended++;
      batch.push({ series, timeMs, value: isStaleWords(words, i) ? "stale" : columns.values[i]! });
    }
    this.batches.push(batch);
    for (const { ref, exemplar } of columns.exemplars ?? []) {
      const { labels, value, timeMs } = exemplar;
      this.exemplars.push(`${this.#names[ref]!}: ${labels.toString()} ${value} @${timeMs}`);
    }
    return Promise.resolve(result);
  }

  /** The last batch as `series value` lines without the report series, sorted. */
  lastSamples(): string[] {
    return this.samplesOf(this.batches.at(-1) ?? []);
  }

  samplesOf(batch: readonly StoredSample[]): string[] {
    return batch
      .filter((sample) => !/__name__="(up|scrape_\w+)"/.test(sample.series))
      .map((sample) => `${sample.series} ${sample.value}`)
      .sort();
  }

  /** The value of report series `name` in the last batch. */
  lastReport(name: string): number | "stale" | undefined {
    return this.batches.at(-1)?.find((sample) => sample.series.includes(`__name__="${name}"`))
      ?.value;
  }
}

export interface FakeAnswer {
  readonly status?: number;
  readonly statusText?: string;
  readonly headers?: Record<string, string>;
  readonly body: string | Uint8Array;
}

/** A client that answers with what `answer` gives. */
export class FakeClient implements HttpClient {
  readonly requests: HttpRequest[] = [];
  closed = false;
  answer: (request: HttpRequest) => FakeAnswer | Promise<FakeAnswer>;

  constructor(answer: (request: HttpRequest) => FakeAnswer | Promise<FakeAnswer>) {
    this.answer = answer;
  }

  async request(request: HttpRequest): Promise<HttpResponse> {
    this.requests.push(request);
    const answer = await this.answer(request);
    const headers = answer.headers ?? { "content-type": "text/plain" };
    const bytes = typeof answer.body === "string" ? Buffer.from(answer.body) : answer.body;
    return {
      status: answer.status ?? 200,
      statusText: answer.statusText ?? "OK",
      headers: { get: (name) => headers[name.toLowerCase()] },
      body: pieces(bytes),
      finalUrl: request.url,
    };
  }

  close(): Promise<void> {
    this.closed = true;
    return Promise.resolve();
  }
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < bytes.length; i += 1000)
    yield await Promise.resolve(bytes.subarray(i, i + 1000));
}

/** Drops series whose name matches. */
export function dropRule(pattern: string): RelabelConfig {
  return {
    sourceLabels: ["__name__"],
    separator: ";",
    regex: compileAnchored(pattern),
    modulus: 0,
    targetLabel: "",
    replacement: "$1",
    action: "drop",
  };
}
