import { systemClock, type Clock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import type { Channel } from "../grpc/channel.ts";
import { Labels, compareLabels } from "../model/labels.ts";
import type { MatchOperator, Matcher } from "../model/matcher.ts";
import {
  decodeLabelResponse,
  encodeLabelNamesRequest,
  encodeLabelValuesRequest,
  type LabelRequestMessage,
} from "../proto/label-messages.ts";
import {
  AGGR_RAW,
  EMPTY_SERIES_REQUEST,
  MATCHER_EQ,
  MATCHER_NEQ,
  MATCHER_NRE,
  MATCHER_RE,
  STRATEGY_ABORT,
  STRATEGY_WARN,
  encodeSeriesRequest,
  type LabelMatcherMessage,
  type QueryHintsMessage,
} from "../proto/series-request.ts";
import { type EncodedLabels, SeriesDecoder } from "../proto/series-response.ts";
import { mergeChunks } from "../storage/merge.ts";
import type {
  Chunk,
  LabelRequest,
  LabelResult,
  Queryable,
  SelectHints,
  SelectRequest,
  Series,
  SeriesBatch,
  SeriesCount,
} from "../storage/queryable.ts";
import { Watchdog } from "./watchdog.ts";

/** What happens to an answer with holes: `warn` gives it with warnings, `abort` refuses it. */
export type PartialResponse = "warn" | "abort";

export interface RemoteStoreOptions {
  readonly channel: Channel;
  /** How the store itself treats holes in its answer. Default `warn`. */
  readonly partialResponse?: PartialResponse;
  /** Longest wait for the next data (Thanos's `--store.response-timeout`). Default 0: none. */
  readonly timeoutMs?: number;
  readonly clock?: Clock;
}

/** Series per frame that stores are asked for. */
const RESPONSE_BATCH_SIZE = 64;

/** A StoreAPI server, read as a Queryable. */
export class RemoteStore implements Queryable {
  readonly #channel: Channel;
  readonly #strategy: number;
  readonly #timeoutMs: number;
  readonly #clock: Clock;

  constructor(options: RemoteStoreOptions) {
    this.#channel = options.channel;
    this.#strategy = options.partialResponse === "abort" ? STRATEGY_ABORT : STRATEGY_WARN;
    this.#timeoutMs = options.timeoutMs ?? 0;
    this.#clock = options.clock ?? systemClock;
  }

  /** `withoutReplicaLabels` is for stores that know it; others ignore it. */
  select(request: SelectRequest): AsyncIterable<SeriesBatch> {
    return this.#stream(request);
  }

  async labelNames(request: LabelRequest): Promise<LabelResult> {
    const bytes = encodeLabelNamesRequest(this.#labelRequest(request));
    return this.#labels("LabelNames", bytes, request.signal);
  }

  async labelValues(name: string, request: LabelRequest): Promise<LabelResult> {
    const bytes = encodeLabelValuesRequest({ ...this.#labelRequest(request), label: name });
    return this.#labels("LabelValues", bytes, request.signal);
  }

  async #labels(
    method: "LabelNames" | "LabelValues",
    request: Uint8Array,
    signal: AbortSignal | undefined,
  ): Promise<LabelResult> {
    const response = await this.#channel.unary(`/thanos.Store/${method}`, request, {
      ...(signal === undefined ? {} : { signal }),
      ...(this.#timeoutMs === 0 ? {} : { deadlineMs: this.#timeoutMs }),
    });
    return decodeLabelResponse(response);
  }

  #labelRequest(request: LabelRequest): LabelRequestMessage {
    return {
      partialResponseDisabled: this.#strategy === STRATEGY_ABORT,
      partialResponseStrategy: this.#strategy,
      startMs: Math.floor(request.minTimeMs),
      endMs: Math.ceil(request.maxTimeMs),
      hints: undefined,
      matchers: request.matchers.map(toMessage),
      withoutReplicaLabels: [],
      limit: request.limit ?? 0,
    };
  }

  async *#stream(request: SelectRequest): AsyncGenerator<SeriesBatch> {
    const watchdog = new Watchdog({
      clock: this.#clock,
      timeoutMs: this.#timeoutMs,
      signal: request.signal,
    });
    const frames = this.#channel.serverStream(
      "/thanos.Store/Series",
      encodeSeriesRequest({
        ...EMPTY_SERIES_REQUEST,
        minTimeMs: Math.floor(request.minTimeMs),
        maxTimeMs: Math.ceil(request.maxTimeMs),
        matchers: request.matchers.map(toMessage),
        aggregates: [AGGR_RAW],
        partialResponseDisabled: this.#strategy === STRATEGY_ABORT,
        partialResponseStrategy: this.#strategy,
        skipChunks: request.skipChunks ?? false,
        queryHints: request.hints === undefined ? undefined : hintsMessage(request.hints, request),
        withoutReplicaLabels: request.withoutReplicaLabels ?? [],
        limit: request.limit ?? 0,
        responseBatchSize: RESPONSE_BATCH_SIZE,
      }),
      { signal: watchdog.signal },
    );
    const decoder = new SeriesDecoder();
    const sink = new BatchSink();
    try {
      for (;;) {
        const frame = await watchdog.wait(frames.next());
        if (frame.done === true) break;
        decoder.decode(frame.value, sink);
        const batch = sink.take();
        if (batch !== undefined) yield batch;
      }
      const last = sink.finish();
      if (last !== undefined) yield last;
      if (!sink.isSampleAlone) return;
    } catch (error) {
      throw watchdog.fired
        ? new AppError("timeout", `no data for ${this.#timeoutMs} ms`, { cause: error })
        : error;
    } finally {
      watchdog.stop();
      await frames.return?.();
    }
    // The sample was not enough to stop here.
    const { sampleAbove: _, ...rest } = request;
    yield* this.#stream(rest);
  }
}

/** Puts decoded series together: one that continues in later frames becomes whole before it goes on. */
class BatchSink {
  #ready: Series[] = [];
  #warnings: string[] = [];
  #expected: SeriesCount | undefined;
  #last: { labels: Labels; chunks: Chunk[]; split: boolean } | undefined;
  /** Whether a sample came, and none of the series that it is of. */
  isSampleAlone = false;

  series(read: EncodedLabels | string[], chunks: Chunk[]): void {
    const labels = Array.isArray(read) ? Labels.fromSorted(read) : Labels.fromPacked(read);
    this.isSampleAlone = false;
    const last = this.#last;
    if (last !== undefined) {
      const order = compareLabels(last.labels, labels);
      if (order === 0) {
        last.chunks.push(...chunks);
        last.split = true;
        return;
      }
      if (order > 0)
        throw new AppError(
          "corrupt",
          `the store's series are not sorted: ${labels.toString()} comes after ${last.labels.toString()}`,
        );
      this.#ready.push(finished(last));
    }
    this.#last = { labels, chunks, split: false };
  }

  warning(text: string): void {
    this.#warnings.push(text);
  }

  count(expected: SeriesCount): void {
    this.#expected = expected;
    this.isSampleAlone = expected.samples !== undefined;
  }

  /** What is complete so far. */
  take(): SeriesBatch | undefined {
    const series = this.#ready;
    const warnings = this.#warnings;
    const expected = this.#expected;
    if (series.length === 0 && warnings.length === 0 && expected === undefined) return undefined;
    this.#ready = [];
    this.#warnings = [];
    this.#expected = undefined;
    return { series, ...(warnings.length > 0 && { warnings }), ...(expected && { expected }) };
  }

  /** The rest, when no frame follows. */
  finish(): SeriesBatch | undefined {
    if (this.#last !== undefined) this.#ready.push(finished(this.#last));
    this.#last = undefined;
    return this.take();
  }
}

function finished(series: { labels: Labels; chunks: Chunk[]; split: boolean }): Series {
  const { labels, chunks, split } = series;
  for (let i = 1; i < chunks.length; i++)
    if (split || chunks[i - 1]!.minTimeMs > chunks[i]!.minTimeMs)
      return { labels, chunks: mergeChunks([chunks.slice(0, 1), chunks.slice(1)]) };
  return { labels, chunks };
}

const TYPES: Readonly<Record<MatchOperator, number>> = {
  "=": MATCHER_EQ,
  "!=": MATCHER_NEQ,
  "=~": MATCHER_RE,
  "!~": MATCHER_NRE,
};

function toMessage({ operator, name, value }: Matcher): LabelMatcherMessage {
  return { type: TYPES[operator], name, value };
}

function hintsMessage(hints: SelectHints, { sampleAbove = 0 }: SelectRequest): QueryHintsMessage {
  return {
    stepMs: hints.stepMs,
    func: hints.func,
    rangeMs: hints.rangeMs,
    newestOnly: hints.newestOnly ?? false,
    wantsCount: true,
    sampleAbove,
    grouping:
      hints.grouping.length === 0 && !hints.by
        ? undefined
        : { by: hints.by, labels: hints.grouping },
  };
}
