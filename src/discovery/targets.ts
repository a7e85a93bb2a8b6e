import type { ScrapeConfig } from "../config/types.ts";
import { TargetBuilder, type TargetOptions } from "../model/target-build.ts";
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
  /** The first of those that relabelling dropped, at most `max`; after another build those of that one. */
  readonly dropped: (max: number) => DroppedTarget[];
  readonly droppedCount: number;
  /** Targets that could not be built, and a limit that was hit, in Prometheus's words. */
  readonly errors: readonly string[];
}

type PoolOptions = TargetOptions & Pick<ScrapeConfig, "targetLimit">;

type LabelRecord = Readonly<Record<string, string>>;

/** How far ahead in the last list a group is looked for that is not in its place any more. */
const LOOK_AHEAD_MAX = 64;

/** What became of a target: built, dropped by relabelling, or why it cannot be built. */
type Outcome = Target | DroppedTarget | string;

const ACTIVE = 0;
const DROPPED = 1;
const FAILED = 2;
type Kind = typeof ACTIVE | typeof DROPPED | typeof FAILED;

/** The outcomes of the targets of a list of groups, one group after the other. */
interface Outcomes {
  readonly groups: readonly TargetGroup[];
  /** By group, where its targets begin; then the end of all. */
  readonly starts: Int32Array;
  readonly list: Outcome[];
  /** By target, its `Kind`: it is asked of all of them, and few of the objects are. */
  readonly kinds: Uint8Array;
}

const nothing = (): Outcomes => ({
  groups: [],
  starts: new Int32Array(1),
  list: [],
  kinds: new Uint8Array(0),
});

/**
 * Builds the targets of one job again and again as discovery finds more. Groups that are the very objects of the time
 * before are not looked into, and in others only what is not the very same label objects is built: an update costs what
 * it changes, and a pass over the list that touches nothing else.
 *
 *     groups before    A  B  C     D  E          outcomes of their targets, one after the other
 *     groups now       A     C  X  D  E' F       A, C, D: taken over; B: left; X, E', F: built
 */
export class JobTargetBuilder {
  readonly #limit: number;
  readonly #builder: TargetBuilder;
  #outcomes = nothing();
  /** How many there are, by kind. */
  readonly #counts: [active: number, dropped: number, failed: number] = [0, 0, 0];
  /** How often each hash is among them, and how many are there more than once. */
  readonly #timesListed = new Map<string, number>();
  #repeated = 0;

  constructor(scrapeConfig: PoolOptions, volatile?: VolatileLabels) {
    this.#limit = scrapeConfig.targetLimit;
    this.#builder = new TargetBuilder(scrapeConfig, volatile);
  }

  /** The job's targets now. A target that was there before is the same object as before, unless it is refused. */
  build(groups: readonly TargetGroup[]): BuiltTargets {
    const outcomes = this.#update(groups);
    this.#outcomes = outcomes;
    const [activeCount, droppedCount, failedCount] = this.#counts;
    const errors = failedCount === 0 ? [] : failures(outcomes);
    const active = ofKind(outcomes, ACTIVE, activeCount) as Target[];
    const distinct = this.#repeated === 0 ? active : onceEach(active, errors);
    const dropped = (max: number): DroppedTarget[] =>
      ofKind(this.#outcomes, DROPPED, Math.min(max, this.#counts[DROPPED])) as DroppedTarget[];
    const refusal = checkLimit(distinct.length, this.#limit);
    if (refusal === undefined) return { active: distinct, dropped, droppedCount, errors };
    errors.push(refusal);
    const refused = distinct.map((target) => refuseTarget(target, refusal));
    return { active: refused, dropped, droppedCount, errors };
  }

  #update(groups: readonly TargetGroup[]): Outcomes {
    const before = this.#outcomes;
    const { takenFrom, starts, left } = this.#compare(groups);
    const size = starts[groups.length]!;
    // Mostly groups leave where they are and come at the end: then all that stay keep their place or move forward, which the
    // list itself has room for. A new one for each update would be most of the garbage.
    const isForward = takenFrom.every((from, i) => from < 0 || starts[i]! <= from);
    const list = isForward ? before.list : arrayOf<Outcome>(size);
    const kinds = new Uint8Array(size);
    for (let i = 0; i < groups.length; i++) {
      const start = starts[i]!;
      const end = starts[i + 1]!;
      const from = takenFrom[i]!;
      if (from >= 0)
        for (let k = start, old = from; k < end; k++, old++) {
          list[k] = before.list[old]!;
          kinds[k] = before.kinds[old]!;
        }
      else {
        const { labels, targets } = groups[i]!;
        for (let k = start; k < end; k++) {
          const outcome = this.#enter(targets[k - start]!, labels, left);
          list[k] = outcome;
          kinds[k] = kindOf(outcome);
        }
      }
    }
    list.length = size;
    return { groups, starts, list, kinds };
  }

  /**
   * Where the targets of each group begin, and where those began of the groups that were there before, -1 for others; and
   * the targets of groups that left.
   */
  #compare(groups: readonly TargetGroup[]): {
    takenFrom: Int32Array;
    starts: Int32Array;
    left: Left;
  } {
    const before = this.#outcomes;
    const left: Left = new Map();
    const takenFrom = new Int32Array(groups.length).fill(-1);
    const starts = new Int32Array(groups.length + 1);
    let place = 0;
    for (let i = 0; i < groups.length; i++) {
      const found = findFrom(before.groups, groups[i]!, place);
      if (found < 0) {
        starts[i + 1] = starts[i]! + groups[i]!.targets.length;
        continue;
      }
      while (place < found) this.#leave(before, place++, left);
      takenFrom[i] = before.starts[place]!;
      starts[i + 1] = starts[i]! + before.starts[place + 1]! - before.starts[place]!;
      place++;
    }
    while (place < before.groups.length) this.#leave(before, place++, left);
    return { takenFrom, starts, left };
  }

  #leave({ groups, starts, list }: Outcomes, place: number, left: Left): void {
    const { labels: groupLabels, targets } = groups[place]!;
    const start = starts[place]!;
    for (const [k, target] of targets.entries()) {
      const outcome = list[start + k]!;
      this.#count(outcome, -1);
      left.set(target, { groupLabels, outcome });
    }
  }

  #enter(labels: LabelRecord, groupLabels: LabelRecord, left: Left): Outcome {
    const known = left.get(labels);
    const outcome =
      known?.groupLabels === groupLabels ? known.outcome : this.#build(labels, groupLabels);
    this.#count(outcome, 1);
    return outcome;
  }

  #build(labels: LabelRecord, groupLabels: LabelRecord): Outcome {
    const result = this.#builder.build(labels, groupLabels);
    return result.kind === "error" ? result.message : result.target;
  }

  #count(outcome: Outcome, change: 1 | -1): void {
    this.#counts[kindOf(outcome)] += change;
    if (typeof outcome === "string" || !("hash" in outcome)) return;
    const { hash } = outcome;
    const before = this.#timesListed.get(hash) ?? 0;
    const now = before + change;
    if (now === 0) this.#timesListed.delete(hash);
    else this.#timesListed.set(hash, now);
    if (before + now === 3) this.#repeated += change;
  }
}

/** What became of label objects that are not where they were. */
type Left = Map<LabelRecord, { readonly groupLabels: LabelRecord; readonly outcome: Outcome }>;

function kindOf(outcome: Outcome): Kind {
  if (typeof outcome === "string") return FAILED;
  return "hash" in outcome ? ACTIVE : DROPPED;
}

/** An array with room for `length` elements, all of which the caller sets: growing step by step takes ten times as long. */
function arrayOf<T>(length: number): T[] {
  const array: T[] = [];
  array.length = length;
  return array;
}

/** The first `count` outcomes of one kind. */
function ofKind({ list, kinds }: Outcomes, kind: Kind, count: number): Outcome[] {
  const found = arrayOf<Outcome>(count);
  for (let k = 0, next = 0; next < count; k++) if (kinds[k] === kind) found[next++] = list[k]!;
  return found;
}

function failures({ groups, starts, list }: Outcomes): string[] {
  return groups.flatMap(({ source, targets }, i) =>
    targets.flatMap((_, k) => {
      const outcome = list[starts[i]! + k]!;
      return typeof outcome === "string" ? [`instance ${k} in group ${source}: ${outcome}`] : [];
    }),
  );
}

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
