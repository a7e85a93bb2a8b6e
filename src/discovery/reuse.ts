import type { TargetGroup } from "../model/target.ts";

type LabelRecord = Readonly<Record<string, string>>;

/**
 * `next`, made of the objects of `previous` wherever they say the same. Mechanisms list everything anew each time; this
 * makes "nothing changed" and "these few changed" a matter of comparing references for all who come after.
 */
export function reuseGroups(
  previous: readonly TargetGroup[],
  next: readonly TargetGroup[],
): readonly TargetGroup[] {
  const bySource = new Map(previous.map((group) => [group.source, group]));
  const reused = next.map((group) => {
    const known = bySource.get(group.source);
    return known === undefined ? group : reuseGroup(known, group);
  });
  return sameElements(previous, reused) ? previous : reused;
}

/** `group`, made of the objects of `known` wherever they say the same. */
export function reuseGroup(known: TargetGroup, group: TargetGroup): TargetGroup {
  const labels = sameLabels(known.labels, group.labels) ? known.labels : group.labels;
  const targets = reuseTargets(known.targets, group.targets);
  return labels === known.labels && targets === known.targets
    ? known
    : { source: group.source, labels, targets };
}

function reuseTargets(
  known: readonly LabelRecord[],
  targets: readonly LabelRecord[],
): readonly LabelRecord[] {
  let byAddress: Map<string | undefined, LabelRecord> | undefined;
  const reused = targets.map((target, index) => {
    const samePlace = known[index];
    if (samePlace !== undefined && sameLabels(samePlace, target)) return samePlace;
    // Moved, because others came or went before it.
    byAddress ??= new Map(known.map((one) => [one["__address__"], one]));
    const sameAddress = byAddress.get(target["__address__"]);
    return sameAddress !== undefined && sameLabels(sameAddress, target) ? sameAddress : target;
  });
  return sameElements(known, reused) ? known : reused;
}

function sameLabels(a: LabelRecord, b: LabelRecord): boolean {
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  for (const name of names) if (!Object.hasOwn(b, name) || a[name] !== b[name]) return false;
  return true;
}

/** Whether both hold the very same objects (or equal texts) in the same order. */
export function sameElements<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((element, index) => element === b[index]);
}
