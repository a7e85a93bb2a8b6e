import { mapKey } from "../../base/map-key.ts";
import { compareText } from "../../base/text.ts";
import { compareLabelRests, METRIC_NAME, type Labels } from "../../model/labels.ts";
import type { VectorMatching } from "../ast.ts";
import type { Row } from "./row.ts";

/** Up to so many names are looked up in a label set one by one. A query may have a hundred thousand. */
export const MANY_NAMES = 64;

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
  const paired = pairInOrder(left, right, matching);
  if (paired !== undefined) return paired;
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

/**
 * Fast path: where both sides come in the order of their matching labels, and no two series of a side share them, one
 * walk along both finds the groups and no text is made. Else undefined.
 */
function pairInOrder(
  left: readonly Row[],
  right: readonly Row[],
  matching: VectorMatching,
): MatchGroup[] | undefined {
  if (matching.labels.length > MANY_NAMES) return undefined;
  const compare =
    !matching.on && matching.labels.length === 0 && haveOneName(left) && haveOneName(right)
      ? compareLabelRests
      : signatureOrder(matching);
  for (const rows of [left, right])
    for (let i = 1; i < rows.length; i++)
      if (compare(rows[i - 1]!.labels, rows[i]!.labels) >= 0) return undefined;
  const groups: MatchGroup[] = [];
  const alone: MatchGroup[] = [];
  let j = 0;
  for (const row of left) {
    let order = -1;
    while (j < right.length && (order = compare(row.labels, right[j]!.labels)) > 0)
      alone.push({ left: [], right: [right[j++]!] });
    groups.push({ left: [row], right: j < right.length && order === 0 ? [right[j++]!] : [] });
  }
  while (j < right.length) alone.push({ left: [], right: [right[j++]!] });
  return [...groups, ...alone];
}

/** Whether all rows have the same metric name, and that as their first label. */
export function haveOneName(rows: readonly Row[]): boolean {
  const name = rows[0]?.labels.get(METRIC_NAME) ?? "";
  return rows.every(({ labels }) => labels.beginsWith(METRIC_NAME, name));
}

/** An order of the labels that count for matching; 0 where `signatureFunction` gives equal texts. */
function signatureOrder(matching: VectorMatching): (a: Labels, b: Labels) => number {
  const names = [...new Set(matching.labels)];
  if (matching.on)
    return (a, b) => {
      for (const name of names) {
        const order = compareText(a.get(name), b.get(name));
        if (order !== 0) return order;
      }
      return 0;
    };
  const ignored = new Set([METRIC_NAME, ...names]);
  return (a, b) => {
    let i = 0;
    let j = 0;
    for (;;) {
      while (i < a.count && ignored.has(a.nameAt(i))) i++;
      while (j < b.count && ignored.has(b.nameAt(j))) j++;
      if (i === a.count || j === b.count) return Number(i < a.count) - Number(j < b.count);
      const order =
        compareText(a.nameAt(i), b.nameAt(j)) || compareText(a.valueAt(i), b.valueAt(j));
      if (order !== 0) return order;
      i++;
      j++;
    }
  };
}

/** A text that only the same labels that count for matching have, made without building a label set. */
export function signatureFunction(matching: VectorMatching): (labels: Labels) => string {
  const names = [...new Set(matching.labels)];
  if (matching.on && names.length > MANY_NAMES) {
    const wanted = new Set(names);
    return (labels) => labels.only(wanted).key();
  }
  if (matching.on)
    return (labels) => {
      let key = "";
      for (const name of names) {
        const value = labels.get(name);
        key += `${value.length}:${value}`;
      }
      return mapKey(key);
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
    return mapKey(key);
  };
}

/** The labels that `on(…)` keeps or `ignoring(…)` leaves. */
export function matchLabels(labels: Labels, matching: VectorMatching): Labels {
  return matching.on
    ? labels.only(matching.labels)
    : labels.without([METRIC_NAME, ...matching.labels]);
}
