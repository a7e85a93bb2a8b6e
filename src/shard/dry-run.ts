import type { Clock } from "../base/clock.ts";
import type { ShardControl } from "./control.ts";
import type { Coordinator } from "./coordinator.ts";
import type { PushedConfig } from "./wire.ts";

/** How long a dry run waits for discovery and test scrapes. */
export const DRY_RUN_WAIT_MS = 60_000;
const LOOK_EVERY_MS = 250;

/**
 * A shard that is asked and told nothing. One that runs another configuration is seen as if it had taken the one it is
 * offered. The epoch stays here: a shard that hears of it would refuse the coordinator that is really in charge.
 */
export function readOnlyControl(control: ShardControl): ShardControl {
  let offered: PushedConfig | undefined;
  return {
    ...control,
    runtime: async () => {
      const runtime = await control.runtime(undefined);
      return offered === undefined ? runtime : { ...runtime, configHash: offered.hash };
    },
    pushConfig: async (config) => {
      offered = config;
    },
    pushTargets: async () => {},
    pushStop: async () => {},
    setDraining: async () => {},
    pushChanges: async () => true,
  };
}

/**
 * Turns a coordinator that carries nothing out until its plan is about every target there is; answers what is missing.
 * Rejects when no plan could be made at all.
 */
export async function lookUntilComplete(
  coordinator: Coordinator,
  { clock, waitMs = DRY_RUN_WAIT_MS }: { clock: Clock; waitMs?: number },
): Promise<readonly string[]> {
  const endMs = clock.monotonic() + waitMs;
  let isKnown = false;
  for (;;) {
    const isLate = clock.monotonic() >= endMs;
    try {
      await coordinator.cycle();
    } catch (error) {
      // Where shards come from may need a moment to answer.
      if (isLate) throw error;
    }
    const missing = missingFrom(coordinator);
    if (isLate) return missing;
    // What was found out while a plan was made is in the next one.
    if (missing.length === 0 && isKnown) return missing;
    isKnown = missing.length === 0;
    if (!isKnown) await clock.sleep(LOOK_EVERY_MS);
  }
}

function missingFrom(coordinator: Coordinator): string[] {
  const view = coordinator.view();
  const missing = view.plan === undefined ? ["what shards there are"] : [];
  for (const { job, targets, isComplete, error } of view.jobs) {
    if (!isComplete)
      missing.push(`targets of job ${job}: ${error || "discovery has not answered"}`);
    const pending = targets.filter(({ hash }) => view.exploration(hash)?.explored === "pending");
    if (pending.length > 0)
      missing.push(`the size of ${pending.length} of ${targets.length} targets of job ${job}`);
  }
  return missing;
}
