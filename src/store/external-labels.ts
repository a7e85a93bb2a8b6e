import { compareText } from "../base/text.ts";
import { Labels } from "../model/labels.ts";
import type { Matcher } from "../model/matcher.ts";
import type { Queryable, Series, SeriesBatch } from "../storage/queryable.ts";
import { relabelSeries, type SeriesRelabeling } from "../storage/relabel-series.ts";

/**
 * What a store's external labels do to a request and its answer: they are conditions that hold or fail for the whole
 * store, and they stand on every series it gives out.
 */

/**
 * The matchers left for the series once those about external labels are decided; undefined when one of them fails,
 * so that the store has nothing to say.
 */
export function matchExternalLabels(
  matchers: readonly Matcher[],
  external: Labels,
): readonly Matcher[] | undefined {
  const rest: Matcher[] = [];
  for (const matcher of matchers) {
    const value = external.get(matcher.name);
    if (value === "") rest.push(matcher);
    else if (!matcher.matches(value)) return undefined;
  }
  return rest;
}

export interface LabelChanges {
  /** Set on every series, over a label of the same name. */
  readonly external: Labels;
  /** Removed from every series and from the external labels. */
  readonly without: ReadonlySet<string>;
}

/** Labels with the changes applied; one pass over two sorted lists. */
export function changeLabels(labels: Labels, { external, without }: LabelChanges): Labels {
  const flat: string[] = [];
  let i = 0;
  let j = 0;
  while (i < labels.count || j < external.count) {
    const order =
      i === labels.count
        ? 1
        : j === external.count
          ? -1
          : compareText(labels.nameAt(i), external.nameAt(j));
    const from = order < 0 ? labels : external;
    const at = order < 0 ? i : j;
    if (order <= 0) i++;
    if (order >= 0) j++;
    const name = from.nameAt(at);
    if (!without.has(name)) flat.push(name, from.valueAt(at));
  }
  return Labels.fromSorted(flat);
}

/** Whether no series has one of the labels `names` then, so that those that differ still do when they are changed. */
export async function areFree(
  names: readonly string[],
  queryable: Pick<Queryable, "labelValues">,
  { minTimeMs, maxTimeMs }: { readonly minTimeMs: number; readonly maxTimeMs: number },
): Promise<boolean> {
  const request = { matchers: [], minTimeMs, maxTimeMs, limit: 1 };
  for (const name of names)
    if ((await queryable.labelValues(name, request)).values.length > 0) return false;
  return true;
}

/** Applies label changes to a sorted stream and keeps it sorted. */
export function changeSeriesLabels(
  batches: AsyncIterable<SeriesBatch>,
  changes: LabelChanges & Pick<SeriesRelabeling<Series>, "keepsApart">,
): AsyncIterable<SeriesBatch> {
  const { keepsApart } = changes;
  return relabelSeries(batches, {
    names: [...[...changes.external].map(([name]) => name), ...changes.without],
    ...(keepsApart && { keepsApart }),
    change: ({ labels, chunks }) => ({ labels: changeLabels(labels, changes), chunks }),
  });
}
