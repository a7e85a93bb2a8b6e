import { METRIC_NAME, type Labels } from "../../model/labels.ts";
import { METADATA_LABELS, visibleLabels, type QueryContext } from "./row.ts";

/** Which group of an aggregation a series belongs to, and the labels of the groups. */
export class Groups {
  readonly #by: readonly string[] | undefined;
  readonly #without: ReadonlySet<string>;
  readonly #readsMetadata: boolean;
  readonly #indexOfKey = new Map<string, number>();
  readonly labels: Labels[] = [];

  constructor(options: { grouping: readonly string[]; without: boolean }) {
    this.#by = options.without ? undefined : options.grouping;
    this.#without = new Set([...options.grouping, METRIC_NAME]);
    this.#readsMetadata =
      options.without || options.grouping.some((name) => METADATA_LABELS.has(name));
  }

  /** The group's index; a new group gets the next one. */
  indexOf(row: { labels: Labels; dropName: boolean }, query: QueryContext): number {
    // Fast path: labels other than the metric's own do not change when its name is dropped.
    const labels = this.#readsMetadata ? visibleLabels(row, query) : row.labels;
    const key = this.#key(labels);
    let index = this.#indexOfKey.get(key);
    if (index === undefined) {
      index = this.labels.length;
      this.#indexOfKey.set(key, index);
      this.labels.push(
        this.#by === undefined ? labels.without(this.#without) : labels.only(this.#by),
      );
    }
    return index;
  }

  #key(labels: Labels): string {
    const by = this.#by;
    if (by === undefined) return labels.without(this.#without).key();
    if (by.length === 1) return labels.get(by[0]!);
    let key = "";
    for (const name of by) {
      const value = labels.get(name);
      key += `${value.length}:${value}`;
    }
    return key;
  }
}
