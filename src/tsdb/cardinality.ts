import type { MemPostings } from "../index/mem-postings.ts";
import { METRIC_NAME } from "../model/labels.ts";

export interface CardinalityEntry {
  readonly name: string;
  readonly value: number;
}

/** The lists of `/api/v1/status/tsdb`, each with its largest entries first. */
export interface Cardinality {
  readonly seriesCountByMetricName: readonly CardinalityEntry[];
  readonly labelValueCountByLabelName: readonly CardinalityEntry[];
  /** Bytes that each label name takes in the label sets of all series, as Prometheus lays them out. */
  readonly memoryInBytesByLabelName: readonly CardinalityEntry[];
  /** Keys are `name=value`. */
  readonly seriesCountByLabelValuePair: readonly CardinalityEntry[];
}

/** Walks the whole index once: some tens of ms per million label pairs. */
export function cardinality(postings: MemPostings, limit: number): Cardinality {
  const { symbols } = postings;
  const metricNameId = symbols.find(METRIC_NAME);
  const byMetric = new Top(limit);
  const byLabel = new Top(limit);
  const bySize = new Top(limit);
  const byPair = new Top(limit);
  for (const name of postings.names()) {
    let values = 0;
    let size = 0;
    postings.forEachPairOf(name, (pair) => {
      const value = postings.valueOf(pair);
      const series = postings.countOf(pair);
      values++;
      size += (sizeInLabels(symbols.sizeOf(name)) + sizeInLabels(symbols.sizeOf(value))) * series;
      if (name === metricNameId) byMetric.offer(series, () => symbols.text(value));
      byPair.offer(series, () => `${symbols.text(name)}=${symbols.text(value)}`);
    });
    if (values === 0) continue;
    byLabel.offer(values, () => symbols.text(name));
    bySize.offer(size, () => symbols.text(name));
  }
  return {
    seriesCountByMetricName: byMetric.entries,
    labelValueCountByLabelName: byLabel.entries,
    memoryInBytesByLabelName: bySize.entries,
    seriesCountByLabelValuePair: byPair.entries,
  };
}

/** A text stands behind its length, which is one byte, or four from 255 on. */
function sizeInLabels(size: number): number {
  return size + (size < 255 ? 1 : 4);
}

/** The `limit` largest of what is offered, in falling order; the name is made only for those. */
class Top {
  readonly entries: CardinalityEntry[] = [];
  readonly #limit: number;

  constructor(limit: number) {
    this.#limit = limit;
  }

  offer(value: number, name: () => string): void {
    const { entries } = this;
    if (entries.length === this.#limit && value <= (entries.at(-1)?.value ?? Infinity)) return;
    let at = entries.length;
    while (at > 0 && entries[at - 1]!.value < value) at--;
    entries.splice(at, 0, { name: name(), value });
    if (entries.length > this.#limit) entries.pop();
  }
}
