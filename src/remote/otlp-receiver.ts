import { gunzipSync } from "node:zlib";
import { writeStale } from "../base/float.ts";
import { AppError, messageOf, systemCode } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { OtlpConfig } from "../config/types.ts";
import { newHistogram } from "../model/histogram.ts";
import { formatSeries } from "../model/labels.ts";
import type { Appendable, AppendBatch, AppendExemplar, Refusal } from "../storage/appender.ts";
import { decodeOtlpJson } from "./otlp-json.ts";
import type { ResourceMetrics } from "./otlp-model.ts";
import { decodeOtlp } from "./otlp-protobuf.ts";
import { REFUSALS } from "./refusal-words.ts";
import { type OtlpSample, translateOtlp } from "./otlp-translate.ts";

export interface OtlpReceiverOptions {
  readonly appendable: Appendable;
  /** The running configuration's `otlp`. */
  readonly config: () => OtlpConfig;
  readonly logger: Logger;
}

/** An OTLP request unpacked. */
export const OTLP_MAX_BYTES = 32 * 1024 * 1024;

/** Takes metrics of OpenTelemetry (OTLP over HTTP), as Prometheus does: translated, and stored as a whole or not at all. */
export class OtlpReceiver {
  readonly #options: OtlpReceiverOptions;

  constructor(options: OtlpReceiverOptions) {
    this.#options = options;
  }

  /** Stores what a request holds; gives "" or why nothing was stored. Rejects with what the storage rejects with. */
  async receive(request: {
    readonly contentType: string | undefined;
    readonly contentEncoding: string | undefined;
    readonly body: Uint8Array;
  }): Promise<string> {
    const { appendable, logger, config } = this.#options;
    let samples: readonly OtlpSample[];
    try {
      const translation = translateOtlp(decode(request), config());
      samples = translation.samples;
      if (translation.problems.length > 0)
        logger.warn("metrics of an OTLP request are left out", {
          count: translation.problems.length,
          first: translation.problems[0],
        });
    } catch (error) {
      if (
        error instanceof AppError &&
        ["bad-data", "corrupt", "resource-exhausted"].includes(error.code)
      )
        return error.message;
      throw error;
    }
    const { batch, floats, histograms } = this.#batch(samples);
    const result = await appendable.append(batch);
    const refused = result.refused.find(({ part }) => part !== "exemplar");
    if (refused === undefined || result.appended + result.appendedHistograms > 0) return "";
    return refusalText(
      refused,
      { float: floats, histogram: histograms, exemplar: [] }[refused.part],
    );
  }

  #batch(samples: readonly OtlpSample[]): {
    batch: AppendBatch;
    floats: readonly OtlpSample[];
    histograms: readonly OtlpSample[];
  } {
    const { appendable } = this.#options;
    const floats = samples.filter(({ value }) => typeof value !== "object");
    const histograms = samples.filter(({ value }) => typeof value === "object");
    const exemplars: AppendExemplar[] = [];
    const refOf = ({ labels, exemplars: own }: OtlpSample): number => {
      const ref = appendable.resolve(labels);
      for (const exemplar of own) exemplars.push({ ref, exemplar });
      return ref;
    };
    const values = new Float64Array(floats.length);
    for (const [i, { value }] of floats.entries())
      if (typeof value === "number") values[i] = value;
      else writeStale(values, i);
    const batch: AppendBatch = {
      refs: Int32Array.from(floats, refOf),
      times: Float64Array.from(floats, ({ timeMs }) => timeMs),
      values,
      count: floats.length,
      histograms: {
        refs: Int32Array.from(histograms, refOf),
        times: Float64Array.from(histograms, ({ timeMs }) => timeMs),
        histograms: histograms.map(({ value }) =>
          typeof value === "object" ? value : newHistogram({}),
        ),
        isFloat: new Uint8Array(histograms.length),
        count: histograms.length,
      },
      exemplars,
      isWhole: true,
      listRefused: true,
    };
    return { batch, floats, histograms };
  }
}

function decode(request: {
  readonly contentType: string | undefined;
  readonly contentEncoding: string | undefined;
  readonly body: Uint8Array;
}): ResourceMetrics[] {
  const encoding = request.contentEncoding ?? "";
  if (!["", "identity", "gzip"].includes(encoding))
    throw new AppError(
      "bad-data",
      `the content encoding ${JSON.stringify(encoding)} is not accepted by this server, only gzip`,
    );
  const body = encoding === "gzip" ? inflate(request.body) : request.body;
  const media = request.contentType?.split(";", 1)[0]!.trim();
  if (media === "application/x-protobuf") return decodeOtlp(body);
  if (media === "application/json")
    return decodeOtlpJson(Buffer.from(body.buffer, body.byteOffset, body.length).toString("utf8"));
  throw new AppError(
    "bad-data",
    `cannot read an OTLP request of type ${JSON.stringify(request.contentType ?? "")}: send application/x-protobuf or application/json`,
  );
}

function inflate(body: Uint8Array): Uint8Array {
  try {
    return gunzipSync(body, { maxOutputLength: OTLP_MAX_BYTES });
  } catch (error) {
    const why =
      systemCode(error) === "ERR_BUFFER_TOO_LARGE"
        ? `it is larger than ${OTLP_MAX_BYTES} bytes when unpacked`
        : messageOf(error);
    throw new AppError("bad-data", `cannot unpack the OTLP request: ${why}`, { cause: error });
  }
}

function refusalText(refused: Refusal, samples: readonly OtlpSample[]): string {
  const { labels, timeMs } = samples[refused.index]!;
  return `cannot store the sample of ${formatSeries(labels)} at ${timeMs}: ${refused.message ?? REFUSALS[refused.reason]}`;
}
