import { systemClock } from "../base/clock.ts";
import { Registry } from "../base/metrics.ts";
import { runServices, type Service } from "../base/service.ts";
import type { Config } from "../config/types.ts";
import type { MonitorSource } from "../monitors/monitor-source.ts";
import { lookUntilComplete } from "../shard/dry-run.ts";
import type { GroupView } from "../shard/coordinator.ts";
import type { ShardFleet } from "../shard/driver.ts";
import type { Leadership } from "../shard/leadership.ts";
import { printPlan, shownPlan } from "../shard/plan-text.ts";
import { SoleLeadership } from "../shard/sole-leadership.ts";
import { type CoordinatorRoleOptions, createCoordinatorRole } from "./coordinator-role.ts";
import type { LOG_FLAGS } from "./common-flags.ts";
import type { DRY_RUN_FLAGS } from "./coordinator-flags.ts";
import type { FlagValues } from "./flags.ts";
import { loggerOf } from "./run-role.ts";

type DryRunFlags = CoordinatorRoleOptions["flags"] &
  FlagValues<typeof DRY_RUN_FLAGS & typeof LOG_FLAGS>;

/** The leadership of one that only looks: what writes under it, does not. */
export const NOT_IN_CHARGE: Leadership & Service = {
  name: "leadership",
  epoch: undefined,
  leaderUrl: undefined,
  outdated: () => {},
  onChange: () => {},
  start: async () => {},
  stop: async () => {},
};

/** Prints what a coordinator would do now, and changes nothing. */
export async function dryRun(options: {
  readonly flags: DryRunFlags;
  readonly config: Config;
  readonly fleet: ShardFleet & Service;
  readonly monitors?: MonitorSource | undefined;
}): Promise<void> {
  const { flags, fleet } = options;
  // What a coordinator says of its daily work would stand around the plan.
  const logger = loggerOf(flags.logLevel === "info" ? { ...flags, logLevel: "warn" } : flags);
  const role = createCoordinatorRole({
    ...options,
    logger,
    registry: new Registry(),
    shownFlags: {},
    listen: "127.0.0.1:0",
    externalUrl: "",
    leadership: new SoleLeadership(systemClock, { ownsShards: true }),
    decisionLog: "",
    quit: () => {},
    isDryRun: true,
  });
  const abort = new AbortController();
  let text = "";
  const look: Service = {
    name: "dry run",
    start: async () => {
      await options.monitors?.settled(abort.signal);
      for (const what of await lookUntilComplete(role.coordinator, { clock: systemClock }))
        logger.warn("planned without knowing everything", { missing: what });
      text = printGroups(role.coordinator.view().groups, flags.dryRun);
      abort.abort();
    },
    stop: async () => role.coordinator.stop(),
  };
  await runServices([fleet, ...role.sources, look], { signal: abort.signal, logger });
  process.stdout.write(text);
}

function printGroups(groups: readonly GroupView[], format: DryRunFlags["dryRun"]): string {
  if (format === "json") {
    const plans = groups.map(({ name, plan }) => ({ replica: name, ...(plan && shownPlan(plan)) }));
    return `${JSON.stringify({ plans }, undefined, 2)}\n`;
  }
  return groups
    .map(({ name, plan }) => {
      const title = name === "" ? "" : `replica ${name}\n`;
      return title + (plan === undefined ? "" : printPlan(plan));
    })
    .join("\n");
}
