import type { Counter, Gauge, Histogram, Registry } from "../base/metrics.ts";
import type { DecisionKind, Plan } from "./plan-types.ts";

/** The coordinator's own metrics; names are Kvass's where Kvass has the metric. */
export class CoordinatorMetrics {
  readonly failed: Counter;
  readonly #assigned: Counter;
  readonly #alleviated: Counter;
  readonly #decisions = new Map<DecisionKind, Counter>();
  readonly #registry: Registry;
  readonly #cycleSeconds: Histogram;
  readonly #desired: Gauge;
  readonly #unassigned: Gauge;
  readonly #tooBig: Gauge;

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

  decided(kind: DecisionKind): void {
    let counter = this.#decisions.get(kind);
    if (counter === undefined) {
      counter = this.#registry.counter(
        "shoal_coordinator_decisions_total",
        "Decisions of the planner.",
        { kind },
      );
      this.#decisions.set(kind, counter);
    }
    counter.inc();
    if (kind === "assign") this.#assigned.inc();
  }

  /** One cycle over all replica groups' plans. */
  cycle(made: readonly Plan[], seconds: number): void {
    const count = (kind: DecisionKind): number =>
      made.reduce(
        (sum, { conditions }) => sum + conditions.filter((each) => each.kind === kind).length,
        0,
      );
    if (made.some(({ decisions }) => decisions.some(({ kind }) => kind === "move")))
      this.#alleviated.inc();
    this.#cycleSeconds.observe(seconds);
    this.#desired.set(made.reduce((sum, { scale }) => sum + scale, 0));
    this.#unassigned.set(count("unassigned"));
    this.#tooBig.set(count("too-big"));
  }
}
