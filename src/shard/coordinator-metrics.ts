import type { Counter, Gauge, Histogram, Registry } from "../base/metrics.ts";
import { type Limits, type Load, NO_LOAD } from "./load.ts";
import type { Decision, DecisionKind, Plan, ShardState } from "./plan-types.ts";
import type { ShardFigures } from "./shard-figures.ts";

/** The coordinator's own metrics; names are Kvass's where Kvass has the metric. */
export class CoordinatorMetrics {
  readonly failed: Counter;
  readonly #assigned: Counter;
  readonly #alleviated: Counter;
  readonly #decisions = new Map<string, Counter>();
  readonly #registry: Registry;
  readonly #cycleSeconds: Histogram;
  readonly #lastSuccess: Gauge;
  readonly #desired: Gauge;
  readonly #unassigned: Gauge;
  readonly #tooBig: Gauge;
  readonly #heldJobs: Gauge;
  readonly #moves: Gauge;
  #shardIds: readonly string[] = [];

  constructor(registry: Registry) {
    this.#registry = registry;
    this.failed = registry.counter(
      "kvass_coordinator_failed_total",
      "Cycles that ended with an error.",
    );
    this.#assigned = registry.counter(
      "kvass_coordinator_assign_targets_total",
      "Targets given to a shard for the first time.",
    );
    this.#alleviated = registry.counter(
      "kvass_coordinator_alleviate_shards_total",
      "Cycles that moved targets off overloaded shards.",
    );
    this.#cycleSeconds = registry.histogram(
      "shoal_coordinator_cycle_duration_seconds",
      "Time of one observe, plan, apply cycle.",
      { bounds: [0.01, 0.05, 0.1, 0.5, 1, 5, 10] },
    );
    this.#lastSuccess = registry.gauge(
      "shoal_coordinator_last_success_timestamp_seconds",
      "When the last cycle made and applied a plan.",
    );
    this.#heldJobs = registry.gauge(
      "shoal_coordinator_held_jobs",
      "Jobs whose discovery is not believed: their targets stay though they are not listed.",
    );
    this.#moves = registry.gauge(
      "shoal_coordinator_moves_in_flight",
      "Targets that two shards scrape until the new one is proven.",
    );
    this.#desired = registry.gauge("shoal_coordinator_shards_desired", "Shards asked for.");
    this.#unassigned = registry.gauge(
      "shoal_coordinator_targets_unassigned",
      "Targets that no shard has room for now.",
    );
    this.#tooBig = registry.gauge(
      "shoal_coordinator_targets_too_big",
      "Targets with more series than a shard's limit.",
    );
  }

  decided({ kind, cause }: Decision): void {
    const key = `${kind} ${cause ?? ""}`;
    let counter = this.#decisions.get(key);
    if (counter === undefined) {
      counter = this.#registry.counter(
        "shoal_coordinator_decisions_total",
        "Decisions of the planner, moves by their cause.",
        { kind, ...(cause !== undefined && { cause }) },
      );
      this.#decisions.set(key, counter);
    }
    counter.inc();
    if (kind === "assign") this.#assigned.inc();
  }

  /** One cycle over all replica groups' plans. */
  cycle(made: readonly Plan[], { seconds, nowMs }: { seconds: number; nowMs: number }): void {
    const count = (kind: DecisionKind): number =>
      made.reduce(
        (sum, { conditions }) => sum + conditions.filter((each) => each.kind === kind).length,
        0,
      );
    if (made.some(({ decisions }) => decisions.some(({ cause }) => cause === "overload")))
      this.#alleviated.inc();
    this.#cycleSeconds.observe(seconds);
    this.#lastSuccess.set(nowMs / 1000);
    this.#heldJobs.set(
      new Set(
        made.flatMap(({ conditions }) =>
          conditions.flatMap((each) => (each.kind === "hold" ? [each.job] : [])),
        ),
      ).size,
    );
    this.#desired.set(made.reduce((sum, { scale }) => sum + scale, 0));
    this.#unassigned.set(count("unassigned"));
    this.#tooBig.set(count("too-big"));
  }

  /** What each shard carries; shards that are gone leave no series behind. */
  shards(figures: readonly ShardFigures[], limits: Limits): void {
    const registry = this.#registry;
    const ids = new Set(figures.map(({ id }) => id));
    for (const id of this.#shardIds) if (!ids.has(id)) this.#removeShard(id);
    this.#shardIds = [...ids];
    this.#moves.set(figures.reduce((sum, { leaving }) => sum + leaving, 0));
    for (const state of SHARD_STATES)
      registry
        .gauge("shoal_coordinator_shards", "Shards by state.", { state })
        .set(figures.filter((each) => each.state === state).length);
    for (const [dimension, limit] of dimensionsOfLimits(limits))
      if (limit > 0) registry.gauge(LIMIT.name, LIMIT.help, { dimension }).set(limit);
    for (const each of figures) {
      for (const { name, help, read } of SHARD_GAUGES)
        registry.gauge(name, help, { shard: each.id }).set(read(each));
      for (const [dimension, value] of dimensionsOfLoad(each.used))
        registry.gauge(LOAD.name, LOAD.help, { shard: each.id, dimension }).set(value);
    }
  }

  #removeShard(shard: string): void {
    for (const { name } of SHARD_GAUGES) this.#registry.remove(name, { shard });
    for (const [dimension] of dimensionsOfLoad(NO_LOAD))
      this.#registry.remove(LOAD.name, { shard, dimension });
  }
}

const SHARD_STATES: readonly ShardState[] = ["ready", "starting", "refused", "lost"];

const LOAD = {
  name: "shoal_coordinator_shard_load",
  help: "What a shard's targets take up, in each dimension that has a limit.",
};
const LIMIT = {
  name: "shoal_coordinator_shard_limit",
  help: "The most that a shard may carry; absent for a dimension without a limit.",
};

/** One series a shard; `shard` is the only label besides the dimension, so that their number is bounded. */
const SHARD_GAUGES: readonly {
  readonly name: string;
  readonly help: string;
  readonly read: (figures: ShardFigures) => number;
}[] = [
  {
    name: "shoal_coordinator_shard_utilisation_ratio",
    help: "The fullest dimension of a shard's load; 1 is at the limit.",
    read: ({ utilisation }) => utilisation,
  },
  {
    name: "shoal_coordinator_shard_targets",
    help: "Targets a shard has, those on their way to another shard included.",
    read: ({ targets }) => targets,
  },
  {
    name: "shoal_coordinator_shard_ready",
    help: "Whether a shard answers and can be given targets.",
    read: ({ state }) => (state === "ready" ? 1 : 0),
  },
  {
    name: "shoal_coordinator_shard_config_current",
    help: "Whether a shard runs the configuration that the coordinator has.",
    read: ({ hasConfig }) => (hasConfig ? 1 : 0),
  },
];

function dimensionsOfLoad(load: Load): [string, number][] {
  return [
    ["head_series", load.series],
    ["process_series", load.rawSeries],
    ["samples_per_second", load.samplesPerSecond],
  ];
}

function dimensionsOfLimits(limits: Limits): [string, number][] {
  return [
    ["head_series", limits.maxHeadSeries],
    ["process_series", limits.maxProcessSeries],
    ["samples_per_second", limits.maxSamplesPerSecond],
  ];
}
