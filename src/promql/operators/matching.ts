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
  const signature = signatureFunction(matching);
  const groups = new Map<string, MatchGroup>();
  const groupOf = (row: Row): MatchGroup => {
    const key = signature(row.labels);
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

/** An injective text of the labels that count for matching, made without building a label set. */
export function signatureFunction(matching: VectorMatching): (labels: Labels) => string {
  const names = [...new Set(matching.labels)];
  if (matching.on)
    return (labels) => {
      let key = "";
      for (const name of names) {
        const value = labels.get(name);
        key += `${value.length}:${value}`;
      }
      return key;
    };
  const ignored = new Set([METRIC_NAME, ...names]);
  return (labels) => {
    let key = "";
    for (let i = 0; i < labels.count; i++) {
      const name = labels.nameAt(i);
      if (ignored.has(name)) continue;
      const value = labels.valueAt(i);
      key += `${name.length}:${name}${value.length}:${value}`;
    }
    return key;
  };
}

/** The labels that `on(…)` keeps or `ignoring(…)` leaves. */
export function matchLabels(labels: Labels, matching: VectorMatching): Labels {
  return matching.on
    ? labels.only(matching.labels)
    : labels.without([METRIC_NAME, ...matching.labels]);
}
