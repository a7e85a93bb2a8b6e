import type { Clock } from "../base/clock.ts";
import { AppError, messageOf } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Counter, Registry } from "../base/metrics.ts";
import { formatSeries } from "../model/labels.ts";
import type { Appendable, AppendResult, Refusal, RefusalReason } from "../storage/appender.ts";
import { REFUSALS } from "./refusal-words.ts";
import { SeriesRefs } from "./series-refs.ts";
import { PROBLEMS_MAX, WriteColumns } from "./write-columns.ts";
import type { WriteDecoder } from "./write-decoder.ts";
import { WriteKernel } from "./write-kernel.ts";
import { WriteDecoderV1 } from "./write-v1.ts";
import { WriteDecoderV2 } from "./write-v2.ts";

/** The message types of remote write, as a request's media type names them. */
export const WRITE_V1 = "prometheus.WriteRequest";
export const WRITE_V2 = "io.prometheus.write.v2.Request";
export type WriteMessage = typeof WRITE_V1 | typeof WRITE_V2;

export interface WriteReceiverOptions {
  readonly appendable: Appendable;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: Registry;
  /** Messages that are taken. Default both. */
  readonly accepted?: readonly WriteMessage[];
  /** A request larger than this when unpacked is refused, before memory is given to it. Default 32 MiB, as Prometheus. */
  readonly maxDecodedBytes?: number;
  /** Default 100,000. Prometheus sends 2,000 at most unless told otherwise. */
  readonly maxSeries?: number;
  /** Whether the time a series was created becomes a zero of it (`created-timestamp-zero-ingestion`). Default false. */
  readonly takesCreated?: boolean;
}

export const MAX_DECODED_BYTES = 32 * 1024 * 1024;
export const MAX_SERIES = 100_000;
/** Samples further ahead of the clock are refused, as Prometheus does. */
export const MAX_AHEAD_MS = 10 * 60_000;
/** Columns that wait for the next request. */
const FREE_COLUMNS_MAX = 8;

export interface WriteAnswer {
  /** The HTTP status. */
  readonly status: number;
  /** For people: what was refused and why. "" when all is well. */
  readonly text: string;
  /** What was stored; told to senders of 2.0. */
  readonly written: { samples: number; histograms: number; exemplars: number } | undefined;
}

/**
 * The receiving side of Prometheus's remote write, 1.0 and 2.0. As there, a request of 1.0 is stored as a whole or not at
 * all (series with bad labels aside), and of one of 2.0 all that can be is stored and the rest is told.
 */
export class WriteReceiver {
  readonly #options: WriteReceiverOptions;
  readonly #invalid: Counter;
  readonly #free: WriteColumns[] = [];
  /** Each request is read in one go, so that one serves them all. */
  readonly #kernel = new WriteKernel();
  /** Requests under way keep the one they began with. */
  #table = new SeriesRefs();

  constructor(options: WriteReceiverOptions) {
    this.#options = options;
    this.#invalid = options.registry.counter(
      "prometheus_api_remote_write_invalid_labels_samples_total",
      "Total number of samples in remote write requests that were rejected because of invalid labels.",
    );
  }

  /** Stores what a request holds. Rejects with what the storage rejects with; bad requests resolve. */
  async receive(request: {
    readonly contentType: string | undefined;
    readonly contentEncoding: string | undefined;
    readonly body: Uint8Array;
  }): Promise<WriteAnswer> {
    let message: WriteMessage;
    try {
      message = messageTypeOf(request.contentType);
      if (!(this.#options.accepted ?? [WRITE_V1, WRITE_V2]).includes(message))
        throw new AppError(
          "bad-data",
          `${message} is not accepted by this server: see --web.remote-write-receiver.accepted-protobuf-messages`,
        );
      const encoding = request.contentEncoding ?? "";
      if (encoding !== "" && encoding !== "snappy")
        throw new AppError(
          "bad-data",
          `the content encoding ${JSON.stringify(encoding)} is not accepted by this server, only snappy`,
        );
    } catch (error) {
      return refusal(415, messageOf(error));
    }
    const columns = this.#free.pop() ?? new WriteColumns();
    try {
      return await this.#store(request.body, message, columns);
    } finally {
      if (this.#free.length < FREE_COLUMNS_MAX) this.#free.push(columns);
    }
  }

  async #store(
    body: Uint8Array,
    message: WriteMessage,
    columns: WriteColumns,
  ): Promise<WriteAnswer> {
    const isWhole = message === WRITE_V1;
    let early: SamplePlace[];
    let decoder: WriteDecoder;
    try {
      decoder = this.#decode(body, message, columns);
      early = this.#dropFuture(columns);
    } catch (error) {
      if (!(error instanceof AppError)) throw error;
      // Too large, too many series, or broken: as Prometheus, a status that no sender tries again.
      if (error.code === "resource-exhausted" || error.code === "corrupt")
        return refusal(400, error.message);
      throw error;
    }
    if (isWhole && early.length > 0) return refusal(400, textsOf(decoder, early.slice(0, 1))[0]!);
    let result = await this.#options.appendable.append(columns.batch({ isWhole }));
    if (result.unknownRef > 0) {
      this.#table = new SeriesRefs();
      decoder = this.#decode(body, message, columns);
      result = await this.#appendForgotten(result, { columns, isWhole });
    }
    if (columns.problemSamples > 0) this.#invalid.inc(columns.problemSamples);
    return isWhole
      ? this.#answerV1(columns, decoder, result)
      : answerV2({ columns, decoder, result, early });
  }

  /** Reads `body` into `columns`; gives what can name their series. */
  #decode(body: Uint8Array, message: WriteMessage, columns: WriteColumns): WriteDecoder {
    if (this.#table.isFull) this.#table = new SeriesRefs();
    const table = this.#table;
    const {
      appendable,
      maxSeries = MAX_SERIES,
      maxDecodedBytes = MAX_DECODED_BYTES,
      takesCreated = false,
    } = this.#options;
    const Decoder = message === WRITE_V1 ? WriteDecoderV1 : WriteDecoderV2;
    const decoder = new Decoder(body, {
      kernel: this.#kernel,
      columns,
      table,
      options: { maxSeries, maxDecodedBytes, takesCreated },
      resolve(labels) {
        try {
          return appendable.resolve(labels);
        } catch (error) {
          // The storage is full, not the request too large: it may be sent again.
          throw error instanceof AppError && error.code === "resource-exhausted"
            ? new AppError("unavailable", error.message, { cause: error })
            : error;
        }
      },
    });
    decoder.decode();
    return decoder;
  }

  /** Takes out samples that lie too far ahead of the clock, and says which. */
  #dropFuture(columns: WriteColumns): SamplePlace[] {
    const limitMs = this.#options.clock.now() + MAX_AHEAD_MS;
    const { times, count, histogramTimes } = columns;
    let isClean = true;
    for (let i = 0; i < count; i++) if (times[i]! > limitMs) isClean = false;
    for (const t of histogramTimes) if (t > limitMs) isClean = false;
    // Fast path: nobody's clock is wrong.
    if (isClean) return [];
    const refused: SamplePlace[] = [];
    const judge = (t: number, series: number, isZero: boolean): boolean => {
      if (t <= limitMs) return true;
      if (!isZero) refused.push({ series, timeMs: t, reason: "out-of-bounds" });
      return false;
    };
    columns.filter({
      sample: (i, isZero) => judge(columns.times[i]!, columns.seriesOf[i]!, isZero),
      histogram: (i, isZero) =>
        judge(columns.histogramTimes[i]!, columns.histogramSeriesOf[i]!, isZero),
    });
    return refused;
  }

  /**
   * The storage had forgotten series of the table, and all have been resolved anew. Appends the samples that had no
   * series: all of them when the batch was to be taken as a whole.
   */
  async #appendForgotten(
    before: AppendResult,
    request: { columns: WriteColumns; isWhole: boolean },
  ): Promise<AppendResult> {
    const { columns, isWhole } = request;
    this.#dropFuture(columns);
    if (isWhole) return this.#options.appendable.append(columns.batch({ isWhole }));
    const wanted = (part: Refusal["part"]): Set<number> =>
      new Set(
        before.refused
          .filter((refusal) => refusal.part === part && refusal.reason === "unknown-ref")
          .map(({ index }) => index),
      );
    const samples = wanted("float");
    const histograms = wanted("histogram");
    const batch = columns.only(samples, histograms);
    const after = await this.#options.appendable.append(batch);
    return {
      ...after,
      appended: before.appended + after.appended,
      appendedHistograms: before.appendedHistograms + after.appendedHistograms,
      appendedExemplars: before.appendedExemplars + after.appendedExemplars,
      refused: before.refused.filter(({ reason }) => reason !== "unknown-ref"),
    };
  }

  #answerV1(columns: WriteColumns, decoder: WriteDecoder, result: AppendResult): WriteAnswer {
    for (const { message } of columns.problems)
      this.#options.logger.warn("Series of a remote write request are left out", {
        error: message,
      });
    const refused = result.refused.find(({ part }) => part !== "exemplar");
    // What only the request itself contradicts is dropped in silence, as Prometheus does.
    if (refused === undefined || result.appended + result.appendedHistograms > 0) return DONE;
    return refusal(400, textsOf(decoder, [placeOf(columns, refused)])[0]!);
  }
}

const DONE: WriteAnswer = { status: 204, text: "", written: undefined };

function refusal(status: number, text: string): WriteAnswer {
  return { status, text, written: undefined };
}

function answerV2(outcome: {
  columns: WriteColumns;
  decoder: WriteDecoder;
  result: AppendResult;
  early: readonly SamplePlace[];
}): WriteAnswer {
  const { columns, decoder, result, early } = outcome;
  const refused = result.refused.filter(({ part }) => part !== "exemplar");
  const count = columns.problemCount + early.length + refused.length;
  const problems = columns.problems.map(({ message }) => message);
  const places = [
    ...early.slice(0, PROBLEMS_MAX),
    ...refused.slice(0, PROBLEMS_MAX).map((one) => placeOf(columns, one)),
  ].slice(0, PROBLEMS_MAX - problems.length);
  const texts = [...problems, ...(places.length > 0 ? textsOf(decoder, places) : [])];
  if (count > texts.length) texts.push(`and ${count - texts.length} more`);
  return {
    status: count === 0 ? 204 : 400,
    text: texts.join("\n"),
    written: {
      samples: result.appended,
      histograms: result.appendedHistograms,
      exemplars: result.appendedExemplars,
    },
  };
}

/** A sample of the request that is not stored. */
interface SamplePlace {
  readonly series: number;
  readonly timeMs: number;
  readonly reason: RefusalReason;
  readonly message?: string;
}

function placeOf(columns: WriteColumns, refused: Refusal): SamplePlace {
  const { index, part } = refused;
  const isFloat = part === "float";
  return {
    ...refused,
    series: isFloat ? columns.seriesOf[index]! : columns.histogramSeriesOf[index]!,
    timeMs: isFloat ? columns.times[index]! : columns.histogramTimes[index]!,
  };
}

function textsOf(decoder: WriteDecoder, places: readonly SamplePlace[]): string[] {
  const labels = decoder.labelsOf(places.map(({ series }) => series));
  return places.map(
    ({ timeMs, reason, message }, i) =>
      `cannot store the sample of ${formatSeries(labels[i]!)} at ${timeMs}: ${message ?? REFUSALS[reason]}`,
  );
}

/** Throws `bad-data` for a media type that is none of remote write's. Without any, it is a client of 1.0. */
export function messageTypeOf(contentType = ""): WriteMessage {
  if (contentType.trim() === "") return WRITE_V1;
  const [media, ...parameters] = contentType.trim().split(";");
  const refuse = (why: string): AppError =>
    new AppError(
      "bad-data",
      `cannot read a write request of type ${JSON.stringify(contentType)}: ${why}`,
    );
  if (media !== "application/x-protobuf") throw refuse("it is not application/x-protobuf");
  for (const parameter of parameters) {
    const [name, value, ...rest] = parameter.trim().split("=");
    if (value === undefined || rest.length > 0)
      throw refuse(`${parameter} is not a name and a value`);
    if (name !== "proto") continue;
    if (value === WRITE_V1 || value === WRITE_V2) return value;
    throw refuse(`the message ${value} is unknown`);
  }
  return WRITE_V1;
}
