import type { ReplicaSamples } from "./replica-samples.ts";

/** Samples in a row that were chosen from one replica: `from` inclusive, `to` exclusive. */
export interface Run {
  readonly side: 0 | 1;
  readonly from: number;
  to: number;
}

/** Where a reader stands in one of two replicas. */
export class ReplicaCursor {
  readonly side: 0 | 1;
  readonly samples: ReplicaSamples;
  /** The next sample not passed over yet, as far as is known without decoding. */
  index = 0;
  #chunk = 0;

  constructor(side: 0 | 1, samples: ReplicaSamples) {
    this.side = side;
    this.samples = samples;
  }

  /** Moves on to the first sample at `timeMs` or later, and decodes its chunk. */
  advance(timeMs: number): void {
    const { samples } = this;
    if (this.index >= samples.count) return;
    this.index = samples.seek(this.index, timeMs, this.#chunk);
    if (this.index < samples.count) this.#chunk = samples.chunkOf(this.index, this.#chunk);
  }

  /** Of the sample that `advance` found; Infinity when it found none. */
  get timeMs(): number {
    return this.index < this.samples.count ? this.samples.times[this.index]! : Infinity;
  }

  /** No sample at `fromMs` or later is before this; Infinity when there is none. Decodes nothing. */
  lowestTime(fromMs: number): number {
    const { samples, index } = this;
    if (index >= samples.count) return Infinity;
    this.#chunk = samples.chunkOf(index, this.#chunk);
    const isKnown = samples.isDecoded(this.#chunk);
    return Math.max(
      fromMs,
      isKnown ? samples.times[index]! : samples.chunks[this.#chunk]!.minTimeMs,
    );
  }

  /** Where the decoded samples from `index` on end. */
  decodedEnd(): number {
    const { samples, index } = this;
    if (index >= samples.count) return index;
    this.#chunk = samples.chunkOf(index, this.#chunk);
    return samples.isDecoded(this.#chunk) ? samples.starts[this.#chunk + 1]! : index;
  }

  /** Chooses the sample at `index` and the next ones up to `end`. */
  take(runs: Run[], end: number): void {
    const last = runs.at(-1);
    if (last !== undefined && last.side === this.side && last.to === this.index) last.to = end;
    else runs.push({ side: this.side, from: this.index, to: end });
    this.index = end;
  }
}
