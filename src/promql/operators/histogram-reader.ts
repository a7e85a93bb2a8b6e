import { decodeFloatHistogramInto } from "../../chunk/float-histogram.ts";
import { decodeHistogramInto } from "../../chunk/histogram.ts";
import {
  EXPONENTIAL_SCHEMA_MAX,
  type FloatHistogram,
  newHistogram,
  sizeWithBuckets,
} from "../../model/histogram.ts";
import { HistogramBlock } from "../../model/histogram-block.ts";
import { ENCODING_HISTOGRAM, ENCODING_XOR, type Series } from "../../storage/queryable.ts";
import type { SelectorPlan } from "../plan.ts";
import {
  histogramSamples,
  type HistogramRun,
  type HistogramSamples,
  type QueryContext,
  samplesOfSize,
} from "./row.ts";

const STALE_SAMPLES = histogramSamples(newHistogram({}));

/**
 * Reads the native histograms of one series after the other into blocks, one for each run of samples of one layout;
 * most series are one run. What it returns is lent until the next series.
 */
export class HistogramReader {
  readonly #blocks: HistogramBlock[] = [];
  #used = 0;

  /**
   * Histograms in time order, each time once. Undefined when they cannot be read in this way: chunks overlap, or have a
   * resolution that has to be reduced.
   */
  read(
    series: Series,
    place: { selector: SelectorPlan; query: QueryContext; dropsStale: boolean },
  ): RunSamples | undefined {
    const { selector, query, dropsStale } = place;
    const { stats } = query;
    this.#used = 0;
    let chunksRead = 0;
    let bytesRead = 0;
    let size = 0;
    let lastMs = -Infinity;
    for (const chunk of series.chunks) {
      if (chunk.encoding === ENCODING_XOR) continue;
      if (chunk.maxTimeMs < selector.minTimeMs || chunk.minTimeMs > selector.maxTimeMs) continue;
      const decodeInto =
        chunk.encoding === ENCODING_HISTOGRAM ? decodeHistogramInto : decodeFloatHistogramInto;
      let block = this.#blocks[this.#used - 1] ?? this.#open();
      let from = block.size;
      if (!decodeInto(chunk.data, block)) {
        block = this.#open();
        from = 0;
        decodeInto(chunk.data, block);
      }
      const { layout, times } = block;
      if (layout.schema > EXPONENTIAL_SCHEMA_MAX) return undefined;
      const samplesEach = samplesOfSize(sizeWithBuckets(layout, layout.width));
      for (let i = from; i < block.size; i++) {
        if (times[i]! <= lastMs) return undefined;
        lastMs = times[i]!;
        size += block.isStale(i) ? STALE_SAMPLES : samplesEach;
      }
      query.budget.probe(size);
      chunksRead++;
      bytesRead += chunk.data.length;
    }
    stats.chunksRead += chunksRead;
    stats.bytesRead += bytesRead;
    stats.samplesRead += size;
    const blocks = this.#blocks.slice(0, this.#used);
    if (dropsStale) for (const block of blocks) block.dropStale();
    return new RunSamples(blocks);
  }

  #open(): HistogramBlock {
    const block = (this.#blocks[this.#used] ??= new HistogramBlock());
    block.size = 0;
    this.#used++;
    return block;
  }
}

/** Samples in blocks, and as objects for whoever asks. */
export class RunSamples implements HistogramSamples {
  readonly times: Float64Array;
  readonly runs: readonly HistogramRun[];
  readonly startTimes = undefined;
  #histograms: FloatHistogram[] | undefined;

  constructor(blocks: readonly HistogramBlock[]) {
    const runs: HistogramRun[] = [];
    let count = 0;
    for (const block of blocks) {
      if (block.size === 0) continue;
      runs.push({ start: count, block });
      count += block.size;
    }
    this.runs = runs;
    this.times = new Float64Array(count);
    for (const { start, block } of runs)
      for (let i = 0; i < block.size; i++) this.times[start + i] = block.times[i]!;
  }

  get histograms(): readonly FloatHistogram[] {
    return (this.#histograms ??= this.runs.flatMap(({ block }) =>
      Array.from({ length: block.size }, (_, row) => block.at(row)),
    ));
  }
}
