import type { FloatHistogram } from "../model/histogram.ts";
import { encodeHistogramRun } from "./chunk-encodings.ts";
import { type Chunk, type ChunkEncoding, ENCODING_XOR } from "./queryable.ts";
import type { Run } from "./replica-cursor.ts";
import type { ReplicaSamples } from "./replica-samples.ts";
import { pushXorChunks } from "./xor-chunks.ts";

/**
 * The chosen runs of two replicas as chunks. A chunk that was chosen whole is passed on as it is; only the samples around a
 * change of replica are encoded again. Chunks never mix encodings, so floats, integer and float histograms stay what they
 * are.
 */
export function writeRuns(
  runs: readonly Run[],
  sides: readonly [ReplicaSamples, ReplicaSamples],
  options: { isCounter: boolean },
): readonly Chunk[] {
  const out: Chunk[] = [];
  const lifts = [new CounterLift(sides[0]), new CounterLift(sides[1])] as const;
  const chunks: [number, number] = [0, 0];
  pending.clear();
  let last: LastSample | undefined;
  for (const { side, from: runStart, to: runEnd } of runs) {
    const samples = sides[side];
    const lift = lifts[side];
    let chunk = chunks[side];
    for (let from = runStart; from < runEnd;) {
      chunk = samples.chunkOf(from, chunk);
      const to = Math.min(runEnd, samples.starts[chunk + 1]!);
      const isLifted = options.isCounter && samples.isFloat(chunk);
      if (isLifted && from === runStart && last !== undefined && last.side !== side)
        lift.follow(last, from);
      const isWhole = from === samples.starts[chunk]! && to === samples.starts[chunk + 1]!;
      if (isWhole && !(isLifted && lift.offset !== 0)) {
        pending.flush(out);
        out.push(samples.chunks[chunk]!);
      } else {
        pending.add(samples, { chunk, from, to }, out);
        if (isLifted) lift.apply(pending, { from, to, runStart });
      }
      const value = isLifted ? samples.values[to - 1]! + lift.offset : NaN;
      last = { side, timeMs: samples.times[to - 1]!, value };
      from = to;
    }
    chunks[side] = chunk;
  }
  pending.flush(out);
  return out;
}

/** The newest sample that was given out; its value is NaN when it is not of a counter. */
interface LastSample {
  readonly side: 0 | 1;
  readonly timeMs: number;
  readonly value: number;
}

/**
 * What is added to the values of one replica of a counter. A replica that is behind the value given out last (it has not
 * seen the newest scrape) would look like a reset, so it is lifted by the difference from there on, until it is reset
 * itself. One that has seen a reset which the other replica has not is right to be lower, and is left alone.
 */
class CounterLift {
  readonly #samples: ReplicaSamples;
  offset = 0;

  constructor(samples: ReplicaSamples) {
    this.#samples = samples;
  }

  /** The replica's sample at `index` comes after `last`, which is of the other replica. */
  follow(last: LastSample, index: number): void {
    const value = this.#samples.values[index]!;
    if (!(last.value > value + this.offset)) return;
    this.offset = this.#wasReset(last, index) ? 0 : last.value - value;
  }

  /** Whether the replica went from a value not above the last one given out down to the one at `index`. */
  #wasReset(last: LastSample, index: number): boolean {
    const { times, values } = this.#samples;
    let wentDown = false;
    let at = index;
    do {
      if (at === 0) return false;
      this.#samples.decode(this.#samples.chunkOf(at - 1, 0));
      if (values[at]! < values[at - 1]!) wentDown = true;
      at--;
    } while (times[at]! > last.timeMs);
    return wentDown && values[at]! + this.offset <= last.value;
  }

  /** Lifts the newest pending samples, which are those from `from` to `to`. */
  apply(samples: Pending, range: { from: number; to: number; runStart: number }): void {
    const { values } = this.#samples;
    const { from, to, runStart } = range;
    for (let i = from; i < to && this.offset !== 0; i++) {
      const value = values[i]!;
      if (i > runStart && value < values[i - 1]!) this.offset = 0;
      // The bits of a NaN stay as they are: one of them is the stale marker.
      else if (value === value) samples.values[samples.count - (to - i)] = value + this.offset;
    }
  }
}

/** Samples that are to be encoded, all of one encoding. */
class Pending {
  times = new Float64Array(1024);
  values = new Float64Array(1024);
  words = new Int32Array(this.values.buffer);
  count = 0;
  #encoding: ChunkEncoding = ENCODING_XOR;
  #histograms: FloatHistogram[] = [];

  clear(): void {
    this.count = 0;
    this.#histograms = [];
  }

  /** Appends samples of one chunk; what is pending of another encoding goes out first. */
  add(
    samples: ReplicaSamples,
    range: { chunk: number; from: number; to: number },
    out: Chunk[],
  ): void {
    const { chunk, from, to } = range;
    const { encoding } = samples.chunks[chunk]!;
    if (encoding !== this.#encoding) this.flush(out);
    this.#encoding = encoding;
    this.#reserve(this.count + to - from);
    const { times, words } = this;
    let k = this.count;
    for (let i = from; i < to; i++, k++) {
      times[k] = samples.times[i]!;
      words[2 * k] = samples.words[2 * i]!;
      words[2 * k + 1] = samples.words[2 * i + 1]!;
    }
    this.count = k;
    if (encoding === ENCODING_XOR) return;
    const start = samples.starts[chunk]!;
    this.#histograms.push(...samples.histogramsOf(chunk).slice(from - start, to - start));
  }

  /** Encodes what is pending. */
  flush(out: Chunk[]): void {
    const { times, values, count } = this;
    if (count === 0) return;
    if (this.#encoding === ENCODING_XOR) pushXorChunks(out, { times, values, count });
    else
      out.push(
        ...encodeHistogramRun(this.#encoding, {
          times: times.slice(0, count),
          histograms: this.#histograms,
        }),
      );
    this.clear();
  }

  #reserve(capacity: number): void {
    if (capacity <= this.times.length) return;
    const times = new Float64Array(capacity * 2);
    const values = new Float64Array(capacity * 2);
    times.set(this.times);
    const words = new Int32Array(values.buffer);
    words.set(this.words);
    this.times = times;
    this.values = values;
    this.words = words;
  }
}

/** One for all series: a series is written before the next one is read. */
const pending = new Pending();
