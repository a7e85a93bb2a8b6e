import { METRIC_NAME, type Labels } from "../../model/labels.ts";
import type { VectorMatching } from "../ast.ts";
import type { Row } from "./row.ts";

/** The rows of both sides of a binary operator that share their matching labels. */
export interface MatchGroup {
  readonly left: Row[];
  readonly right: Row[];
}

/** Groups in order of first appearance, left rows first. */
export function matchGroups(
  left: readonly Row[],
  right: readonly Row[],
  matching: VectorMatching,
): MatchGroup[] {
  const groups = new Map<string, MatchGroup>();
  const groupOf = (row: Row): MatchGroup => {
    const key = matchLabels(row.labels, matching).key();
    let group = groups.get(key);
    if (group === undefined) {
      group = { left: [], right: [] };
      groups.set(key, group);
    }
    return group;
  };
  for (const row of left) groupOf(row).left.push(row);
  for (const row of right) groupOf(row).right.push(row);
  return [...groups.values()];
}

/** The labels that `on(…)` keeps or `ignoring(…)` leaves. */
export function matchLabels(labels: Labels, matching: VectorMatching): Labels {
  return matching.on
    ? labels.only(matching.labels)
    : labels.without([METRIC_NAME, ...matching.labels]);
}
