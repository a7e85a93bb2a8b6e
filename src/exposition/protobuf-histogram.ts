import type { Exemplar } from "../model/exemplar.ts";
import { type FloatHistogram, newHistogram } from "../model/histogram.ts";
import { Labels } from "../model/labels.ts";
import { readPair, readSpan } from "../proto/small-messages.ts";
import type { ProtoReader } from "../proto/wire.ts";

/** A native histogram as a target exposes it. */
export interface NativeSample {
  readonly histogram: FloatHistogram;
  readonly isFloat: boolean;
}

interface ClassicBucket {
  readonly bound: number;
  /** Cumulative. */
  readonly count: number;
  readonly exemplar: Partial<Exemplar> | undefined;
}

/** `io.prometheus.client.Histogram`: a classic histogram, a native one, or both. */
export class ProtobufHistogram {
  count = 0;
  sum = 0;
  readonly buckets: ClassicBucket[] = [];
  /** Of the native side. */
  readonly exemplars: Partial<Exemplar>[] = [];
  createdMs: number | undefined;
  isNative = false;
  readonly #isGauge: boolean;
  #isFloat = false;
  #schema = 0;
  #zeroThreshold = 0;
  #zeroCount = 0;
  readonly #positive = new Side();
  readonly #negative = new Side();

  constructor(reader: ProtoReader, isGauge: boolean) {
    this.#isGauge = isGauge;
    let floatCount = 0;
    let floatZeroCount = 0;
    while (reader.more) {
      const key = reader.key();
      switch (key) {
        case 0x08:
          this.count = reader.int64();
          break;
        case 0x11:
          this.sum = reader.double();
          break;
        case 0x1a:
          this.buckets.push(readBucket(reader.nested()));
          break;
        case 0x21:
          floatCount = reader.double();
          break;
        case 0x28:
          this.#schema = reader.sint64();
          break;
        case 0x31:
          this.#zeroThreshold = reader.double();
          break;
        case 0x38:
          this.#zeroCount = reader.int64();
          break;
        case 0x41:
          floatZeroCount = reader.double();
          break;
        case 0x4a:
          this.#negative.addSpan(reader.nested());
          break;
        case 0x50:
        case 0x52:
          this.#negative.addDeltas(reader, key);
          break;
        case 0x59:
        case 0x5a:
          this.#negative.addCounts(reader, key);
          break;
        case 0x62:
          this.#positive.addSpan(reader.nested());
          break;
        case 0x68:
        case 0x6a:
          this.#positive.addDeltas(reader, key);
          break;
        case 0x71:
        case 0x72:
          this.#positive.addCounts(reader, key);
          break;
        case 0x7a:
          this.createdMs = readTime(reader.nested());
          break;
        case 0x82:
          this.exemplars.push(readExemplar(reader.nested()));
          break;
        default:
          reader.skip(key);
      }
    }
    this.#isFloat = floatCount > 0 || floatZeroCount > 0;
    // A span says that there is a native side, even when it is empty.
    this.isNative =
      this.#zeroThreshold > 0 ||
      this.#zeroCount > 0 ||
      floatZeroCount > 0 ||
      this.#positive.isUsed ||
      this.#negative.isUsed;
    if (!this.#isFloat) return;
    this.count = floatCount;
    this.#zeroCount = floatZeroCount;
  }

  native(): NativeSample {
    const positive = this.#positive.finish(this.#isFloat);
    const negative = this.#negative.finish(this.#isFloat);
    return {
      isFloat: this.#isFloat,
      histogram: newHistogram({
        counterResetHint: this.#isGauge ? "gauge" : "unknown",
        schema: this.#schema,
        zeroThreshold: this.#zeroThreshold,
        zeroCount: this.#zeroCount,
        count: this.count,
        sum: this.sum,
        positiveSpans: positive.spans,
        positiveBuckets: positive.buckets,
        negativeSpans: negative.spans,
        negativeBuckets: negative.buckets,
      }),
    };
  }
}

/** Spans, and either differences of neighbours or counts. */
class Side {
  readonly #spans: number[] = [];
  readonly #deltas: number[] = [];
  readonly #counts: number[] = [];

  get isUsed(): boolean {
    return this.#spans.length > 0 || this.#deltas.length > 0 || this.#counts.length > 0;
  }

  addSpan(reader: ProtoReader): void {
    readSpan(reader, this.#spans);
  }

  addDeltas(reader: ProtoReader, key: number): void {
    const packed = (key & 7) === 2 ? reader.nested() : undefined;
    if (packed === undefined) this.#deltas.push(reader.sint64());
    else while (packed.more) this.#deltas.push(packed.sint64());
  }

  addCounts(reader: ProtoReader, key: number): void {
    const packed = (key & 7) === 2 ? reader.nested() : undefined;
    if (packed === undefined) this.#counts.push(reader.double());
    else while (packed.more) this.#counts.push(packed.double());
  }

  finish(isFloat: boolean): { spans: Int32Array; buckets: Float64Array } {
    const spans = Int32Array.from(this.#spans);
    if (isFloat) return { spans, buckets: Float64Array.from(this.#counts) };
    let count = 0;
    return { spans, buckets: Float64Array.from(this.#deltas, (delta) => (count += delta)) };
  }
}

function readBucket(reader: ProtoReader): ClassicBucket {
  let count = 0;
  let floatCount = 0;
  let bound = 0;
  let exemplar: Partial<Exemplar> | undefined;
  while (reader.more) {
    const key = reader.key();
    if (key === 0x08) count = reader.int64();
    else if (key === 0x11) bound = reader.double();
    else if (key === 0x1a) exemplar = readExemplar(reader.nested());
    else if (key === 0x21) floatCount = reader.double();
    else reader.skip(key);
  }
  return { bound, count: floatCount > 0 ? floatCount : count, exemplar };
}

/** Without a time of its own it has that of its sample. */
export function readExemplar(reader: ProtoReader): Partial<Exemplar> {
  const pairs: [string, string][] = [];
  let value = 0;
  let timeMs: number | undefined;
  while (reader.more) {
    const key = reader.key();
    if (key === 0x0a) pairs.push(readPair(reader.nested()));
    else if (key === 0x11) value = reader.double();
    else if (key === 0x1a) timeMs = readTime(reader.nested());
    else reader.skip(key);
  }
  const exemplar = { labels: Labels.fromPairs(pairs), value };
  return timeMs === undefined ? exemplar : { ...exemplar, timeMs };
}

/** A `google.protobuf.Timestamp` in ms. */
export function readTime(reader: ProtoReader): number {
  let seconds = 0;
  let nanos = 0;
  while (reader.more) {
    const key = reader.key();
    if (key === 0x08) seconds = reader.int64();
    else if (key === 0x10) nanos = reader.int64();
    else reader.skip(key);
  }
  return seconds * 1000 + Math.trunc(nanos / 1e6);
}
