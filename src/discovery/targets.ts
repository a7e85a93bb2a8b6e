import type { ScrapeConfig } from "../config/types.ts";
import { TargetBuilder, type TargetOptions, type TargetResult } from "../model/target-build.ts";
import {
  type DroppedTarget,
  isSameScrape,
  refuseTarget,
  type Target,
  type TargetGroup,
} from "../model/target.ts";
import type { VolatileLabels } from "../model/target-identity.ts";

export interface BuiltTargets {
  /**
   * Each once: the same labels and URL (but for what is volatile) found twice are one target. When there are more than
   * `target_limit`, each has a refusal, in Prometheus's words.
   */
  readonly active: readonly Target[];
  /** Those that relabelling dropped; all of them, however few `keep_dropped_targets` shows. */
  readonly dropped: readonly DroppedTarget[];
  /** Targets that could not be built, and a limit that was hit, in Prometheus's words. */
  readonly errors: readonly string[];
}

type PoolOptions = TargetOptions & Pick<ScrapeConfig, "targetLimit">;

type LabelRecord = Readonly<Record<string, string>>;

/** How far ahead in the last list a group is looked for that is not in its place any more. */
const LOOK_AHEAD_MAX = 64;

/**
 * Builds the targets of one job again and again as discovery finds more. Groups that are the very objects of the time
 * before are not looked into, and in others only what is not the very same label objects is built: an update costs what
 * it changes, and a pass over the list.
 *
 *     groups before    A  B  C     D  E          results of their targets, one after the other
 *     groups now       A     C  X  D  E' F       A, C, D: taken over; B: left; X, E', F: built
 */
export class JobTargetBuilder {
  readonly #limit: number;
  readonly #builder: TargetBuilder;
  #groups: readonly TargetGroup[] = [];
  /** Of all targets of `#groups`. */
  #results: readonly TargetResult[] = [];
  /** How often each hash is among them, and how many are there more than once. */
  readonly #counts = new Map<string, number>();
  #repeated = 0;

  constructor(scrapeConfig: PoolOptions, volatile?: VolatileLabels) {
    this.#limit = scrapeConfig.targetLimit;
    this.#builder = new TargetBuilder(scrapeConfig, volatile);
  }

  /** The job's targets now. A target that was there before is the same object as before, unless it is refused. */
  build(groups: readonly TargetGroup[]): BuiltTargets {
    this.#update(groups);
    const active: Target[] = [];
    const dropped: DroppedTarget[] = [];
    const errors: string[] = [];
    let next = 0;
    for (const { source, targets } of groups)
      for (let k = 0; k < targets.length; k++) {
        const result = this.#results[next++]!;
        if (result.kind === "target") active.push(result.target);
        else if (result.kind === "dropped") dropped.push(result.target);
        else errors.push(`instance ${k} in group ${source}: ${result.message}`);
      }
    const distinct = this.#repeated === 0 ? active : onceEach(active, errors);
    const refusal = checkLimit(distinct.length, this.#limit);
    if (refusal === undefined) return { active: distinct, dropped, errors };
    errors.push(refusal);
    return { active: distinct.map((target) => refuseTarget(target, refusal)), dropped, errors };
  }

  #update(groups: readonly TargetGroup[]): void {
    const { taken, left } = this.#compare(groups);
    const results: TargetResult[] = [];
    for (const [i, { labels, targets }] of groups.entries())
      for (let k = 0; k < targets.length; k++) {
        const start = taken[i]!;
        if (start >= 0) results.push(this.#results[start + k]!);
        else results.push(this.#enter(targets[k]!, labels, left));
      }
    this.#groups = groups;
    this.#results = results;
  }

  /** Where the results of each group begin that was there before, -1 for others; and the targets of those that left. */
  #compare(groups: readonly TargetGroup[]): { taken: Int32Array; left: Left } {
    const before = this.#groups;
    const left: Left = new Map();
    const taken = new Int32Array(groups.length).fill(-1);
    let place = 0;
    let start = 0;
    const leave = (): void => {
      const { labels, targets } = before[place++]!;
      for (const target of targets) {
        const result = this.#results[start++]!;
        this.#count(result, -1);
        left.set(target, { groupLabels: labels, result });
      }
    };
    for (const [i, group] of groups.entries()) {
      const found = findFrom(before, group, place);
      if (found < 0) continue;
      while (place < found) leave();
      taken[i] = start;
      start += group.targets.length;
      place++;
    }
    while (place < before.length) leave();
    return { taken, left };
  }

  #enter(labels: LabelRecord, groupLabels: LabelRecord, left: Left): TargetResult {
    const known = left.get(labels);
    const result =
      known?.groupLabels === groupLabels ? known.result : this.#builder.build(labels, groupLabels);
    this.#count(result, 1);
    return result;
  }

  #count(result: TargetResult, change: 1 | -1): void {
    if (result.kind !== "target") return;
    const { hash } = result.target;
    const before = this.#counts.get(hash) ?? 0;
    const now = before + change;
    if (now === 0) this.#counts.delete(hash);
    else this.#counts.set(hash, now);
    if (before + now === 3) this.#repeated += change;
  }
}

/** What became of label objects that are not where they were. */
type Left = Map<LabelRecord, { readonly groupLabels: LabelRecord; readonly result: TargetResult }>;

function findFrom(groups: readonly TargetGroup[], group: TargetGroup, from: number): number {
  const end = Math.min(groups.length, from + LOOK_AHEAD_MAX);
  for (let place = from; place < end; place++) if (groups[place] === group) return place;
  return -1;
}

function onceEach(targets: readonly Target[], errors: string[]): Target[] {
  const once = new Map<string, Target>();
  for (const target of targets) {
    // Of equal targets the last one's discovered labels are shown, as in Prometheus.
    const known = once.get(target.hash);
    if (known !== undefined && !isSameScrape(known, target)) errors.push(alike(known, target));
    once.set(target.hash, target);
  }
  return [...once.values()];
}

/** The operator has called volatile what tells two targets apart. */
function alike(one: Target, other: Target): string {
  return `${one.url} and ${other.url} differ in ignored labels only (--target.ignore-labels): the second is scraped`;
}

function checkLimit(count: number, limit: number): string | undefined {
  return limit > 0 && count > limit
    ? `target_limit exceeded (number of targets: ${count}, limit: ${limit})`
    : undefined;
}
