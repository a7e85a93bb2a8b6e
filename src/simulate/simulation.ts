import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { seededRandom } from "../base/random.ts";
import { Coordinator, type CoordinatorOptions } from "../shard/coordinator.ts";
import { singleGroup } from "../shard/driver.ts";
import { SoleLeadership } from "../shard/sole-leadership.ts";
import { DecisionLog } from "../shard/decision-log.ts";
import { isOversized, costOf, utilisation } from "../shard/load.ts";
import { plan } from "../shard/plan.ts";
import type { DecisionKind, Plan } from "../shard/plan-types.ts";
import type { AssignedTarget, PushedConfig } from "../shard/wire.ts";
import { Coverage, type CoverageFigures } from "./coverage.ts";
import type { Fault } from "./faults.ts";
import type { SimShard } from "./sim-shard.ts";
import { HOUR_MS, loadAt, sizeAt, type SimTarget } from "./sim-target.ts";
import { VirtualClock } from "./virtual-clock.ts";
import { World } from "./world.ts";

/** The beginning of every run: virtual time has no today. */
export const START_MS = Date.UTC(2026, 0, 1);

export interface SimulationOptions {
  /** Every target that ever exists; the run begins at `START_MS`. */
  readonly fleet: readonly SimTarget[];
  /** What shards have at the beginning, by ordinal; [] begins without a shard. */
  readonly placement: readonly (readonly AssignedTarget[])[];
  readonly durationMs: number;
  readonly seed: number;
  readonly coordinator: CoordinatorOptions;
  readonly startDelayMs: number;
  readonly refreshMs: number;
  readonly retentionMs: number;
  readonly faults: readonly Fault[];
  readonly bounds: Bounds;
}

/** What may happen without a promise being broken. */
export interface Bounds {
  /** How long a listed target may be on no running shard (`--check.wait`). */
  readonly maxWaitMs: number;
  /** How long the targets of a lost shard may have none, intervals and slack apart. */
  readonly maxLossGapMs: number;
  /** Time for cycles, time-outs and lists on their way, on top of what intervals and grace explain (`--check.slack`). */
  readonly slackMs: number;
}

/** How things stood at one moment. */
export interface Sample {
  /** From the start of the run. */
  readonly atMs: number;
  readonly targets: number;
  /** Of all targets that exist, those that do not answer left out. */
  readonly series: number;
  readonly desired: number;
  readonly running: number;
  /** Of a shard's limit, former targets' series included; over the running shards that have targets. 0 without any. */
  readonly meanUse: number;
  readonly maxUse: number;
  /** Largest over mean of what the shards' own targets cost, shards with an oversized target left out. */
  readonly spread: number;
  /** Whether nothing was lost and the number of shards had not changed for a while. */
  readonly isSteady: boolean;
  /** Since the sample before. */
  readonly moves: number;
  readonly lossGaps: number;
  readonly gaps: number;
  readonly overlaps: number;
}

/** A fault as it was, with the shard that it struck. */
export interface HappenedFault {
  readonly fault: Fault;
  readonly shard: string | undefined;
  readonly targets: number;
}

export interface ScaleChange {
  readonly atMs: number;
  readonly from: number;
  readonly to: number;
}

export interface SimulationResult {
  /** Those that were there before the run. */
  readonly shardsAtStart: number;
  readonly samples: readonly Sample[];
  readonly faults: readonly HappenedFault[];
  readonly scaleChanges: readonly ScaleChange[];
  readonly coverage: CoverageFigures;
  readonly cycles: number;
  readonly decisions: ReadonlyMap<DecisionKind, number>;
  /** Moves and re-homings by what the planner gave as the reason, its numbers left out. */
  readonly moveReasons: ReadonlyMap<string, number>;
  /** Targets that were taken off every shard though they existed. */
  readonly removedAlive: number;
  /** Conditions of the last plan by kind. */
  readonly conditionsAtEnd: ReadonlyMap<DecisionKind, number>;
  readonly shardHours: number;
  /** Wall time of every plan call. Not the same from run to run. */
  readonly planWallMs: readonly number[];
}

/** About how many samples a run keeps. */
const SAMPLE_COUNT = 720;
const SAMPLE_STEP_MS = 10_000;
const STEADY_AFTER_MS = HOUR_MS / 4;

const CONFIG: PushedConfig = { rawContent: "", baseFolder: "/", hash: "simulated" };

/** Runs the real coordinator and planner in a simulated world; `onProgress` hears the share that is done. */
export async function simulate(
  options: SimulationOptions,
  onProgress: (share: number) => void = () => {},
): Promise<SimulationResult> {
  const simulation = new Simulation(options);
  return simulation.run(onProgress);
}

class Simulation {
  readonly #options: SimulationOptions;
  readonly #clock = new VirtualClock(START_MS);
  readonly #world: World;
  readonly #coverage: Coverage;
  readonly #samples: Sample[] = [];
  readonly #faults: HappenedFault[] = [];
  readonly #scaleChanges: ScaleChange[] = [];
  readonly #decisions = new Map<DecisionKind, number>();
  readonly #moveReasons = new Map<string, number>();
  readonly #planWallMs: number[] = [];
  readonly #oversized = new Set<string>();
  #coordinator: Coordinator | undefined;
  #coordinators = 0;
  #lastPlan: Plan | undefined;
  #cycles = 0;
  #removedAlive = 0;
  #unsteadyMs = START_MS;
  /** Since the last sample. */
  #counts = { moves: 0, lossGaps: 0, gaps: 0, overlaps: 0 };

  constructor(options: SimulationOptions) {
    this.#options = options;
    const { transferScrapes, rollbackScrapes, limits } = options.coordinator.plan;
    const { maxWaitMs, maxLossGapMs, slackMs } = options.bounds;
    this.#coverage = new Coverage({
      maxWaitMs,
      maxOverlapMs: ({ isDown, target }) =>
        (1 + (isDown ? rollbackScrapes : transferScrapes)) * target.intervalMs + slackMs,
      maxLossGapMs: ({ target }) => maxLossGapMs + 2 * target.intervalMs + slackMs,
      onFind: (kind, _timeMs, count) => {
        if (kind === "gap") this.#counts.gaps += count;
        else if (kind === "loss-gap") this.#counts.lossGaps += count;
        else this.#counts.overlaps += count;
      },
    });
    this.#world = new World(this.#clock, this.#coverage, options);
    for (const target of options.fleet)
      if (isOversized(costOf(loadAt(target, START_MS + options.durationMs)), limits))
        this.#oversized.add(target.target.hash);
  }

  async run(onProgress: (share: number) => void): Promise<SimulationResult> {
    const { durationMs, faults, placement } = this.#options;
    this.#world.wake = () => this.#coordinator?.wake();
    this.#world.start();
    this.#world.preset(placement);
    await this.#startCoordinator();
    for (const fault of faults) this.#clock.at(START_MS + fault.atMs, () => this.#strike(fault));
    const sampleMs =
      Math.max(1, Math.round(durationMs / SAMPLE_COUNT / SAMPLE_STEP_MS)) * SAMPLE_STEP_MS;
    for (let atMs = 0; atMs < durationMs; atMs += sampleMs) {
      await this.#clock.runUntil(START_MS + Math.min(atMs + sampleMs, durationMs));
      this.#sample();
      onProgress(Math.min(1, (atMs + sampleMs) / durationMs));
    }
    void this.#coordinator?.stop();
    return this.#result();
  }

  async #startCoordinator(): Promise<void> {
    const startedMs = this.#clock.now();
    const world = this.#world;
    this.#coordinator = new Coordinator(CONFIG, this.#options.coordinator, {
      discovery: world.discovery.sourceFor(startedMs),
      fleet: singleGroup(world.driver),
      leadership: new SoleLeadership(this.#clock, { ownsShards: true }),
      connect: (url) => world.connect(url),
      explore: (target, signal) => world.explore(target, signal),
      log: new DecisionLog(Number.MAX_SAFE_INTEGER),
      plan: (observed, planOptions, nowMs) => {
        const wallMs = performance.now();
        const made = plan(observed, planOptions, nowMs);
        this.#planWallMs.push(performance.now() - wallMs);
        this.#note(made, observed.desiredShards);
        return made;
      },
      clock: this.#clock,
      random: seededRandom(this.#options.seed + this.#coordinators++),
      logger: silentLogger,
      registry: new Registry(),
    });
    await this.#coordinator.start();
  }

  #strike(fault: Fault): void {
    const { durationMs } = fault;
    let struck: SimShard | undefined;
    switch (fault.kind) {
      case "shard-loss": {
        const { running } = this.#world;
        struck = running[Math.floor(fault.pick * running.length)];
        struck?.lose(fault.how, durationMs);
        this.#unsteadyMs = Math.max(this.#unsteadyMs, this.#clock.now() + durationMs);
        break;
      }
      case "sd-outage":
        this.#clock.after(durationMs, this.#world.discovery.beginOutage(fault.how));
        break;
      case "coordinator-restart":
        // As a crash: what it was about to do, it may still do.
        void this.#coordinator?.stop();
        this.#coordinator = undefined;
        this.#clock.after(durationMs, () => {
          if (this.#coordinator === undefined) void this.#startCoordinator();
        });
        break;
    }
    this.#faults.push({ fault, shard: struck?.id, targets: struck?.targetCount ?? 0 });
  }

  #note(made: Plan, desired: number): void {
    this.#cycles++;
    this.#lastPlan = made;
    const nowMs = this.#clock.now();
    for (const { kind, hash, job, reason } of made.decisions) {
      this.#decisions.set(kind, (this.#decisions.get(kind) ?? 0) + 1);
      if (kind === "move" || kind === "rehome") {
        this.#counts.moves++;
        const key = `${kind}: ${withoutNumbers(reason)}`;
        this.#moveReasons.set(key, (this.#moveReasons.get(key) ?? 0) + 1);
      }
      if (kind === "remove" && this.#world.discovery.exists({ job: job!, hash: hash! }))
        this.#removedAlive++;
    }
    if (made.scale === desired) return;
    this.#unsteadyMs = Math.max(this.#unsteadyMs, nowMs);
    this.#scaleChanges.push({ atMs: nowMs - START_MS, from: desired, to: made.scale });
  }

  #sample(): void {
    const nowMs = this.#clock.now();
    const { limits } = this.#options.coordinator.plan;
    const { shards, running, discovery } = this.#world;
    const filled = running.filter((shard) => shard.targetCount > 0);
    const uses: number[] = [];
    const own: number[] = [];
    for (const shard of filled) {
      const loads = shard.loads();
      uses.push(utilisation(loads.used, limits));
      let hasOversized = false;
      for (const hash of this.#oversized) hasOversized ||= shard.has(hash);
      if (!hasOversized) own.push(utilisation(loads.own, limits));
    }
    this.#samples.push({
      atMs: nowMs - START_MS,
      targets: discovery.existingCount,
      series: this.#existingSeries(nowMs),
      desired: shards.length,
      running: running.length,
      meanUse: mean(uses),
      maxUse: Math.max(0, ...uses),
      spread: own.length === 0 ? 0 : Math.max(...own) / mean(own),
      isSteady: nowMs - this.#unsteadyMs >= STEADY_AFTER_MS,
      ...this.#counts,
    });
    this.#counts = { moves: 0, lossGaps: 0, gaps: 0, overlaps: 0 };
  }

  #existingSeries(nowMs: number): number {
    let series = 0;
    for (const target of this.#options.fleet)
      if (!target.isDown && target.bornMs <= nowMs && nowMs < target.goneMs)
        series += sizeAt(target, nowMs).series;
    return series;
  }

  #result(): SimulationResult {
    const conditionsAtEnd = new Map<DecisionKind, number>();
    for (const { kind } of this.#lastPlan?.conditions ?? [])
      conditionsAtEnd.set(kind, (conditionsAtEnd.get(kind) ?? 0) + 1);
    return {
      shardsAtStart: this.#options.placement.length,
      samples: this.#samples,
      faults: this.#faults,
      scaleChanges: this.#scaleChanges,
      coverage: this.#coverage.finish(this.#clock.now()),
      cycles: this.#cycles,
      decisions: this.#decisions,
      moveReasons: this.#moveReasons,
      removedAlive: this.#removedAlive,
      conditionsAtEnd,
      shardHours: this.#world.shardMs / HOUR_MS,
      planWallMs: this.#planWallMs,
    };
  }
}

/** `shard-3 is at 120% of its limit` is the same reason as `shard-7 is at 115% of its limit`. */
function withoutNumbers(reason: string): string {
  return reason.replaceAll(/\bshard-\d+/g, "a shard").replaceAll(/\d+(\.\d+)?/g, "N");
}

function mean(values: readonly number[]): number {
  return values.length === 0 ? 0 : values.reduce((sum, value) => sum + value, 0) / values.length;
}
