import { METRIC_NAME } from "../model/labels.ts";
import type { GroupedRequest } from "../storage/grouped.ts";
import { LabelHashes } from "./label-hashes.ts";
import { TupleNumbers } from "./tuple-numbers.ts";

/** What a grouped select needs to know of the symbols of an index. */
export interface GroupSymbols {
  /** The number of `text`, or -1. */
  find(text: string): number;
  bytesOf(symbol: number): Uint8Array;
}

/** Tells the groups of series, and their hashes, by the symbols of their labels: `add` each label of a series, then `take`. */
export class LabelGroups {
  /** All series are of group 0, and no hashes are wanted: labels need not be looked at. */
  readonly isTrivial: boolean;
  /** Of the series that was taken last; 0 when no hashes are wanted. */
  high = 0;
  low = 0;
  readonly #names: ReadonlySet<number>;
  /** The only one of them. */
  readonly #onlyName: number | undefined;
  readonly #without: boolean;
  readonly #numbers = new TupleNumbers();
  readonly #hashes: LabelHashes | undefined;
  #nextHigh = 0;
  #nextLow = 0;

  constructor({ grouping, without, wantsHashes }: GroupedRequest, symbols: GroupSymbols) {
    this.isTrivial = grouping.length === 0 && !without && !wantsHashes;
    const names = without ? [...grouping, METRIC_NAME] : grouping;
    this.#names = new Set(names.map((name) => symbols.find(name)));
    this.#onlyName = names.length === 1 ? symbols.find(names[0]!) : undefined;
    this.#without = without;
    this.#hashes = wantsHashes ? new LabelHashes((symbol) => symbols.bytesOf(symbol)) : undefined;
  }

  add(name: number, value: number): void {
    const only = this.#onlyName;
    const isNamed = only === undefined ? this.#names.has(name) : name === only;
    if (isNamed !== this.#without) {
      this.#numbers.add(name);
      this.#numbers.add(value);
    }
    const hashes = this.#hashes;
    if (hashes === undefined) return;
    const slot = hashes.slotOf(name, value);
    this.#nextHigh = (this.#nextHigh + hashes.highs[slot]!) | 0;
    this.#nextLow = (this.#nextLow + hashes.lows[slot]!) | 0;
  }

  /** The number of the group of the series whose labels were added; begins the next series. */
  take(): number {
    this.high = this.#nextHigh;
    this.low = this.#nextLow;
    this.#nextHigh = 0;
    this.#nextLow = 0;
    return this.#numbers.take();
  }
}
