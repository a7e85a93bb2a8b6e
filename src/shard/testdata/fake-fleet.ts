import type { Random } from "../../base/random.ts";
import { costOf, type Load } from "../load.ts";
import { plan } from "../plan.ts";
import type {
  Observed,
  ObservedAssignment,
  ObservedTarget,
  Plan,
  PlanOptions,
} from "../plan-types.ts";

/** One shard of a fleet, without a process. */
export interface FleetShard {
  readonly id: string;
  readonly ordinal: number;
  assignments: Map<string, ObservedAssignment>;
  isDown: boolean;
  lastSeenMs: number;
  idleSinceMs: number | undefined;
  dataUntilMs: number | undefined;
}

export type FleetTarget = ObservedTarget & { readonly load: Load };

/** How long a cycle of a fleet takes; every shard scrapes everything once in it. */
export const FLEET_CYCLE_MS = 10_000;

/**
 * Targets and shards as plain data for tests of the planner alone: every plan is carried out at once and in full, new
 * shards are there a cycle later, every target answers.
 */
export class FakeFleet {
  nowMs = 1_000_000;
  readonly targets = new Map<string, FleetTarget>();
  readonly shards: FleetShard[] = [];
  reference: Observed["reference"];
  /** To be set when all targets have numbers. */
  hashCount: Observed["hashCount"];
  drainShards: ReadonlySet<string> = new Set();
  /** Moves begun since the start. */
  moves = 0;
  #lastScaleUpMs: number | undefined;
  #lastScaleDownMs: number | undefined;

  constructor(targets: Iterable<FleetTarget>, shardCount: number) {
    for (const target of targets) this.targets.set(target.hash, target);
    this.scale(shardCount);
  }

  scale(count: number): void {
    while (this.shards.length < count) {
      const ordinal = this.shards.length;
      this.shards.push({
        id: `shard-${ordinal}`,
        ordinal,
        assignments: new Map(),
        isDown: false,
        lastSeenMs: 0,
        idleSinceMs: this.nowMs,
        dataUntilMs: undefined,
      });
    }
    this.shards.splice(count);
  }

  observe(): Observed {
    for (const shard of this.shards) if (!shard.isDown) shard.lastSeenMs = this.nowMs;
    return {
      targets: [...this.targets.values()],
      ...(this.hashCount !== undefined && { hashCount: this.hashCount }),
      heldJobs: new Set(),
      shards: this.shards.map(({ id, ordinal, isDown, ...shard }) => {
        const assignments = [...shard.assignments.values()];
        return {
          id,
          ordinal,
          state: !isDown ? "ready" : shard.lastSeenMs === 0 ? "starting" : "lost",
          lastSeenMs: shard.lastSeenMs,
          headSeries: assignments.reduce((sum, { load }) => sum + costOf(load).series, 0),
          idleSinceMs: shard.idleSinceMs,
          dataUntilMs: shard.dataUntilMs,
          assignments,
        };
      }),
      desiredShards: this.shards.length,
      drainShards: this.drainShards,
      ...(this.reference !== undefined && { reference: this.reference }),
      lastScaleUpMs: this.#lastScaleUpMs,
      lastScaleDownMs: this.#lastScaleDownMs,
    };
  }

  /** Does what the plan says, scrapes everything and lets a cycle pass. */
  apply(made: Plan): void {
    for (const { kind } of made.decisions) if (kind === "move") this.moves++;
    for (const { id, assignments } of made.shards) {
      const shard = this.shards.find((each) => each.id === id)!;
      const list = assignments.map(({ hash, state, assignedAtMs, load }): ObservedAssignment => {
        const known = shard.assignments.get(hash);
        const target = this.targets.get(hash);
        const before = known?.assignedAtMs === assignedAtMs ? known.scrapes : 0;
        const number = known?.number ?? target?.number;
        return {
          hash,
          ...(number !== undefined && { number }),
          job: target?.job ?? known?.job ?? "",
          url: target?.url ?? known?.url ?? "",
          state,
          assignedAtMs,
          load: target?.load ?? load,
          health: "up",
          scrapes: before + 1,
          goodScrapes: before + 1,
        };
      });
      shard.assignments = new Map(list.map((entry) => [entry.hash, entry]));
      if (list.length > 0) shard.idleSinceMs = undefined;
      else shard.idleSinceMs ??= this.nowMs;
    }
    if (made.scale > this.shards.length) this.#lastScaleUpMs = this.nowMs;
    if (made.scale < this.shards.length) this.#lastScaleDownMs = this.nowMs;
    this.scale(made.scale);
    this.nowMs += FLEET_CYCLE_MS;
  }

  cycle(options: PlanOptions): Plan {
    const made = plan(this.observe(), options, this.nowMs);
    this.apply(made);
    return made;
  }

  /** Cycles until nothing was decided for `quiet` cycles; throws after `most` cycles. */
  settle(options: PlanOptions, { quiet = 14, most = 2_000 } = {}): void {
    for (let cycle = 0, still = 0; still < quiet; cycle++) {
      const made = this.cycle(options);
      still = made.decisions.length === 0 ? still + 1 : 0;
      if (cycle > most) throw new Error(`still deciding: ${JSON.stringify(made.decisions[0])}`);
    }
  }

  /** Stable owners of each target, by hash: the ordinals of shards that are up. */
  owners(): Map<string, number[]> {
    const owners = new Map<string, number[]>([...this.targets.keys()].map((hash) => [hash, []]));
    for (const { ordinal, isDown, assignments } of this.shards)
      for (const { hash, state } of assignments.values())
        if (state === "normal" && !isDown) owners.get(hash)?.push(ordinal);
    return owners;
  }

  /** The fullest shard's series by the mean of all. */
  get spread(): number {
    const sums = this.shards.map(({ assignments }) =>
      [...assignments.values()].reduce((sum, { load }) => sum + load.series, 0),
    );
    return Math.max(...sums) / (sums.reduce((sum, each) => sum + each, 0) / sums.length);
  }
}

/** Sizes as they are found in the field: most targets are small, a few are large. */
export function logNormalTargets(
  count: number,
  random: Random,
  { median = 500, sigma = 1, first = 0 } = {},
): FleetTarget[] {
  return Array.from({ length: count }, (_, i): FleetTarget => {
    const normal =
      Math.sqrt(-2 * Math.log(1 - random.next())) * Math.cos(2 * Math.PI * random.next());
    const series = Math.max(1, Math.round(median * Math.exp(sigma * normal)));
    return fleetTarget(first + i, series);
  });
}

export function fleetTarget(
  number: number,
  series: number,
  job = `job-${number % 50}`,
): FleetTarget {
  // Spread over 64 bits as real hashes are.
  const hash = ((BigInt(number + 1) * 0x9e3779b97f4a7c15n) & 0xffffffffffffffffn).toString();
  const load = {
    series,
    rawSeries: series,
    samplesPerSecond: (series + 5) / 15,
    bodyBytesPerSecond: series * 6,
    newSeriesPerHour: 0,
  };
  return {
    hash,
    number,
    job,
    url: `http://10.${number >> 16}.${(number >> 8) & 255}.${number & 255}:9100/metrics`,
    explored: "measured",
    load,
  };
}
