import { HistogramAppender, type HistogramKind } from "../chunk/histogram-appender.ts";
import { type FloatHistogram, isStaleHistogram } from "../model/histogram.ts";
import { compactHistogram } from "../model/histogram-arithmetic.ts";
import { histogramsEqual } from "../model/histogram-equal.ts";
import { type Chunk, ENCODING_FLOAT_HISTOGRAM, ENCODING_HISTOGRAM } from "../storage/queryable.ts";
import { decodeHistogramChunk } from "../storage/chunk-encodings.ts";

/** The size that chunks of histograms aim at, and how many samples they have at least unless their time range ends. */
const TARGET_BYTES = 1024;
const MIN_SAMPLES = 10;

export interface HistogramSample {
  readonly kind: HistogramKind;
  readonly timeMs: number;
  readonly histogram: FloatHistogram;
}

interface OpenHistogram {
  appender: HistogramAppender;
  /** The chunk should end before this: first the end of the time range, then what its growth so far tells. */
  endMs: number;
  isEndPlanned: boolean;
}

/**
 * The chunks of native histograms that series are writing, by ref. Series of histograms are few and their samples large,
 * so they are objects beside the struct of arrays that floats have. Chunks end where Prometheus ends them.
 */
export class OpenHistograms {
  readonly #open = new Map<number, OpenHistogram>();
  readonly #rangeEnd: (timeMs: number) => number;

  /** `rangeEnd`: where the time range of a sample ends, which no chunk crosses. */
  constructor(rangeEnd: (timeMs: number) => number) {
    this.#rangeEnd = rangeEnd;
  }

  /** How many series have one. */
  get count(): number {
    return this.#open.size;
  }

  get(ref: number): HistogramAppender {
    return this.#open.get(ref)!.appender;
  }

  delete(ref: number): void {
    this.#open.delete(ref);
  }

  /** The open chunk as readers get it: a copy. */
  toChunk(ref: number): Chunk {
    const { appender } = this.#open.get(ref)!;
    return {
      encoding: encodingOf(appender.kind),
      minTimeMs: appender.minTimeMs,
      maxTimeMs: appender.maxTimeMs,
      data: appender.toBytes(),
    };
  }

  /** Whether the newest sample of the open chunk is this one, which has its time. */
  isNewest(ref: number, { kind, histogram }: HistogramSample): boolean {
    const chunk = this.toChunk(ref);
    if (chunk.encoding !== encodingOf(kind)) return false;
    const newest = decodeHistogramChunk(chunk).histograms.at(-1)!;
    if (isStaleHistogram(newest) || isStaleHistogram(histogram))
      return isStaleHistogram(newest) && isStaleHistogram(histogram);
    // The chunk may have buckets that only its other samples needed.
    return histogramsEqual(compactHistogram(newest), compactHistogram(histogram));
  }

  /**
   * Appends a sample later than all of the series to its open chunk, or to a new one. Answers the chunk that it
   * finished by that, if any.
   */
  append(ref: number, sample: HistogramSample): HistogramAppender | undefined {
    const open = this.#open.get(ref);
    if (open === undefined) {
      this.#open.set(ref, {
        appender: HistogramAppender.after(undefined, sample),
        endMs: this.#rangeEnd(sample.timeMs),
        isEndPlanned: false,
      });
      return undefined;
    }
    const { appender } = open;
    const mustCut = appender.kind !== sample.kind || this.#isFull(open, sample.timeMs);
    const next = mustCut
      ? HistogramAppender.after(appender, sample)
      : appender.append(sample.timeMs, sample.histogram);
    if (next === appender) return undefined;
    open.appender = next;
    open.endMs = this.#rangeEnd(sample.timeMs);
    // Prometheus plans anew only for chunks that follow a full one.
    if (mustCut) open.isEndPlanned = false;
    return appender;
  }

  #isFull(open: OpenHistogram, timeMs: number): boolean {
    const { size, sampleCount, minTimeMs, maxTimeMs } = open.appender;
    const rangeEndMs = open.isEndPlanned ? this.#rangeEnd(minTimeMs) : open.endMs;
    if (!open.isEndPlanned && size >= TARGET_BYTES / 4) {
      open.endMs = plannedEnd(minTimeMs, maxTimeMs, {
        rangeEndMs: open.endMs,
        growth: TARGET_BYTES / size,
      });
      open.isEndPlanned = true;
    }
    return (
      (timeMs >= open.endMs || size >= TARGET_BYTES * 2) &&
      (sampleCount >= MIN_SAMPLES || timeMs >= rangeEndMs)
    );
  }
}

/**
 * Where a chunk from `startMs`, which at `currentMs` has a `growth`-th part of its size, should end so that chunks of one
 * size reach the end of the range.
 */
export function plannedEnd(
  startMs: number,
  currentMs: number,
  { rangeEndMs, growth }: { rangeEndMs: number; growth: number },
): number {
  const chunks = (rangeEndMs - startMs) / ((currentMs - startMs + 1) * growth);
  if (chunks <= 1) return rangeEndMs;
  return Math.trunc(startMs + (rangeEndMs - startMs) / Math.floor(chunks));
}

export function encodingOf(
  kind: HistogramKind,
): typeof ENCODING_HISTOGRAM | typeof ENCODING_FLOAT_HISTOGRAM {
  return kind === "integer" ? ENCODING_HISTOGRAM : ENCODING_FLOAT_HISTOGRAM;
}
