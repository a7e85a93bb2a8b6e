import type { DroppedTarget, Target } from "../model/target.ts";

/** What discovery says of one job. */
export interface JobTargets {
  readonly job: string;
  readonly targets: readonly Target[];
  /** Those that are shown (`keep_dropped_targets`). */
  readonly dropped: () => readonly DroppedTarget[];
  readonly droppedCount: number;
  /** Whether every mechanism of the job has answered; false keeps every target the job has. */
  readonly isComplete: boolean;
  /** The list stands in the configuration itself (static_configs): it cannot be wrong by a failure elsewhere. */
  readonly isStatic: boolean;
  /** What is wrong with its discovery; "" for nothing. */
  readonly error: string;
}

/** How many targets of a job shards have, and how many of those discovery lists. */
export interface AssignedCounts {
  readonly assigned: number;
  readonly listed: number;
}

/** A job that loses more than this share of its targets at once must say so for the hold time. */
const SUSPICIOUS_SHARE = 0.5;

/**
 * Protects targets from a discovery that fails by answering with an empty or a much shorter list: the job is held (none
 * of its targets is removed) until the short list has stood for `holdMs`. What a job had is read from what shards have
 * assigned, so that a restarted coordinator is as careful.
 */
export class DiscoveryHold {
  readonly #holdMs: number;
  readonly #suspectSinceMs = new Map<string, number>();
  readonly #confirmedAtMs = new Map<string, number>();

  constructor(holdMs: number) {
    this.#holdMs = holdMs;
  }

  /** A reload changed `job`: the operator means the new list. Holds for `holdMs`, until discovery has caught up. */
  confirm(job: string, nowMs: number): void {
    this.#confirmedAtMs.set(job, nowMs);
  }

  /** The jobs whose targets are not to be removed now. */
  heldJobs(
    jobs: readonly JobTargets[],
    assigned: ReadonlyMap<string, AssignedCounts>,
    nowMs: number,
  ): Set<string> {
    const held = new Set<string>();
    for (const job of jobs) if (this.#isHeld(job, assigned.get(job.job), nowMs)) held.add(job.job);
    return held;
  }

  #isHeld(job: JobTargets, had: AssignedCounts | undefined, nowMs: number): boolean {
    if (!job.isComplete) return true;
    const isConfirmed = nowMs - (this.#confirmedAtMs.get(job.job) ?? -Infinity) < this.#holdMs;
    if (job.isStatic || isConfirmed || had === undefined || had.assigned === 0)
      return this.#trust(job.job);
    const gone = had.assigned - had.listed;
    const isSuspicious =
      gone > 0 && (job.targets.length === 0 || gone / had.assigned > SUSPICIOUS_SHARE);
    if (!isSuspicious) return this.#trust(job.job);
    const sinceMs = this.#suspectSinceMs.get(job.job) ?? nowMs;
    this.#suspectSinceMs.set(job.job, sinceMs);
    return nowMs - sinceMs < this.#holdMs;
  }

  #trust(job: string): false {
    this.#suspectSinceMs.delete(job);
    return false;
  }
}
