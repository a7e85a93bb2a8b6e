import type { Exemplar } from "../model/exemplar.ts";
import type { HistogramMessage } from "./histogram-message.ts";

/** A place in the log: how many samples were read of its segment before. */
export interface LogPlace {
  readonly segment: number;
  readonly ordinal: number;
}

export const NO_PLACE: LogPlace = { segment: -1, ordinal: -1 };

export function isAfter(a: LogPlace, b: LogPlace): boolean {
  return a.segment > b.segment || (a.segment === b.segment && a.ordinal > b.ordinal);
}

/** What a sample is beside a float. */
export type Extra = HistogramMessage | Exemplar | undefined;

export function isHistogram(extra: Extra): extra is HistogramMessage {
  return extra !== undefined && "histogram" in extra;
}

/** Samples in the order of the log, as columns. */
export class SendColumns {
  refs: Int32Array;
  times: Float64Array;
  words: Int32Array;
  readonly extras: Extra[] = [];
  segments: Int32Array;
  ordinals: Float64Array;
  /** 1 for a sample that may have been sent before the process was started. */
  repeats: Uint8Array;
  count = 0;

  constructor(capacity: number) {
    this.refs = new Int32Array(capacity);
    this.times = new Float64Array(capacity);
    this.words = new Int32Array(2 * capacity);
    this.segments = new Int32Array(capacity);
    this.ordinals = new Float64Array(capacity);
    this.repeats = new Uint8Array(capacity);
  }

  /** As full as it was made for; it grows beyond. */
  get isFull(): boolean {
    return this.count === this.refs.length;
  }

  push(sample: {
    ref: number;
    timeMs: number;
    low: number;
    high: number;
    extra: Extra;
    place: LogPlace;
    isRepeat: boolean;
  }): void {
    if (this.isFull) this.#grow();
    const i = this.count++;
    this.refs[i] = sample.ref;
    this.times[i] = sample.timeMs;
    this.words[2 * i] = sample.low;
    this.words[2 * i + 1] = sample.high;
    this.extras[i] = sample.extra;
    this.segments[i] = sample.place.segment;
    this.ordinals[i] = sample.place.ordinal;
    this.repeats[i] = sample.isRepeat ? 1 : 0;
  }

  /** Appends sample `from` of other columns. */
  pushFrom(other: SendColumns, from: number): void {
    if (this.isFull) this.#grow();
    const i = this.count++;
    this.refs[i] = other.refs[from]!;
    this.times[i] = other.times[from]!;
    this.words[2 * i] = other.words[2 * from]!;
    this.words[2 * i + 1] = other.words[2 * from + 1]!;
    this.extras[i] = other.extras[from];
    this.segments[i] = other.segments[from]!;
    this.ordinals[i] = other.ordinals[from]!;
    this.repeats[i] = other.repeats[from]!;
  }

  /** The place of the last sample. */
  get lastPlace(): LogPlace {
    const i = this.count - 1;
    return { segment: this.segments[i]!, ordinal: this.ordinals[i]! };
  }

  /** The samples from `from` to `to`. */
  slice(from: number, to: number): SendColumns {
    const part = new SendColumns(Math.max(1, to - from));
    part.refs.set(this.refs.subarray(from, to));
    part.times.set(this.times.subarray(from, to));
    part.words.set(this.words.subarray(2 * from, 2 * to));
    part.segments.set(this.segments.subarray(from, to));
    part.ordinals.set(this.ordinals.subarray(from, to));
    part.repeats.set(this.repeats.subarray(from, to));
    for (let i = from; i < to; i++) part.extras.push(this.extras[i]);
    part.count = to - from;
    return part;
  }

  /** Takes the first `size` samples out. */
  take(size: number): SendColumns {
    const taken = this.slice(0, Math.min(size, this.count));
    const rest = this.count - taken.count;
    this.refs.copyWithin(0, taken.count, this.count);
    this.times.copyWithin(0, taken.count, this.count);
    this.words.copyWithin(0, 2 * taken.count, 2 * this.count);
    this.segments.copyWithin(0, taken.count, this.count);
    this.ordinals.copyWithin(0, taken.count, this.count);
    this.repeats.copyWithin(0, taken.count, this.count);
    this.extras.splice(0, taken.count);
    this.count = rest;
    return taken;
  }

  /** The samples that `keep` lets pass. */
  filter(keep: (index: number) => boolean): SendColumns {
    const kept = new SendColumns(Math.max(1, this.count));
    for (let i = 0; i < this.count; i++) if (keep(i)) kept.pushFrom(this, i);
    return kept;
  }

  #grow(): void {
    const wide = new SendColumns(2 * this.refs.length);
    wide.refs.set(this.refs);
    wide.times.set(this.times);
    wide.words.set(this.words);
    wide.segments.set(this.segments);
    wide.ordinals.set(this.ordinals);
    wide.repeats.set(this.repeats);
    ({ refs: this.refs, times: this.times, words: this.words } = wide);
    ({ segments: this.segments, ordinals: this.ordinals, repeats: this.repeats } = wide);
  }
}
