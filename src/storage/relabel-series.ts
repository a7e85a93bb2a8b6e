import { compareText } from "../base/text.ts";
import { METRIC_NAME } from "../model/labels.ts";
import { sortSeries } from "./merge.ts";
import type { Series, SeriesBatch } from "./queryable.ts";

export interface SeriesRelabeling<S extends Series> {
  readonly change: (series: Series) => S;
  /** The labels that `change` may add, change or take away. */
  readonly names: Iterable<string>;
  /** Whether series that differ still do so when they are changed; asked when it matters. Default: nobody knows. */
  readonly keepsApart?: () => Promise<boolean>;
  /** Orders changed series by their labels. Takes over the array. Default: `sortSeries`, which joins equal ones. */
  readonly sort?: (series: S[]) => S[];
}

/**
 * Changes the labels of a sorted stream and keeps it sorted. New or missing labels can change the order of series, but
 * never across metrics when the metric name is everywhere the first label and stays so: then one metric's series at a time
 * are held back and sorted, else all of them.
 */
export async function* relabelSeries<S extends Series = Series>(
  batches: AsyncIterable<SeriesBatch>,
  relabeling: SeriesRelabeling<S>,
): AsyncGenerator<SeriesBatch> {
  const { change, keepsApart, sort = sortSeries } = relabeling;
  const byMetric = [...relabeling.names].every((name) => compareText(name, METRIC_NAME) > 0);
  let held: S[] = [];
  let metric: string | undefined;
  for await (const { expected: told, ...batch } of batches) {
    const isApart =
      told !== undefined &&
      (told.atLeast > 0 || told.samples !== undefined) &&
      (await keepsApart?.()) === true;
    const expected = isApart ? told : told && { atLeast: 0, atMost: told.atMost };
    let out: Series[] = [];
    for (const one of batch.series) {
      const { labels } = one;
      const current =
        labels.count > 0 && labels.nameAt(0) === METRIC_NAME ? labels.valueAt(0) : undefined;
      if (byMetric && held.length > 0 && metric !== undefined && current !== metric) {
        // A series without a metric name in first place sorts before or after all that have one.
        out = out.concat(sort(held));
        held = [];
      }
      metric = current;
      held.push(change(one));
    }
    if (out.length > 0 || expected || batch.warnings !== undefined || batch.infos !== undefined)
      yield { ...batch, series: out, ...(expected && { expected }) };
  }
  if (held.length > 0) yield { series: sort(held) };
}
