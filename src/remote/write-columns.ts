import type { FloatHistogram } from "../model/histogram.ts";
import type { AppendBatch, AppendExemplar, AppendMetadata } from "../storage/appender.ts";

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

  /** Keeps the samples and histograms that pass. */
  filter(keep: {
    sample: (index: number) => boolean;
    histogram: (index: number) => boolean;
  }): void {
    let kept = 0;
    for (let i = 0; i < this.count; i++) {
      if (!keep.sample(i)) continue;
      this.refs[kept] = this.refs[i]!;
      this.times[kept] = this.times[i]!;
      this.words[2 * kept] = this.words[2 * i]!;
      this.words[2 * kept + 1] = this.words[2 * i + 1]!;
      this.seriesOf[kept++] = this.seriesOf[i]!;
    }
    this.count = kept;
    kept = 0;
    for (let i = 0; i < this.histograms.length; i++) {
      if (!keep.histogram(i)) continue;
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
    };
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
