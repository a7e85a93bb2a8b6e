import { METRIC_NAME } from "../model/labels.ts";
import { KIND_COUNTER, KIND_HISTOGRAM, KIND_SUMMARY, type ParsedColumns } from "./columns.ts";
import { decodeSeries } from "./series.ts";

/**
 * When the series of an OpenMetrics body were created: the value of the next `_created` series of their family, if its
 * labels are theirs but for `le` and `quantile`. Asked for in the order of the body.
 */
export class CreatedTimes {
  readonly #columns: ParsedColumns;
  readonly #text: Buffer;
  /** The `_created` series found last, and what it is for. */
  #next = -1;
  #nextKey = "";
  #key = "";
  #createdMs: number | undefined;

  constructor(columns: ParsedColumns, text: Buffer) {
    this.#columns = columns;
    this.#text = text;
  }

  /** Whether series `i` tells when another one was created. */
  isCreated(i: number): boolean {
    const { seriesStart, seriesEnd, kinds } = this.#columns;
    if (!isCounted(kinds[i]!)) return false;
    // Nearly all series can be told by their bytes.
    if (!this.#text.subarray(seriesStart[i], seriesEnd[i]).includes("_created")) return false;
    return this.#nameOf(i).endsWith("_created");
  }

  /** Of series `i`, in ms; series from `end` on are of other families. */
  of(i: number, { family, end }: { family: string; end: number }): number | undefined {
    if (!isCounted(this.#columns.kinds[i]!) || !this.#nameOf(i).startsWith(family))
      return undefined;
    const key = this.#keyOf(i, family);
    if (key === this.#key && this.#createdMs !== undefined) return this.#createdMs;
    this.#key = key;
    this.#createdMs = undefined;
    if (this.#next <= i) {
      let next = i + 1;
      while (next < end && !this.isCreated(next)) next++;
      this.#next = next;
      if (next < end)
        this.#nextKey = this.#keyOf(next, this.#nameOf(next).slice(0, -"_created".length));
    }
    if (this.#next < end && this.#nextKey === key)
      this.#createdMs = Math.trunc(this.#columns.values[this.#next]! * 1000);
    return this.#createdMs;
  }

  #nameOf(i: number): string {
    return this.#labelsOf(i).get(METRIC_NAME);
  }

  #keyOf(i: number, family: string): string {
    const own = this.#columns.kinds[i] === KIND_SUMMARY ? "quantile" : "le";
    return this.#labelsOf(i).without([own]).with(METRIC_NAME, family).key();
  }

  #labelsOf(i: number): ReturnType<typeof decodeSeries> {
    const { seriesStart, seriesEnd, kinds } = this.#columns;
    return decodeSeries(this.#text, {
      start: seriesStart[i]!,
      end: seriesEnd[i]!,
      kind: kinds[i]!,
    });
  }
}

/** What may have a time of creation. */
function isCounted(kind: number): boolean {
  return kind === KIND_COUNTER || kind === KIND_HISTOGRAM || kind === KIND_SUMMARY;
}
