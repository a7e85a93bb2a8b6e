import { type FloatHistogram, zeroBefore } from "../model/histogram.ts";
import type {
  AppendBatch,
  AppendExemplar,
  AppendMetadata,
  BatchZeros,
} from "../storage/appender.ts";

/** A part of a request that cannot be stored, whatever is in the storage. */
export interface Problem {
  readonly message: string;
  /** Samples and histograms that go with it. */
  readonly samples: number;
}

/** More problems than this are counted, and not told one by one. */
export const PROBLEMS_MAX = 20;

/**
 * What a write request holds, as columns for the storage. Each sample knows the series of the request that it came with,
 * and each series its labels, for those who must be told. Used again by the next request.
 */
export class WriteColumns {
  refs = new Int32Array(1024);
  times = new Float64Array(1024);
  values = new Float64Array(1024);
  words = new Int32Array(this.values.buffer);
  /** Which series of the request each sample is of. */
  seriesOf = new Int32Array(1024);
  count = 0;

  readonly histogramRefs: number[] = [];
  readonly histogramTimes: number[] = [];
  readonly histograms: FloatHistogram[] = [];
  readonly histogramIsFloat: boolean[] = [];
  readonly histogramSeriesOf: number[] = [];

  /** Places of zeros put in front of samples, ascending. */
  readonly zeros: number[] = [];
  readonly histogramZeros: number[] = [];

  readonly exemplars: AppendExemplar[] = [];
  readonly metadata: AppendMetadata[] = [];

  readonly problems: Problem[] = [];
  problemCount = 0;
  /** Samples and histograms of all problems. */
  problemSamples = 0;

  clear(): void {
    this.count = 0;
    this.problemCount = this.problemSamples = 0;
    for (const list of [
      this.histogramRefs,
      this.histogramTimes,
      this.histograms,
      this.histogramIsFloat,
      this.histogramSeriesOf,
      this.zeros,
      this.histogramZeros,
      this.exemplars,
      this.metadata,
      this.problems,
    ])
      list.length = 0;
  }

  /** Makes room for one more sample, and gives its index. */
  nextSample(): number {
    this.reserveSamples(1);
    return this.count++;
  }

  /** Makes room for `count` more samples. */
  reserveSamples(count: number): void {
    const needed = this.count + count;
    if (needed > this.refs.length) this.#growSamples(Math.max(needed, 2 * this.refs.length));
  }

  problem(message: string, samples: number): void {
    this.problemCount++;
    this.problemSamples += samples;
    if (this.problems.length < PROBLEMS_MAX) this.problems.push({ message, samples });
  }

  /** Puts zeros in front of the samples from `first` on: at each of `startsMs` that is a time before its sample's. */
  insertZeros(first: number, startsMs: readonly number[]): void {
    const isWanted = startsMs.map((ms, k) => ms !== 0 && ms < this.times[first + k]!);
    let shift = isWanted.filter(Boolean).length;
    this.reserveSamples(shift);
    const places: number[] = [];
    this.count += shift;
    for (let i = first + startsMs.length - 1; shift > 0; i--) {
      this.#copySample(i, i + shift);
      if (isWanted[i - first] !== true) continue;
      const zero = i + --shift;
      this.#copySample(i, zero);
      this.times[zero] = startsMs[i - first]!;
      this.words[2 * zero] = this.words[2 * zero + 1] = 0;
      places.push(zero);
    }
    this.zeros.push(...places.toReversed());
  }

  /** The same of histograms: a zero of the layout of each. */
  insertHistogramZeros(first: number, startsMs: readonly number[]): void {
    let i = first;
    for (const startMs of startsMs) {
      if (startMs !== 0 && startMs < this.histogramTimes[i]!) {
        this.histogramZeros.push(i);
        this.histogramRefs.splice(i, 0, this.histogramRefs[i]!);
        this.histogramTimes.splice(i, 0, startMs);
        this.histograms.splice(i, 0, zeroBefore(this.histograms[i]!));
        this.histogramIsFloat.splice(i, 0, this.histogramIsFloat[i]!);
        this.histogramSeriesOf.splice(i, 0, this.histogramSeriesOf[i]!);
        i++;
      }
      i++;
    }
  }

  #copySample(from: number, to: number): void {
    this.refs[to] = this.refs[from]!;
    this.times[to] = this.times[from]!;
    this.words[2 * to] = this.words[2 * from]!;
    this.words[2 * to + 1] = this.words[2 * from + 1]!;
    this.seriesOf[to] = this.seriesOf[from]!;
  }

  /** Keeps the samples and histograms that pass. */
  filter(keep: {
    sample: (index: number, isZero: boolean) => boolean;
    histogram: (index: number, isZero: boolean) => boolean;
  }): void {
    const zeros = new Set(this.zeros);
    this.zeros.length = 0;
    let kept = 0;
    for (let i = 0; i < this.count; i++) {
      if (!keep.sample(i, zeros.has(i))) continue;
      if (zeros.has(i)) this.zeros.push(kept);
      this.#copySample(i, kept++);
    }
    this.count = kept;
    const histogramZeros = new Set(this.histogramZeros);
    this.histogramZeros.length = 0;
    kept = 0;
    for (let i = 0; i < this.histograms.length; i++) {
      if (!keep.histogram(i, histogramZeros.has(i))) continue;
      if (histogramZeros.has(i)) this.histogramZeros.push(kept);
      this.histogramRefs[kept] = this.histogramRefs[i]!;
      this.histogramTimes[kept] = this.histogramTimes[i]!;
      this.histograms[kept] = this.histograms[i]!;
      this.histogramIsFloat[kept] = this.histogramIsFloat[i]!;
      this.histogramSeriesOf[kept++] = this.histogramSeriesOf[i]!;
    }
    this.truncateHistograms(kept);
  }

  /** A batch of the samples and histograms at these places alone; the columns stay as they are. */
  only(samples: ReadonlySet<number>, histograms: ReadonlySet<number>): AppendBatch {
    const refs = new Int32Array(samples.size);
    const times = new Float64Array(samples.size);
    const words = new Int32Array(2 * samples.size);
    let count = 0;
    for (const i of samples) {
      refs[count] = this.refs[i]!;
      times[count] = this.times[i]!;
      words[2 * count] = this.words[2 * i]!;
      words[2 * count + 1] = this.words[2 * i + 1]!;
      count++;
    }
    const places = [...histograms];
    const zeros = this.#zerosOf({
      floats: placesAmong(this.zeros, samples),
      histograms: placesAmong(this.histogramZeros, histograms),
    });
    return {
      refs,
      times,
      values: new Float64Array(words.buffer),
      count,
      ...(places.length > 0 && {
        histograms: {
          refs: Int32Array.from(places, (i) => this.histogramRefs[i]!),
          times: Float64Array.from(places, (i) => this.histogramTimes[i]!),
          histograms: places.map((i) => this.histograms[i]!),
          isFloat: Uint8Array.from(places, (i) => (this.histogramIsFloat[i] === true ? 1 : 0)),
          count: places.length,
        },
      }),
      ...(zeros !== undefined && { zeros }),
    };
  }

  #zerosOf(places: Omit<BatchZeros, "beforeMs">): BatchZeros | undefined {
    if (places.floats.length === 0 && places.histograms.length === 0) return undefined;
    let i = 0;
    while (this.zeros[i] === i) i++;
    const beforeMs = i < this.count ? this.times[i]! : this.histogramTimes.at(-1)!;
    return { ...places, beforeMs };
  }

  truncateHistograms(count: number): void {
    this.histogramRefs.length = count;
    this.histogramTimes.length = count;
    this.histograms.length = count;
    this.histogramIsFloat.length = count;
    this.histogramSeriesOf.length = count;
  }

  /** As the storage takes it. */
  batch(options: { isWhole: boolean }): AppendBatch {
    const zeros = this.#zerosOf({
      floats: Int32Array.from(this.zeros),
      histograms: Int32Array.from(this.histogramZeros),
    });
    return {
      refs: this.refs,
      times: this.times,
      values: this.values,
      count: this.count,
      ...(this.histograms.length > 0 && {
        histograms: {
          refs: Int32Array.from(this.histogramRefs),
          times: Float64Array.from(this.histogramTimes),
          histograms: this.histograms,
          isFloat: Uint8Array.from(this.histogramIsFloat, Number),
          count: this.histograms.length,
        },
      }),
      ...(this.exemplars.length > 0 && { exemplars: this.exemplars }),
      ...(this.metadata.length > 0 && { metadata: this.metadata }),
      ...(zeros !== undefined && { zeros }),
      isWhole: options.isWhole,
      listRefused: true,
    };
  }

  #growSamples(size: number): void {
    const refs = new Int32Array(size);
    refs.set(this.refs);
    const times = new Float64Array(size);
    times.set(this.times);
    const words = new Int32Array(2 * size);
    words.set(this.words);
    const seriesOf = new Int32Array(size);
    seriesOf.set(this.seriesOf);
    this.refs = refs;
    this.times = times;
    this.words = words;
    this.values = new Float64Array(words.buffer);
    this.seriesOf = seriesOf;
  }
}

/** Where `places` stand, ascending, in a column of those at `chosen` alone. */
function placesAmong(places: readonly number[], chosen: ReadonlySet<number>): Int32Array {
  const numbers = new Map([...chosen].map((place, i) => [place, i]));
  return Int32Array.from(places.flatMap((place) => numbers.get(place) ?? [])).sort();
}
