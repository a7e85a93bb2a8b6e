import type { TargetGroup } from "../model/target.ts";
import { reuseGroup, reuseGroups } from "./reuse.ts";

/**
 * What one mechanism has found. It is replaced as a whole or group by group; whatever says the same as before stays the
 * same object.
 */
export class GroupSet {
  #groups: readonly TargetGroup[] | undefined;
  /** By source; made when groups change one by one, and then `#groups` is made from it. */
  #bySource: Map<string, TargetGroup> | undefined;
  #targetCount = 0;

  /** Undefined until there is a first list. */
  get groups(): readonly TargetGroup[] | undefined {
    if (this.#groups === undefined && this.#bySource !== undefined)
      this.#groups = [...this.#bySource.values()];
    return this.#groups;
  }

  /** How many targets all groups have. */
  get targetCount(): number {
    return this.#targetCount;
  }

  /** Takes a new list of everything. Returns whether it says something new. */
  replace(next: readonly TargetGroup[]): boolean {
    const before = this.groups;
    this.#groups = reuseGroups(before ?? [], next);
    this.#bySource = undefined;
    this.#targetCount = countTargets(this.#groups);
    return this.#groups !== before;
  }

  /** Takes groups that are new or other than before; one without targets is gone. Returns whether that is news. */
  change(changes: readonly TargetGroup[]): boolean {
    this.#bySource ??= new Map((this.#groups ?? []).map((group) => [group.source, group]));
    let isNews = false;
    for (const group of changes) {
      const known = this.#bySource.get(group.source);
      if (group.targets.length === 0) isNews = this.#bySource.delete(group.source) || isNews;
      else {
        const next = known === undefined ? group : reuseGroup(known, group);
        if (next === known) continue;
        this.#bySource.set(group.source, next);
        isNews = true;
      }
      this.#targetCount += group.targets.length - (known?.targets.length ?? 0);
    }
    if (isNews) this.#groups = undefined;
    return isNews;
  }
}

export function countTargets(groups: readonly TargetGroup[]): number {
  let count = 0;
  for (const { targets } of groups) count += targets.length;
  return count;
}
