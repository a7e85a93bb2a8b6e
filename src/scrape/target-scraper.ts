import type { Clock } from "../base/clock.ts";
import { AppError, isDiskFull, messageOf } from "../base/errors.ts";
import { formatFixed, writeStale } from "../base/float.ts";
import type { Logger } from "../base/logger.ts";
import type { ScrapeConfig } from "../config/types.ts";
import { acceptHeader } from "../exposition/accept.ts";
import type { HttpClient } from "../http/client.ts";
import type { Labels } from "../model/labels.ts";
import type { Target } from "../model/target.ts";
import type { Appendable, AppendBatch, AppendMetadata } from "../storage/appender.ts";
import { labelingFingerprint } from "./fingerprint.ts";
import type { BodyPool, ColumnPool, SampleColumns } from "./buffers.ts";
import { LineCache } from "./line-cache.ts";
import { SAMPLE_LIMIT_EXCEEDED, type Scan, type ScanResult, type ScanRules } from "./scan.ts";
import type { ScanScratch } from "./scan-scratch.ts";
import { zerosOf } from "./created-zeros.ts";
import type { ScrapeMetrics } from "./metrics.ts";
import { fetchBody } from "./fetch-body.ts";
import { type Body, BodyLimitError } from "./read-body.ts";
import { readExposition } from "./read-exposition.ts";
import { reportLabels, reportMetadata, reportValues } from "./report.ts";
import { createLabeler, LabelLimitError } from "./sample-labels.ts";
import { SeriesMetadata } from "./series-metadata.ts";

/** What all scrapes of the process share. */
export interface ScrapeContext {
  readonly appendable: Appendable;
  readonly logger: Logger;
  readonly clock: Clock;
  readonly metrics: ScrapeMetrics;
  readonly scratch: ScanScratch;
  readonly bodies: BodyPool;
  readonly columns: ColumnPool;
  readonly bodyMaxBytes: number;
  /** What series say of themselves is stored too. */
  readonly storesMetadata: boolean;
  /** When series were created is a zero of theirs. */
  readonly storesCreated: boolean;
}

/** What the targets of one pool share. */
export interface PoolSettings {
  readonly config: ScrapeConfig;
  readonly client: HttpClient;
  /** When set, no target is asked and every scrape fails with this text (`target_limit`, the emergency switch). */
  readonly forcedError: string | undefined;
}

/** How the last scrape went. */
export interface ScrapeOutcome {
  readonly error: string;
  readonly startedMs: number;
  readonly durationMs: number;
  readonly samplesScraped: number;
  readonly samplesPostRelabel: number;
  readonly seriesAdded: number;
  /** -1 when a size limit was hit. */
  readonly bodyBytes: number;
}

const NOTHING: ScanResult = {
  error: undefined,
  scraped: 0,
  added: 0,
  seriesAdded: 0,
  duplicate: 0,
  outOfBounds: 0,
};

/** What a scrape stores beside floats. */
type NoFloats = Pick<AppendBatch, "histograms" | "exemplars" | "metadata">;

interface Fetched {
  readonly body: Body | undefined;
  readonly contentType: string | undefined;
  readonly error: AppError | undefined;
}

/**
 * Scrapes one target: asks it, reads the answer into samples and hands them to the storage, all of a scrape or nothing
 * of it, together with the report series and the staleness markers of what is gone.
 */
export class TargetScraper {
  readonly #context: ScrapeContext;
  readonly #cache: LineCache;
  #target: Target;
  #settings: PoolSettings;
  #rules: ScanRules;
  #headers: Readonly<Record<string, string>>;
  #reportLabels: readonly Labels[];
  /** Refs of the report series; undefined until first needed. */
  #reportRefs: number[] | undefined;
  /** Report series of labels that the target had before: they go stale with the next scrape. */
  #formerReportRefs: number[] = [];
  #lastBodySize = 0;
  readonly #metadata: SeriesMetadata | undefined;
  #isReportDescribed = false;

  constructor(context: ScrapeContext, options: { target: Target; settings: PoolSettings }) {
    this.#context = context;
    this.#cache = new LineCache(context.scratch);
    this.#metadata = context.storesMetadata ? new SeriesMetadata() : undefined;
    this.#target = options.target;
    this.#settings = options.settings;
    this.#rules = scanRules(options.settings.config, options.target.labels);
    this.#headers = requestHeaders(options.settings.config, options.target);
    this.#reportLabels = reportLabels(
      options.target.labels,
      options.settings.config.extraScrapeMetrics,
    );
  }

  get cache(): LineCache {
    return this.#cache;
  }

  /** Changes rules and labels for the next scrape. Series that the new ones no longer yield go stale then. */
  reconfigure(options: { target: Target; settings: PoolSettings }): void {
    const { config } = options.settings;
    const { labels } = options.target;
    const isRenamed = !labels.equals(this.#target.labels);
    if (config !== this.#settings.config || isRenamed) {
      this.#rules = scanRules(config, labels);
      this.#reportLabels = reportLabels(labels, config.extraScrapeMetrics);
      if (isRenamed) this.#formerReportRefs.push(...(this.#reportRefs ?? []));
      this.#reportRefs = undefined;
      this.#isReportDescribed = false;
      if (isRenamed || labelingFingerprint(config) !== labelingFingerprint(this.#settings.config))
        this.#cache.forget();
    }
    this.#headers = requestHeaders(config, options.target);
    this.#settings = options.settings;
    this.#target = options.target;
  }

  /**
   * One scrape, stored at `timeMs`. Resolves with undefined when `signal` cut it short: then nothing is stored. A
   * failed scrape resolves too. Only one may run at a time.
   */
  async scrape(timeMs: number, signal: AbortSignal): Promise<ScrapeOutcome | undefined> {
    const { clock, metrics } = this.#context;
    const startedMs = clock.now();
    const started = clock.monotonic();
    const fetched = await this.#fetch(signal);
    if (signal.aborted) {
      if (fetched.body !== undefined) this.#context.bodies.release(fetched.body.bytes);
      return undefined;
    }
    const scanned =
      fetched.body === undefined || fetched.body.length === 0
        ? undefined
        : this.#scan(fetched, fetched.body);
    // Of a protobuf body it is the text that was made of it that stays.
    const body = scanned?.body ?? fetched.body;
    const result = scanned?.scan?.result ?? NOTHING;
    let error = fetched.error ?? scanned?.error;
    const bodyBytes = fetched.error instanceof BodyLimitError ? -1 : (fetched.body?.length ?? 0);
    if (error !== undefined) this.#countFailure(error);
    const columns = this.#context.columns.acquire();
    try {
      const scan = error === undefined ? scanned?.scan : undefined;
      const filled = this.#fill(columns, timeMs, scan);
      const zeros = zerosOf(scan?.created(timeMs) ?? [], timeMs);
      // Whole nanoseconds, as Prometheus measures.
      const durationSeconds = Math.round((clock.monotonic() - started) * 1e6) / 1e9;
      this.#pushReport(columns, timeMs, [
        ...reportValues(
          {
            up: error === undefined,
            durationSeconds,
            samplesScraped: result.scraped,
            samplesPostRelabel: result.added,
            seriesAdded: result.seriesAdded,
            timeoutSeconds: this.#target.timeoutMs / 1000,
            sampleLimit: this.#settings.config.sampleLimit,
            bodySizeBytes: bodyBytes,
          },
          this.#settings.config.extraScrapeMetrics,
        ),
      ]);
      const beside = { ...filled, ...this.#describe(filled.metadata ?? []) };
      this.#remember(scan, body);
      metrics.duplicate.inc(result.duplicate);
      metrics.outOfBounds.inc(result.outOfBounds);
      const { duplicate, outOfBounds } = result;
      await Promise.all([
        zeros === undefined ? undefined : this.#context.appendable.append(zeros),
        this.#append(columns, beside, { duplicate, outOfBounds }),
      ]);
    } catch (thrown) {
      this.#forgetMetadata();
      metrics.commitsFailed.inc();
      error ??= new AppError("unavailable", `cannot store the scrape: ${messageOf(thrown)}`);
      // Whoever stores it says once that the disk is full.
      this.#context.logger[isDiskFull(thrown) ? "debug" : "error"]("Scrape commit failed", {
        target: this.#target.url,
        scrape_pool: this.#target.job,
        error: thrown,
      });
    } finally {
      this.#context.columns.release(columns);
    }
    return {
      error: error?.message ?? "",
      startedMs,
      durationMs: clock.monotonic() - started,
      samplesScraped: result.scraped,
      samplesPostRelabel: result.added,
      seriesAdded: result.seriesAdded,
      bodyBytes,
    };
  }

  /** Writes staleness markers for all that the target exposed and for its report series. */
  async writeStale(timeMs: number): Promise<void> {
    const columns = this.#context.columns.acquire();
    try {
      this.#cache.forEachTracked((ref) => pushStale(columns, ref, timeMs));
      this.#cache.untrack();
      for (const ref of this.#reportRefs ?? []) pushStale(columns, ref, timeMs);
      this.#pushFormer(columns, timeMs);
      // Markers older than what another scrape of the same series wrote are refused, as they should be.
      if (columns.count > 0) await this.#context.appendable.append(columns);
    } finally {
      this.#context.columns.release(columns);
    }
  }

  async #fetch(signal: AbortSignal): Promise<Fetched> {
    const { forcedError, client, config } = this.#settings;
    try {
      if (forcedError !== undefined) throw new AppError("resource-exhausted", forcedError);
      const { body, contentType } = await fetchBody(
        client,
        {
          url: this.#target.url,
          headers: this.#headers,
          signal,
          timeoutMs: this.#target.timeoutMs,
        },
        {
          pool: this.#context.bodies,
          limit: config.bodySizeLimit,
          maxBytes: this.#context.bodyMaxBytes,
          expected: this.#lastBodySize,
        },
      );
      if (body.length > 0) this.#lastBodySize = body.length;
      return { body, contentType, error: undefined };
    } catch (error) {
      return {
        body: undefined,
        contentType: undefined,
        error: AppError.from(error, "unavailable"),
      };
    }
  }

  #scan(
    fetched: Fetched,
    body: Body,
  ): { scan: Scan | undefined; error: AppError | undefined; body: Body } {
    let own = body;
    try {
      const { config } = this.#settings;
      const takeCreated = this.#context.storesCreated;
      const source = { config, target: this.#target, takeCreated };
      const exposition = readExposition(body, fetched.contentType, source);
      const { format, bytes, length, beside, failure } = exposition;
      if (bytes !== body.bytes) {
        this.#context.bodies.release(body.bytes);
        own = { bytes, length };
      }
      const scan = this.#cache.scan(bytes, length, {
        format,
        rules: this.#rules,
        nowMs: this.#context.clock.now(),
        beside,
      });
      return { scan, error: scan.result.error ?? failure, body: own };
    } catch (error) {
      return { scan: undefined, error: AppError.from(error, "bad-data"), body: own };
    }
  }

  /**
   * The samples of a good scan and the markers for what it lacks; without a scan, markers for everything. Answers what is
   * no float: histograms and exemplars.
   */
  #fill(columns: SampleColumns, timeMs: number, scan: Scan | undefined): NoFloats {
    if (scan === undefined) {
      this.#cache.forEachTracked((ref) => pushStale(columns, ref, timeMs));
      return {};
    }
    let refused = 0;
    let reason = "";
    scan.resolve((labels) => {
      try {
        return this.#context.appendable.resolve(labels);
      } catch (error) {
        if (!(error instanceof AppError) || error.code !== "resource-exhausted") throw error;
        refused++;
        reason = error.message;
        return -1;
      }
    });
    if (refused > 0) {
      this.#context.metrics.seriesRefused.inc(refused);
      this.#context.logger.warn("Storage takes no new series", {
        target: this.#target.url,
        num_dropped: refused,
        reason,
      });
    }
    scan.emit(columns, timeMs);
    for (const ref of scan.stale()) pushStale(columns, ref, timeMs);
    const histograms = scan.histograms(timeMs);
    const exemplars = scan.exemplars(timeMs);
    const metadata = this.#metadata?.take(scan) ?? [];
    return {
      ...(histograms !== undefined && { histograms }),
      ...(exemplars.length > 0 && { exemplars }),
      ...(metadata.length > 0 && { metadata }),
    };
  }

  /** Keeps what the next scrape compares with. Called before waiting, for other targets share the scratch memory. */
  #remember(scan: Scan | undefined, body: Body | undefined): void {
    if (scan !== undefined) {
      this.#context.bodies.release(this.#cache.commit(scan));
      return;
    }
    this.#cache.untrack();
    if (body !== undefined) this.#context.bodies.release(body.bytes);
  }

  #pushFormer(columns: SampleColumns, timeMs: number): void {
    const current = new Set(this.#reportRefs);
    for (const ref of this.#formerReportRefs)
      if (!current.has(ref)) pushStale(columns, ref, timeMs);
    this.#formerReportRefs = [];
  }

  #pushReport(columns: SampleColumns, timeMs: number, values: readonly number[]): void {
    try {
      this.#reportRefs ??= this.#reportLabels.map((labels) =>
        this.#context.appendable.resolve(labels),
      );
    } catch (error) {
      this.#context.logger.warn("Appending scrape report failed", {
        target: this.#target.url,
        error,
      });
      return;
    }
    for (const [i, value] of values.entries()) columns.push(this.#reportRefs[i]!, timeMs, value);
    if (this.#formerReportRefs.length > 0) this.#pushFormer(columns, timeMs);
  }

  /** `found`, and once what the report series say of themselves; nothing when that is not stored. */
  #describe(found: readonly AppendMetadata[]): Pick<NoFloats, "metadata"> {
    if (this.#metadata === undefined) return {};
    const refs = this.#isReportDescribed ? [] : (this.#reportRefs ?? []);
    const texts = reportMetadata(this.#settings.config.extraScrapeMetrics);
    const own = refs.map((ref, i) => ({ ref, metadata: texts[i]! }));
    this.#isReportDescribed = this.#reportRefs !== undefined;
    const metadata = [...found, ...own];
    return metadata.length === 0 ? {} : { metadata };
  }

  #forgetMetadata(): void {
    this.#metadata?.forget();
    this.#isReportDescribed = false;
  }

  async #append(
    columns: SampleColumns,
    beside: NoFloats,
    seen: { duplicate: number; outOfBounds: number },
  ): Promise<void> {
    const { appendable, metrics, logger } = this.#context;
    const { refs, times, values, count } = columns;
    const isPlain = Object.keys(beside).length === 0;
    const batch = isPlain ? columns : { refs, times, values, count, ...beside };
    let result = await appendable.append(batch);
    if (result.unknownRef > 0) {
      this.#forgetMetadata();
      this.#resolveAgain([
        columns,
        ...(beside.histograms === undefined ? [] : [beside.histograms]),
      ]);
      result = await appendable.append(batch);
    }
    metrics.outOfOrder.inc(result.outOfOrder);
    metrics.duplicate.inc(result.duplicate);
    metrics.outOfBounds.inc(result.outOfBounds);
    const warn = (message: string, count: number): void => {
      if (count > 0) logger.warn(message, { target: this.#target.url, num_dropped: count });
    };
    warn("Error on ingesting out-of-order samples", result.outOfOrder);
    warn("Error on ingesting out-of-order exemplars", result.refusedExemplars);
    warn(
      "Error on ingesting samples with different value but same timestamp",
      result.duplicate + seen.duplicate,
    );
    warn(
      "Error on ingesting samples that are too old or are too far into the future",
      result.outOfBounds + seen.outOfBounds,
    );
  }

  /** The storage forgot series (all of their samples were too old to keep): gives every ref of ours a new one. */
  #resolveAgain(all: readonly { readonly refs: Int32Array; readonly count: number }[]): void {
    const { appendable } = this.#context;
    const renewed = new Map<number, number>();
    this.#cache.forEachKnown(this.#rules.labeler, (ref, labels) => {
      const now = appendable.resolve(labels);
      renewed.set(ref, now);
      return now;
    });
    const reportRefs = this.#reportLabels.map((labels) => appendable.resolve(labels));
    for (const [i, ref] of (this.#reportRefs ?? []).entries()) renewed.set(ref, reportRefs[i]!);
    this.#reportRefs = reportRefs;
    for (const { refs, count } of all)
      for (let i = 0; i < count; i++) refs[i] = renewed.get(refs[i]!) ?? refs[i]!;
  }

  #countFailure(error: AppError): void {
    const { metrics } = this.#context;
    if (error instanceof BodyLimitError) metrics.bodySizeLimit.inc();
    else if (error instanceof LabelLimitError) metrics.labelLimits.inc();
    else if (error.message === SAMPLE_LIMIT_EXCEEDED) metrics.sampleLimit.inc();
    this.#context.logger.debug("Scrape failed", { target: this.#target.url, error });
  }
}

function pushStale(columns: SampleColumns, ref: number, timeMs: number): void {
  columns.push(ref, timeMs, 0);
  writeStale(columns.values, columns.count - 1);
}

/** The headers of a scrape. */
export function requestHeaders(
  config: ScrapeConfig,
  target: { readonly timeoutMs: number },
): Record<string, string> {
  return {
    accept: acceptHeader(config.scrapeProtocols, config.metricNameEscapingScheme),
    "accept-encoding": config.enableCompression ? "gzip" : "identity",
    "x-prometheus-scrape-timeout-seconds": formatFixed(target.timeoutMs / 1000),
  };
}

export function scanRules(config: ScrapeConfig, targetLabels: Labels): ScanRules {
  return {
    labeler: createLabeler(config, targetLabels),
    honorTimestamps: config.honorTimestamps,
    trackTimestampsStaleness: config.trackTimestampsStaleness,
    sampleLimit: config.sampleLimit,
  };
}
