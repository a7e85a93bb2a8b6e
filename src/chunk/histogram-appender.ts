import { assert } from "../base/errors.ts";
import {
  CUSTOM_BUCKETS_SCHEMA,
  customBoundsMatch,
  type FloatHistogram,
  isStaleHistogram,
  NO_BUCKETS,
  spanBucketCount,
} from "../model/histogram.ts";
import { bucketIndexes, sameSpans, spansOfIndexes } from "../model/histogram-side.ts";
import { newBuckets } from "../model/histogram-slab.ts";
import { decodeStored as decodeStoredFloat, FloatHistogramWriter } from "./float-histogram.ts";
import { decodeStored, HistogramWriter } from "./histogram.ts";
import {
  chunkResetHeader,
  type ChunkResetHeader,
  headerBytes,
  HISTOGRAM_HEADER_BYTES,
  HISTOGRAM_MAX_SAMPLES,
  type HistogramLayout,
  layoutOf,
} from "./histogram-layout.ts";
import type { HistogramSamples, SampleWriter } from "./histogram-samples.ts";

/** Whether counts are whole numbers (encoding 2) or any (encoding 3). A series may change from one to the other. */
export type HistogramKind = "integer" | "float";

/** Decodes a chunk of either kind at the resolution that is stored. */
function decodeKind(kind: HistogramKind, data: Uint8Array): HistogramSamples {
  return kind === "integer" ? decodeStored(data) : decodeStoredFloat(data);
}

function newWriter(kind: HistogramKind): SampleWriter {
  return kind === "integer" ? new HistogramWriter() : new FloatHistogramWriter();
}

/** Whether a sample can join a chunk, and with which buckets. */
type Verdict =
  | { readonly kind: "fits"; readonly positive: SideFit; readonly negative: SideFit }
  /** The sample starts a new chunk with this header. */
  | { readonly kind: "cut"; readonly header: ChunkResetHeader };

/** How the buckets of a chunk and of a sample come together on one side. */
interface SideFit {
  /** Every bucket either of them has; undefined where both spell the same. */
  readonly indexes: Int32Array | undefined;
  /** The sample has buckets the chunk does not have. */
  readonly chunkGrows: boolean;
  /** The chunk has (empty) buckets the sample does not have. */
  readonly sampleGrows: boolean;
}

/**
 * The chunk a series is writing. Appending decides as Prometheus does whether the sample joins it as it is, joins it
 * after the chunk was rewritten with more buckets, or starts a new chunk because the layout changed or the counter was
 * reset. When a chunk is full is for the caller to say, who then starts the next with `HistogramAppender.after`.
 */
export class HistogramAppender {
  readonly kind: HistogramKind;
  #writer: SampleWriter;
  #sampleCount = 0;
  #header: ChunkResetHeader = "unknown";
  #layout: HistogramLayout | undefined;
  /** The counts of the last sample that was not stale, in lists of this appender's own. */
  #count = 0;
  #zeroCount = 0;
  #positive = NO_BUCKETS;
  #negative = NO_BUCKETS;
  #lastIsStale = false;
  #minTimeMs = 0;
  #maxTimeMs = 0;

  constructor(kind: HistogramKind) {
    this.kind = kind;
    this.#writer = newWriter(kind);
  }

  /** Goes on with a chunk that was encoded before. Throws `corrupt` as decoding does. */
  static open(kind: HistogramKind, data: Uint8Array): HistogramAppender {
    const appender = new HistogramAppender(kind);
    const samples = decodeKind(kind, data);
    appender.#header = chunkResetHeader(data);
    samples.histograms.forEach((h, k) => appender.#write(samples.times[k]!, h));
    return appender;
  }

  /**
   * Starts a chunk with sample `h`, which follows those of `previous` (if any): the header says what happened to the
   * counter in between. Use this when the chunk before was closed for its size or time.
   */
  static after(
    previous: HistogramAppender | undefined,
    sample: { kind: HistogramKind; timeMs: number; histogram: FloatHistogram },
  ): HistogramAppender {
    const { kind, timeMs, histogram } = sample;
    const appender = new HistogramAppender(kind);
    if (histogram.counterResetHint === "gauge") appender.#header = "gauge";
    else if (histogram.counterResetHint === "reset") appender.#header = "reset";
    else if (previous !== undefined && previous.kind === kind && previous.#sampleCount > 0)
      appender.#header = previous.#headerAfter(histogram);
    appender.#write(timeMs, histogram);
    return appender;
  }

  get sampleCount(): number {
    return this.#sampleCount;
  }

  /** Bytes the chunk takes so far. */
  get size(): number {
    return HISTOGRAM_HEADER_BYTES + this.#writer.size;
  }

  get resetHeader(): ChunkResetHeader {
    return this.#header;
  }

  get minTimeMs(): number {
    return this.#minTimeMs;
  }

  get maxTimeMs(): number {
    return this.#maxTimeMs;
  }

  /** The encoded chunk; the caller's own copy. */
  toBytes(): Uint8Array {
    return this.#writer.toBytes(headerBytes(this.#sampleCount, this.#header));
  }

  /**
   * Appends a valid sample later than all before it. Answers this appender, or the one of the chunk that the sample
   * had to start; then this chunk is finished.
   */
  append(timeMs: number, h: FloatHistogram): HistogramAppender {
    assert(this.#sampleCount < HISTOGRAM_MAX_SAMPLES, "the histogram chunk is full");
    if (this.#sampleCount === 0) {
      if (h.counterResetHint === "gauge" || h.counterResetHint === "reset")
        this.#header = h.counterResetHint;
      this.#write(timeMs, h);
      return this;
    }
    const verdict = h.counterResetHint === "gauge" ? this.#judgeGauge(h) : this.#judgeCounter(h);
    if (verdict.kind === "cut") {
      const next = new HistogramAppender(this.kind);
      next.#header = this.#cutHeader(verdict.header);
      next.#write(timeMs, h);
      return next;
    }
    this.#join(timeMs, h, verdict);
    return this;
  }

  /** Prometheus writes "not_reset" for a cut chunk of integers only. */
  #cutHeader(header: ChunkResetHeader): ChunkResetHeader {
    return this.kind === "float" && header === "not_reset" ? "unknown" : header;
  }

  #headerAfter(h: FloatHistogram): ChunkResetHeader {
    const verdict = this.#judgeCounter(h);
    const header = verdict.kind === "cut" ? verdict.header : "not_reset";
    // Of floats Prometheus only notes whether there was a reset; a change of schema is none.
    return this.kind === "float" && header === "unknown" ? "not_reset" : header;
  }

  #judgeCounter(h: FloatHistogram): Verdict {
    const layout = this.#layout!;
    if (this.#header === "gauge") return { kind: "cut", header: "not_reset" };
    if (h.counterResetHint === "reset") return { kind: "cut", header: "reset" };
    if (isStaleHistogram(h)) return FITS_AS_IT_IS;
    if (this.#lastIsStale) return { kind: "cut", header: "unknown" };
    if (h.count < this.#count) return { kind: "cut", header: "reset" };
    if (h.schema !== layout.schema || h.zeroThreshold !== layout.zeroThreshold)
      return { kind: "cut", header: "unknown" };
    if (!sameBounds(h, layout)) return { kind: "cut", header: "reset" };
    if (h.zeroCount < this.#zeroCount) return { kind: "cut", header: "reset" };
    const positive = fitCounterSide(
      { spans: layout.positiveSpans, buckets: this.#positive },
      { spans: h.positiveSpans, buckets: h.positiveBuckets },
    );
    if (positive === undefined) return { kind: "cut", header: "reset" };
    const negative = fitCounterSide(
      { spans: layout.negativeSpans, buckets: this.#negative },
      { spans: h.negativeSpans, buckets: h.negativeBuckets },
    );
    if (negative === undefined) return { kind: "cut", header: "reset" };
    return { kind: "fits", positive, negative };
  }

  #judgeGauge(h: FloatHistogram): Verdict {
    const layout = this.#layout!;
    if (this.#header !== "gauge") return { kind: "cut", header: "gauge" };
    if (isStaleHistogram(h)) return FITS_AS_IT_IS;
    if (
      this.#lastIsStale ||
      h.schema !== layout.schema ||
      h.zeroThreshold !== layout.zeroThreshold ||
      !sameBounds(h, layout)
    )
      return { kind: "cut", header: "gauge" };
    return {
      kind: "fits",
      positive: fitSide(
        { spans: layout.positiveSpans, buckets: this.#positive },
        { spans: h.positiveSpans, buckets: h.positiveBuckets },
      ),
      negative: fitSide(
        { spans: layout.negativeSpans, buckets: this.#negative },
        { spans: h.negativeSpans, buckets: h.negativeBuckets },
      ),
    };
  }

  #join(timeMs: number, h: FloatHistogram, fit: Verdict & { kind: "fits" }): void {
    const { positive, negative } = fit;
    const chunkGrows = positive.chunkGrows || negative.chunkGrows;
    const sampleGrows = positive.sampleGrows || negative.sampleGrows;
    if (!chunkGrows && !sampleGrows) {
      this.#write(timeMs, h);
      return;
    }
    const isGauge = h.counterResetHint === "gauge";
    // The same buckets can be spelled by different spans; these are the ones Prometheus stores.
    const spansOf = (side: SideFit, own: Int32Array): Int32Array => {
      if (!(isGauge ? sampleGrows : side.sampleGrows)) return own;
      const indexes = side.indexes ?? bucketIndexes(own, spanBucketCount(own));
      return spansOfIndexes(indexes, indexes.length);
    };
    if (chunkGrows)
      this.#recode(spansOf(positive, h.positiveSpans), spansOf(negative, h.negativeSpans), fit);
    const layout = this.#layout!;
    this.#write(timeMs, {
      ...h,
      positiveSpans: layout.positiveSpans,
      negativeSpans: layout.negativeSpans,
      positiveBuckets: spread(h.positiveSpans, h.positiveBuckets, positive.indexes),
      negativeBuckets: spread(h.negativeSpans, h.negativeBuckets, negative.indexes),
    });
  }

  /** Writes all samples again with the buckets of `fit`. */
  #recode(
    positiveSpans: Int32Array,
    negativeSpans: Int32Array,
    fit: Verdict & { kind: "fits" },
  ): void {
    const samples = decodeKind(this.kind, this.toBytes());
    this.#writer = newWriter(this.kind);
    this.#sampleCount = 0;
    samples.histograms.forEach((h, k) =>
      this.#write(samples.times[k]!, {
        ...h,
        positiveSpans,
        negativeSpans,
        positiveBuckets: spread(h.positiveSpans, h.positiveBuckets, fit.positive.indexes),
        negativeBuckets: spread(h.negativeSpans, h.negativeBuckets, fit.negative.indexes),
      }),
    );
  }

  #write(timeMs: number, h: FloatHistogram): void {
    const isStale = isStaleHistogram(h);
    if (this.#sampleCount === 0) {
      this.#minTimeMs = timeMs;
      this.#layout = layoutOf(h, isStale);
    }
    this.#writer.append(timeMs, h, isStale);
    this.#sampleCount++;
    this.#maxTimeMs = timeMs;
    this.#lastIsStale = isStale;
    if (isStale) return;
    this.#count = h.count;
    this.#zeroCount = h.zeroCount;
    this.#positive = keep(this.#positive, h.positiveBuckets);
    this.#negative = keep(this.#negative, h.negativeBuckets);
  }
}

/** Copies `counts` over `own`, or into a new list where the length differs. */
function keep(own: Float64Array, counts: Float64Array): Float64Array {
  if (own.length !== counts.length) return counts.slice();
  own.set(counts);
  return own;
}

const SIDE_AS_IT_IS: SideFit = {
  indexes: undefined,
  chunkGrows: false,
  sampleGrows: false,
};
const FITS_AS_IT_IS: Verdict = {
  kind: "fits",
  positive: SIDE_AS_IT_IS,
  negative: SIDE_AS_IT_IS,
};

interface CountedSpans {
  readonly spans: Int32Array;
  readonly buckets: Float64Array;
}

function sameBounds(h: FloatHistogram, layout: HistogramLayout): boolean {
  return (
    h.schema !== CUSTOM_BUCKETS_SCHEMA || customBoundsMatch(h.customValues, layout.customValues)
  );
}

/** Fits a sample of a counter; undefined if a bucket shrank or a populated one is gone. */
function fitCounterSide(chunk: CountedSpans, sample: CountedSpans): SideFit | undefined {
  const fit = fitSide(chunk, sample);
  const before = spread(chunk.spans, chunk.buckets, fit.indexes);
  const after = spread(sample.spans, sample.buckets, fit.indexes);
  for (let i = 0; i < before.length; i++) if (before[i]! > after[i]!) return undefined;
  return fit;
}

function fitSide(chunk: CountedSpans, sample: CountedSpans): SideFit {
  // Fast path: nearly all samples have the buckets of the one before.
  if (chunk.buckets.length === sample.buckets.length && sameSpans(chunk.spans, sample.spans))
    return SIDE_AS_IT_IS;
  const own = bucketIndexes(chunk.spans, chunk.buckets.length);
  const other = bucketIndexes(sample.spans, sample.buckets.length);
  const union = new Int32Array(own.length + other.length);
  let count = 0;
  for (let i = 0, j = 0; i < own.length || j < other.length; count++) {
    const fromOwn = j >= other.length || (i < own.length && own[i]! <= other[j]!);
    const fromOther = i >= own.length || (j < other.length && other[j]! <= own[i]!);
    union[count] = fromOwn ? own[i]! : other[j]!;
    if (fromOwn) i++;
    if (fromOther) j++;
  }
  return {
    indexes: union.slice(0, count),
    chunkGrows: count > own.length,
    sampleGrows: count > other.length,
  };
}

/** The counts of `buckets` at `indexes`, a superset of theirs, with zeros in between. */
function spread(
  spans: Int32Array,
  buckets: Float64Array,
  indexes: Int32Array | undefined,
): Float64Array {
  if (indexes === undefined || buckets.length === indexes.length) return buckets;
  const own = bucketIndexes(spans, buckets.length);
  const result = newBuckets(indexes.length);
  for (let i = 0, k = 0; k < own.length && i < indexes.length; i++)
    if (indexes[i] === own[k]) result[i] = buckets[k++]!;
  return result;
}
