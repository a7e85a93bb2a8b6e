import type { BitReader } from "./bit-reader.ts";

/**
 * Start times of the samples of one chunk, as encodings 4, 5 and 6 have them: behind each sample, if at all. They are told
 * as how far they lie before the time of the sample before. Format: docs/format/chunks.md.
 */
export class StartTimes {
  /** ms, 0 where not known; undefined when no sample has one. */
  readonly column: Float64Array | undefined;
  readonly #isFirstKnown: boolean;
  /** The first sample whose start time is another than that of sample 0; 0 when there is none. */
  readonly #firstChange: number;
  #distanceMs = 0;
  #startMs = 0;

  /** `header` is the chunk's byte about start times. */
  constructor(header: number, count: number) {
    this.#isFirstKnown = (header & 0x80) !== 0;
    this.#firstChange = header & 0x7f;
    const isAny = this.#isFirstKnown || this.#firstChange > 0;
    this.column = isAny ? new Float64Array(count) : undefined;
  }

  /** Reads what stands behind sample `k`. */
  read(reader: BitReader, k: number, at: { timeMs: number; previousMs: number }): void {
    const { column } = this;
    if (column === undefined) return;
    if (k === 0) {
      if (this.#isFirstKnown) this.#startMs = at.timeMs - reader.readVarint();
    } else if (this.#firstChange > 0 && k >= this.#firstChange) {
      const change = reader.readVarbit();
      this.#distanceMs = k === this.#firstChange ? change : this.#distanceMs + change;
      this.#startMs = at.previousMs - this.#distanceMs;
    }
    column[k] = this.#startMs;
  }
}
