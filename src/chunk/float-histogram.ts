import { isStaleWords, writeStale } from "../base/float.ts";
import { type FloatHistogram, NO_BUCKETS } from "../model/histogram.ts";
import type { HistogramBlock } from "../model/histogram-block.ts";
import { BitReader } from "./bit-reader.ts";
import { BitWriter } from "./bit-writer.ts";
import {
  chunkResetHeader,
  HISTOGRAM_HEADER_BYTES,
  histogramSampleCount,
  layoutOf,
  readLayout,
  writeLayout,
} from "./histogram-layout.ts";
import {
  atKnownResolution,
  type HistogramSamples,
  openRows,
  samplesOfChunk,
  type SampleWriter,
  setHints,
} from "./histogram-samples.ts";
import type { StartTimes } from "./start-times.ts";

/**
 * Encoding 3: histograms whose counts are floats. Every field, each bucket by itself, is XORed with its value in the
 * sample before. Format: docs/format/chunks.md.
 */

const reader = new BitReader("float histogram chunk");

/** Fields of the state: count, zero count, sum, then the positive and the negative buckets. */
const COUNT = 0;
const ZERO_COUNT = 1;
const SUM = 2;
const BUCKETS = 3;

/** Decodes a whole chunk. Throws `corrupt` when the bytes break the format. Keeps nothing of `data`. */
export function decodeFloatHistogram(data: Uint8Array): HistogramSamples {
  return atKnownResolution(decodeStored(data));
}

/** As `decodeFloatHistogram`, at the resolution that is stored. */
export function decodeStored(data: Uint8Array): HistogramSamples {
  return samplesOfChunk(data, decodeFloatHistogramInto);
}

/** As `decodeHistogramInto`. */
export function decodeFloatHistogramInto(
  data: Uint8Array,
  block: HistogramBlock,
  starts?: StartTimes,
): boolean {
  const sampleCount = histogramSampleCount(data);
  if (sampleCount === 0) return true;
  reader.reset(data, HISTOGRAM_HEADER_BYTES);
  const shape = readLayout(reader, 64);
  const from = openRows(block, { reader, shape, sampleCount });
  if (from === undefined) return false;
  const { times, counts, zeroCounts, sumWords, buckets } = block;
  const { width } = block.layout;
  const fieldCount = BUCKETS + width;
  setHints(block, { header: chunkResetHeader(data), from, end: from + sampleCount });
  const values = new Float64Array(fieldCount);
  const words = new Int32Array(values.buffer);
  const windows = new Uint8Array(fieldCount * 2);
  let t = 0;
  let timeDelta = 0;
  for (let row = from; row < from + sampleCount; row++) {
    if (row === from) {
      t = reader.readVarbit();
      for (let field = 0; field < fieldCount; field++) {
        reader.readWords();
        words[2 * field] = reader.low;
        words[2 * field + 1] = reader.high;
      }
    } else {
      timeDelta += reader.readVarbit();
      t += timeDelta;
      reader.readXors(words, windows, { start: 0, end: BUCKETS });
    }
    times[row] = t;
    counts[row] = values[COUNT]!;
    zeroCounts[row] = values[ZERO_COUNT]!;
    sumWords[2 * row] = words[2 * SUM]!;
    sumWords[2 * row + 1] = words[2 * SUM + 1]!;
    if (row === from || !isStaleWords(sumWords, row)) {
      if (row > from) reader.readXors(words, windows, { start: BUCKETS, end: fieldCount });
      for (let k = 0, into = row * width; k < width; k++) buckets[into + k] = values[BUCKETS + k]!;
    }
    if (starts !== undefined)
      starts.read(reader, row - from, { timeMs: t, previousMs: times[row - 1]! });
  }
  block.size = from + sampleCount;
  return true;
}

/** Writes encoding 3. */
export class FloatHistogramWriter implements SampleWriter {
  readonly #bits = new BitWriter();
  #isFirst = true;
  #time = 0;
  #timeDelta = 0;
  /** The last sample's fields and the one being written, bit for bit. */
  #previous = new Int32Array(0);
  #next = NO_BUCKETS;
  #nextWords: Int32Array = new Int32Array(0);
  #windows = new Uint8Array(0);

  get size(): number {
    return this.#bits.size;
  }

  toBytes(header: Uint8Array): Uint8Array {
    return this.#bits.toBytes(header);
  }

  append(timeMs: number, h: FloatHistogram, isStale: boolean): void {
    const bits = this.#bits;
    if (this.#isFirst) {
      const fieldCount = isStale
        ? BUCKETS
        : BUCKETS + h.positiveBuckets.length + h.negativeBuckets.length;
      this.#previous = new Int32Array(fieldCount * 2);
      this.#next = new Float64Array(fieldCount);
      this.#nextWords = new Int32Array(this.#next.buffer);
      this.#windows = new Uint8Array(fieldCount * 2).fill(255);
      writeLayout(bits, layoutOf(h, isStale));
    }
    const fieldCount = this.#setNext(h, isStale);
    const words = this.#nextWords;
    if (this.#isFirst) {
      this.#isFirst = false;
      bits.writeVarbit(timeMs);
      for (let field = 0; field < fieldCount; field++)
        bits.writeWords(words[2 * field + 1]!, words[2 * field]!);
    } else {
      const timeDelta = timeMs - this.#time;
      bits.writeVarbit(timeDelta - this.#timeDelta);
      this.#timeDelta = timeDelta;
      for (let field = 0; field < fieldCount; field++)
        bits.writeXor(this.#previous, this.#windows, { field, next: words, at: field });
    }
    this.#time = timeMs;
    this.#previous.set(words);
  }

  /** Fills the next fields and returns how many of them the sample has: no buckets where it is stale. */
  #setNext(h: FloatHistogram, isStale: boolean): number {
    const next = this.#next;
    if (isStale) {
      next[COUNT] = 0;
      next[ZERO_COUNT] = 0;
      writeStale(next, SUM);
      return BUCKETS;
    }
    next[COUNT] = h.count;
    next[ZERO_COUNT] = h.zeroCount;
    next[SUM] = h.sum;
    next.set(h.positiveBuckets, BUCKETS);
    next.set(h.negativeBuckets, BUCKETS + h.positiveBuckets.length);
    return next.length;
  }
}
