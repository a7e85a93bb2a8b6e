import type { AppendBatch } from "../storage/appender.ts";
import { encodeHistogramRecords } from "../wal/histogram-record.ts";
import { encodeSamples } from "../wal/record.ts";
import type { RecordGroup } from "../wal/writer.ts";
import type { AppendTally } from "./append-tally.ts";
import type { HeadStore } from "./head-store.ts";
import type { PickedHistogram } from "./histogram-batch.ts";
import type { OutOfOrderSamples } from "./out-of-order.ts";

/** The samples of one batch that are out of order and within the window for that. */
export class LateBatch {
  readonly #batch: AppendBatch;
  readonly #store: HeadStore;
  readonly #tally: AppendTally;
  readonly #windowMs: number;
  /** As it was before the batch. */
  readonly #minTimeMs: number;
  #indices: number[] = [];
  #histograms: PickedHistogram[] = [];

  constructor(
    batch: AppendBatch,
    parts: { store: HeadStore; tally: AppendTally; windowMs: number },
  ) {
    this.#batch = batch;
    this.#store = parts.store;
    this.#tally = parts.tally;
    this.#windowMs = parts.windowMs;
    this.#minTimeMs = parts.store.maxTimeMs - parts.windowMs;
  }

  get isEmpty(): boolean {
    return this.#indices.length === 0 && this.#histograms.length === 0;
  }

  /**
   * Takes the float at `index`, or refuses it as too old. False when no sample may be out of order, or the time is none: then
   * the caller says why the sample is refused.
   */
  addFloat(index: number): boolean {
    const { refs, times } = this.#batch;
    const isHere = this.#judge(refs[index]!, times[index]!, (reason) =>
      this.#tally.refuse(reason, "float", index),
    );
    if (isHere === undefined) return false;
    if (isHere) this.#indices.push(index);
    return true;
  }

  addHistogram(picked: PickedHistogram): boolean {
    const isHere = this.#judge(picked.ref, picked.timeMs, (reason) =>
      this.#tally.refuse(reason, picked.part, picked.index),
    );
    if (isHere === undefined) return false;
    if (isHere) this.#histograms.push(picked);
    return true;
  }

  clear(): void {
    this.#indices = [];
    this.#histograms = [];
  }

  encode(group: RecordGroup): void {
    const indices = Uint32Array.from(this.#indices);
    if (indices.length > 0) {
      encodeSamples(group.buffer, this.#batch, { indices, count: indices.length });
      group.end();
    }
    encodeHistogramRecords(group, this.#histograms);
  }

  /** Makes the samples seen and answers how many there are; one that is there already is as good as stored. */
  insertInto(outOfOrder: OutOfOrderSamples, tally: AppendTally): number {
    const { refs, times, values } = this.#batch;
    const words = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
    let count = 0;
    for (const i of this.#indices) {
      if (outOfOrder.insert(refs[i]!, times[i]!, words[2 * i]!, words[2 * i + 1]!)) count++;
      tally.result.appended++;
    }
    for (const picked of this.#histograms) {
      if (outOfOrder.insertHistogram(picked.ref, picked)) count++;
      tally.result[picked.part === "float" ? "appended" : "appendedHistograms"]++;
    }
    return count;
  }

  /** Whether to take the sample; undefined when that is not for this class to say. */
  #judge(
    ref: number,
    timeMs: number,
    refuse: (reason: "too-old" | "unknown-ref") => void,
  ): boolean | undefined {
    if (this.#windowMs === 0 || !Number.isSafeInteger(timeMs)) return undefined;
    if (timeMs >= this.#minTimeMs && this.#store.series.has(ref)) return true;
    refuse(timeMs >= this.#minTimeMs ? "unknown-ref" : "too-old");
    return false;
  }
}
