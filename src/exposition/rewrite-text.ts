import { AppError } from "../base/errors.ts";
import { parseFloatText } from "../base/float.ts";
import { compareText } from "../base/text.ts";
import type { Exemplar } from "../model/exemplar.ts";
import { validateHistogram, validateIntegerHistogram } from "../model/histogram-validate.ts";
import { type Labels, METRIC_NAME } from "../model/labels.ts";
import { ClassicHistogram, classicHistogramName } from "../model/nhcb.ts";
import { KIND_HISTOGRAM, METADATA_TYPE, ParsedColumns } from "./columns.ts";
import { CreatedTimes } from "./created-times.ts";
import type { TextFormat } from "./entry-parser.ts";
import { ExpositionParser } from "./parse.ts";
import type { BesideText } from "./protobuf.ts";
import type { NativeSample } from "./protobuf-histogram.ts";
import { sampleLine } from "./sample-line.ts";
import { decodeSeries } from "./series.ts";

export interface RewriteOptions {
  /** Classic histograms become native ones with custom buckets (`convert_classic_histograms_to_nhcb`). */
  readonly convertClassic: boolean;
  /** Their series are kept too. */
  readonly keepClassic: boolean;
  /** Of OpenMetrics, `_created` series become what they say of others (`created-timestamp-zero-ingestion`). */
  readonly takeCreated: boolean;
}

interface Rewritten {
  readonly bytes: Uint8Array;
  readonly length: number;
  readonly beside: BesideText;
}

/**
 * What is to be done to a text body before its samples are read: it is copied, without the series that make up classic
 * histograms; where one ends stands a line for the native histogram with custom buckets that they are, which is given
 * beside the text, as that of a protobuf body is:
 *
 *     # TYPE h histogram          # TYPE h histogram
 *     h_bucket{le="1"} 2
 *     h_bucket{le="+Inf"} 3   →
 *     h_sum 4
 *     h_count 3                   h 0
 *
 * As in Prometheus, a histogram is what stands together: it ends at other labels, another name and any comment. One
 * that cannot be converted is left out, and so are the `_created` series of OpenMetrics behind the first one.
 *
 * Undefined when there is nothing to do, or the body is broken: whoever reads it then has the error.
 */
export function rewriteText(
  body: { readonly bytes: Uint8Array; readonly length: number },
  format: TextFormat,
  options: RewriteOptions,
): Rewritten | undefined {
  const { bytes, length } = body;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, length);
  const takeCreated = options.takeCreated && format === "openmetrics" && text.includes("_created");
  const convertClassic = options.convertClassic && text.includes("histogram");
  if (!convertClassic && !takeCreated) return undefined;
  let rewritten: Rewritten | undefined;
  const all = { ...options, convertClassic, takeCreated };
  isAccepted(() => (rewritten = new TextRewriter(body, format, all).run()));
  return rewritten;
}

/** The histogram whose series are being read. */
interface Collected {
  readonly labels: Labels;
  readonly key: string;
  readonly classic: ClassicHistogram;
  readonly exemplars: Exemplar[];
  isBroken: boolean;
  /** Of its last series, as written. */
  time: string;
  /** Of its first series. */
  readonly createdMs: number | undefined;
}

class TextRewriter {
  readonly #format: TextFormat;
  readonly #bytes: Uint8Array;
  readonly #length: number;
  readonly #options: RewriteOptions;
  readonly #columns = new ParsedColumns();
  readonly #text: Buffer;
  readonly #parts: Uint8Array[] = [];
  readonly #histograms = new Map<number, NativeSample>();
  readonly #exemplars: { sample: number; exemplar: Exemplar }[] = [];
  readonly #createdTimes: CreatedTimes;
  readonly #created = new Map<number, number>();
  /** Lines written. */
  #count = 0;
  /** Whether `_created` series are left out from here on. */
  #dropsCreated: boolean;
  /** The first series behind those that stand together with the one being read. */
  #runEnd = 0;
  #open: Collected | undefined;

  constructor(
    body: { readonly bytes: Uint8Array; readonly length: number },
    format: TextFormat,
    options: RewriteOptions,
  ) {
    this.#format = format;
    this.#bytes = body.bytes;
    this.#length = body.length;
    this.#options = options;
    this.#dropsCreated = options.takeCreated;
    const parser = new ExpositionParser(format);
    parser.reset(body.bytes, body.length);
    parser.parse(this.#columns);
    this.#text = parser.text;
    this.#createdTimes = new CreatedTimes(this.#columns, this.#text);
  }

  run(): Rewritten {
    const columns = this.#columns;
    let metadata = 0;
    let exemplar = 0;
    let family = "";
    let from = 0;
    for (let i = 0; i < columns.count; i++) {
      const start = columns.seriesStart[i]!;
      for (; metadata < columns.metadataCount; metadata++) {
        const nameStart = columns.metadataNameStart[metadata]!;
        if (nameStart > start) break;
        if (columns.metadataWhat[metadata] === METADATA_TYPE)
          family = this.#text.toString("utf8", nameStart, columns.metadataNameEnd[metadata]);
      }
      const hasExemplar =
        exemplar < columns.exemplarCount && columns.exemplarSample[exemplar] === i;
      if (this.#hasComment(from, start)) this.#close();
      this.#copy(from, start);
      this.#sample(i, family, hasExemplar ? exemplar : undefined);
      if (hasExemplar) exemplar++;
      from = columns.lineEnd[i]!;
    }
    this.#close();
    this.#copy(from, this.#length);
    const text = Buffer.concat([...this.#parts, Buffer.alloc(1)]);
    return {
      bytes: text,
      length: text.length - 1,
      beside: {
        histograms: this.#histograms,
        exemplars: this.#exemplars,
        created: this.#created,
        nans: new Map(),
        families: new Map(),
      },
    };
  }

  #sample(i: number, family: string, exemplar: number | undefined): void {
    const { seriesStart, seriesEnd, lineEnd, kinds } = this.#columns;
    const start = seriesStart[i]!;
    const end = seriesEnd[i]!;
    const kind = kinds[i]!;
    if (this.#dropsCreated && this.#createdTimes.isCreated(i)) return;
    const createdMs = this.#createdOf(i, family);
    const { convertClassic, keepClassic } = this.#options;
    const labels =
      convertClassic && kind === KIND_HISTOGRAM
        ? decodeSeries(this.#text, { start, end, kind })
        : undefined;
    if (labels === undefined) this.#close();
    const isCollected =
      labels !== undefined && this.#collect(i, { labels, family, exemplar, createdMs });
    if (isCollected && !keepClassic) return;
    if (createdMs !== undefined) this.#created.set(this.#count, createdMs);
    // An exemplar belongs to the native histogram.
    if (!isCollected || exemplar === undefined) this.#copy(start, lineEnd[i]!);
    else {
      this.#copy(start, this.#columns.exemplarLabelsStart[exemplar]! - EXEMPLAR_MARK.length);
      this.#parts.push(NEWLINE);
    }
    this.#count++;
  }

  /** Takes series `i` into the histogram it belongs to, closing the one before; false when it is of none. */
  #collect(
    i: number,
    {
      labels,
      family,
      exemplar,
      createdMs,
    }: {
      labels: Labels;
      family: string;
      exemplar: number | undefined;
      createdMs: number | undefined;
    },
  ): boolean {
    const { part, base } = classicHistogramName(labels.get(METRIC_NAME));
    const own = labels.without(["le"]).with(METRIC_NAME, base);
    const key = own.key();
    if (this.#open !== undefined && this.#open.key !== key) this.#close();
    if (part === "none" || base !== family) return false;
    const bound = part === "bucket" ? parseFloatText(labels.get("le")) : 0;
    if (bound === undefined || bound !== bound) return false;
    this.#open ??= {
      labels: own,
      key,
      classic: new ClassicHistogram(),
      exemplars: [],
      isBroken: false,
      time: "",
      createdMs,
    };
    this.#dropsCreated ||= this.#format === "openmetrics";
    const open = this.#open;
    const value = this.#columns.values[i]!;
    open.time = this.#timeOf(i);
    if (exemplar !== undefined) this.#collectExemplar(open, exemplar);
    open.isBroken ||= !isAccepted(() => {
      if (part === "bucket") open.classic.setBucket(bound, value);
      else if (part === "count") open.classic.setCount(value);
      else open.classic.setSum(value);
    });
    return true;
  }

  /** Exemplars of native histograms need a time of their own. */
  #collectExemplar(open: Collected, index: number): void {
    const columns = this.#columns;
    if (columns.exemplarHasTimestamp[index] === 0) return;
    const start = columns.exemplarLabelsStart[index]!;
    const end = columns.exemplarLabelsEnd[index]!;
    open.exemplars.push({
      labels: decodeSeries(this.#text, { start, end, kind: 0 }),
      value: columns.exemplarValues[index]!,
      timeMs: columns.exemplarTimestamps[index]!,
    });
  }

  /** The timestamp of series `i` as written, "" for none. */
  #timeOf(i: number): string {
    const { seriesEnd, lineEnd, hasTimestamp } = this.#columns;
    if (hasTimestamp[i] === 0) return "";
    const after = this.#text.toString("latin1", seriesEnd[i], lineEnd[i]);
    return after.trim().split(/[ \t]+/, 2)[1]!;
  }

  /** Writes the histogram that has been collected, if it is one. */
  #close(): void {
    const open = this.#open;
    this.#open = undefined;
    if (open === undefined || open.isBroken) return;
    const { labels, classic, exemplars, time, createdMs } = open;
    const isConverted = isAccepted(() => {
      const { histogram, isInteger } = classic.convert();
      (isInteger ? validateIntegerHistogram : validateHistogram)(histogram);
      this.#histograms.set(this.#count, { histogram, isFloat: !isInteger });
    });
    if (!isConverted) return;
    exemplars.sort(
      (a, b) =>
        a.timeMs - b.timeMs || a.value - b.value || compareText(a.labels.key(), b.labels.key()),
    );
    for (const exemplar of exemplars) this.#exemplars.push({ sample: this.#count, exemplar });
    if (createdMs !== undefined) this.#created.set(this.#count, createdMs);
    const series = {
      name: labels.get(METRIC_NAME),
      labels: [...labels].filter(([name]) => name !== METRIC_NAME),
      time,
    };
    this.#parts.push(Buffer.from(sampleLine(series, 0)));
    this.#count++;
  }

  /** When series `i` of `family` was created, when that is to be known. */
  #createdOf(i: number, family: string): number | undefined {
    if (!this.#options.takeCreated) return undefined;
    const { count, lineEnd, seriesStart } = this.#columns;
    if (i >= this.#runEnd) {
      let end = i + 1;
      while (end < count && !this.#hasComment(lineEnd[end - 1]!, seriesStart[end]!)) end++;
      this.#runEnd = end;
    }
    return this.#createdTimes.of(i, { family, end: this.#runEnd });
  }

  #hasComment(start: number, end: number): boolean {
    for (let p = start; p < end; p++) if (this.#bytes[p] === 35) return true;
    return false;
  }

  #copy(start: number, end: number): void {
    if (end > start) this.#parts.push(this.#bytes.subarray(start, end));
  }
}

const EXEMPLAR_MARK = " # ";
const NEWLINE = Buffer.from("\n");

/** False when `action` says that no histogram can be like this. */
function isAccepted(action: () => void): boolean {
  try {
    action();
    return true;
  } catch (error) {
    if (error instanceof AppError && error.code === "bad-data") return false;
    throw error;
  }
}
