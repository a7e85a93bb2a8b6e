import { mapKey } from "../../base/map-key.ts";
import { METRIC_NAME, type Labels } from "../../model/labels.ts";
import { MANY_NAMES } from "./matching.ts";
import { METADATA_LABELS, visibleLabels, type QueryContext } from "./row.ts";

/** Which group of an aggregation a series belongs to, and the labels of the groups. */
export class Groups {
  /** Each once. */
  readonly #by: readonly string[] | undefined;
  readonly #bySet: ReadonlySet<string>;
  readonly #without: ReadonlySet<string>;
  readonly #readsMetadata: boolean;
  readonly #indexOfKey = new Map<string, number>();
  /** Index + 1, or 0. */
  #indexOfNumber = new Uint32Array(64);
  readonly labels: Labels[] = [];

  constructor(options: { grouping: readonly string[]; without: boolean }) {
    this.#by = options.without ? undefined : [...new Set(options.grouping)];
    this.#bySet = new Set(this.#by);
    this.#without = new Set([...options.grouping, METRIC_NAME]);
    this.#readsMetadata =
      options.without || options.grouping.some((name) => METADATA_LABELS.has(name));
  }

  /** The group's index; a new group gets the next one. */
  indexOf(row: { labels: Labels; dropName: boolean }, query: QueryContext): number {
    // Fast path: labels other than the metric's own do not change when its name is dropped.
    const labels = this.#readsMetadata ? visibleLabels(row, query) : row.labels;
    const by = this.#by;
    const rest = by === undefined ? labels.without(this.#without) : undefined;
    const key = rest?.key() ?? this.#key(labels, by!);
    let index = this.#indexOfKey.get(key);
    if (index === undefined) {
      index = this.labels.length;
      this.#indexOfKey.set(key, index);
      this.labels.push(rest ?? labels.only(this.#bySet));
    }
    return index;
  }

  /** As `indexOf`, of a row whose group the storage has given a number. */
  indexOfNumber(number: number, row: { readonly labels: Labels }): number {
    while (number >= this.#indexOfNumber.length) this.#indexOfNumber = doubled(this.#indexOfNumber);
    const known = this.#indexOfNumber[number]!;
    if (known > 0) return known - 1;
    const index = this.labels.length;
    this.#indexOfNumber[number] = index + 1;
    this.labels.push(this.#labelsOf(row.labels));
    return index;
  }

  #labelsOf(labels: Labels): Labels {
    return this.#by === undefined ? labels.without(this.#without) : labels.only(this.#bySet);
  }

  #key(labels: Labels, by: readonly string[]): string {
    if (by.length === 1) return mapKey(labels.get(by[0]!));
    if (by.length > MANY_NAMES) return labels.only(this.#bySet).key();
    let key = "";
    for (const name of by) {
      const value = labels.get(name);
      key += `${value.length}:${value}`;
    }
    return mapKey(key);
  }
}

function doubled(column: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(column.length * 2);
  grown.set(column);
  return grown;
}
