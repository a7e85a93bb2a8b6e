import { compareLabels, type Labels } from "../../model/labels.ts";
import type { PartialAggregate } from "./partial.ts";
import type { PartialOperator } from "./series-local.ts";

/** Why the parts do not tell the whole, for the metric. */
export type Undecided = "rounding" | "ties";

/** A group as the parts have it. */
export interface MergedGroup {
  readonly labels: Labels;
  /** Of the first series of all. */
  first: Labels;
  dropName: boolean;
  readonly members: { readonly part: PartialAggregate; readonly index: number }[];
}

export interface MergeOptions {
  readonly operator: PartialOperator;
  readonly limit: number;
  readonly steps: number;
  readonly delayedNameRemoval: boolean;
  /** There is one part, and it was made as the only one. */
  readonly isOnly: boolean;
}

/** In the order in which the engine meets them: that of their first series. */
export function mergeGroups(parts: readonly PartialAggregate[]): MergedGroup[] {
  const groups = new Map<string, MergedGroup>();
  for (const part of parts)
    for (const [index, { labels, first, dropName }] of part.groups.entries()) {
      const key = labels.key();
      let group = groups.get(key);
      if (group === undefined)
        groups.set(key, (group = { labels, first, dropName: false, members: [] }));
      else if (compareLabels(first, group.first) < 0) group.first = first;
      if (dropName) group.dropName = true;
      group.members.push({ part, index });
    }
  return [...groups.values()].sort((a, b) => compareLabels(a.first, b.first));
}
