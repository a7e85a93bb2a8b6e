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
 * Encoding 2: histograms whose counts are integers. Bucket counts are stored as differences between neighbours, and
 * every field as the change of its change. Counts above 2^53 are rounded. Format: docs/format/chunks.md.
 */

const reader = new BitReader("histogram chunk");

/** Decodes a whole chunk. Throws `corrupt` when the bytes break the format. Keeps nothing of `data`. */
export function decodeHistogram(data: Uint8Array): HistogramSamples {
  return atKnownResolution(decodeStored(data));
}

/** As `decodeHistogram`, at the resolution that is stored. */
export function decodeStored(data: Uint8Array): HistogramSamples {
  return samplesOfChunk(data, decodeHistogramInto);
}

/** How each bucket differs from its neighbour, and how much that changed with the last sample. */
let deltas = new Float64Array(256);
let changes = new Float64Array(256);
const sumWords = new Int32Array(2);
const window = new Uint8Array(2);

/**
 * Adds the samples of a chunk to `block`, at the resolution that is stored; an empty block takes the chunk's layout.
 * False, with nothing done, when the block has another one. Throws `corrupt`, and the block is of no use then. `starts` reads
 * what stands behind each sample of a chunk that has start times.
 */
export function decodeHistogramInto(
  data: Uint8Array,
  block: HistogramBlock,
  starts?: StartTimes,
): boolean {
  const sampleCount = histogramSampleCount(data);
  if (sampleCount === 0) return true;
  reader.reset(data, HISTOGRAM_HEADER_BYTES);
  const shape = readLayout(reader, 1);
  const from = openRows(block, { reader, shape, sampleCount });
  if (from === undefined) return false;
  const { times, counts, zeroCounts, sumWords: words, buckets } = block;
  const { width, positiveCount } = block.layout;
  if (deltas.length < width) {
    deltas = new Float64Array(width);
    changes = new Float64Array(width);
  }
  const state = { deltas, changes };
  deltas.fill(0, 0, width);
  changes.fill(0, 0, width);
  window.fill(0);
  setHints(block, { header: chunkResetHeader(data), from, end: from + sampleCount });
  let t = 0;
  let count = 0;
  let zeroCount = 0;
  let timeDelta = 0;
  let countDelta = 0;
  let zeroDelta = 0;
  for (let row = from; row < from + sampleCount; row++) {
    if (row === from) {
      t = reader.readVarbit();
      count = reader.readVarbitUnsigned();
      zeroCount = reader.readVarbitUnsigned();
      reader.readWords();
      sumWords[0] = reader.low;
      sumWords[1] = reader.high;
    } else {
      timeDelta += reader.readVarbit();
      t += timeDelta;
      countDelta += reader.readVarbit();
      count += countDelta;
      zeroDelta += reader.readVarbit();
      zeroCount += zeroDelta;
      reader.readXor(sumWords, window, 0);
    }
    times[row] = t;
    counts[row] = count;
    zeroCounts[row] = zeroCount;
    words[2 * row] = sumWords[0]!;
    words[2 * row + 1] = sumWords[1]!;
    // The first sample has all buckets of the layout even if it is stale; then the layout is empty.
    if (row === from || !isStaleWords(words, row)) {
      const at = row * width;
      reader.readCounts(state, { into: buckets, at, from: 0, end: positiveCount });
      if (positiveCount < width)
        reader.readCounts(state, { into: buckets, at, from: positiveCount, end: width });
      // What the first sample added to nothing is no change yet.
      if (row === from) changes.fill(0, 0, width);
    }
    if (starts !== undefined)
      starts.read(reader, row - from, { timeMs: t, previousMs: times[row - 1]! });
  }
  block.size = from + sampleCount;
  return true;
}

/** Writes encoding 2. All counts are whole and ≥ 0. */
export class HistogramWriter implements SampleWriter {
  readonly #bits = new BitWriter();
  readonly #windows = Uint8Array.of(255, 0);
  readonly #sums = new Float64Array(2);
  readonly #sumWords = new Int32Array(this.#sums.buffer);
  #isFirst = true;
  #time = 0;
  #count = 0;
  #zeroCount = 0;
  #timeDelta = 0;
  #countDelta = 0;
  #zeroDelta = 0;
  /** The last sample's differences between neighbours, and how they changed with it; positive side first. */
  #deltas = NO_BUCKETS;
  #changes = NO_BUCKETS;

  get size(): number {
    return this.#bits.size;
  }

  toBytes(header: Uint8Array): Uint8Array {
    return this.#bits.toBytes(header);
  }

  append(timeMs: number, h: FloatHistogram, isStale: boolean): void {
    const bits = this.#bits;
    if (isStale) writeStale(this.#sums, 1);
    else this.#sums[1] = h.sum;
    const count = isStale ? 0 : h.count;
    const zeroCount = isStale ? 0 : h.zeroCount;
    if (this.#isFirst) {
      this.#isFirst = false;
      const bucketCount = isStale ? 0 : h.positiveBuckets.length + h.negativeBuckets.length;
      this.#deltas = new Float64Array(bucketCount);
      this.#changes = new Float64Array(bucketCount);
      writeLayout(bits, layoutOf(h, isStale));
      bits.writeVarbit(timeMs);
      bits.writeVarbitUnsigned(count);
      bits.writeVarbitUnsigned(zeroCount);
      bits.writeWords(this.#sumWords[3]!, this.#sumWords[2]!);
      if (!isStale) {
        this.#writeFirst(h.positiveBuckets, 0);
        this.#writeFirst(h.negativeBuckets, h.positiveBuckets.length);
      }
    } else {
      const timeDelta = timeMs - this.#time;
      const countDelta = count - this.#count;
      const zeroDelta = zeroCount - this.#zeroCount;
      bits.writeVarbit(timeDelta - this.#timeDelta);
      bits.writeVarbit(isStale ? 0 : countDelta - this.#countDelta);
      bits.writeVarbit(isStale ? 0 : zeroDelta - this.#zeroDelta);
      bits.writeXor(this.#sumWords, this.#windows, { field: 0, next: this.#sumWords, at: 1 });
      if (!isStale) {
        this.#writeNext(h.positiveBuckets, 0);
        this.#writeNext(h.negativeBuckets, h.positiveBuckets.length);
      }
      this.#timeDelta = timeDelta;
      this.#countDelta = countDelta;
      this.#zeroDelta = zeroDelta;
    }
    this.#time = timeMs;
    this.#count = count;
    this.#zeroCount = zeroCount;
    this.#sumWords[0] = this.#sumWords[2]!;
    this.#sumWords[1] = this.#sumWords[3]!;
  }

  #writeFirst(buckets: Float64Array, at: number): void {
    let previous = 0;
    for (let i = 0; i < buckets.length; i++) {
      const delta = buckets[i]! - previous;
      previous = buckets[i]!;
      this.#bits.writeVarbit(delta);
      this.#deltas[at + i] = delta;
    }
  }

  #writeNext(buckets: Float64Array, at: number): void {
    let previous = 0;
    for (let i = 0; i < buckets.length; i++) {
      const delta = buckets[i]! - previous;
      previous = buckets[i]!;
      const change = delta - this.#deltas[at + i]!;
      this.#bits.writeVarbit(change - this.#changes[at + i]!);
      this.#deltas[at + i] = delta;
      this.#changes[at + i] = change;
    }
  }
}
