import { AppError } from "../base/errors.ts";
import { formatDuration, parseDuration } from "../base/units.ts";
import { parseFleetCurve, printFleetCurve } from "../simulate/fleet-curve.ts";
import { COORDINATOR_FLAGS } from "./coordinator-flags.ts";
import { PLAN_FLAGS } from "./plan-flags.ts";
import {
  decimalFlag,
  durationFlag,
  numberFlag,
  parsedFlag,
  switchFlag,
  textFlag,
} from "./flags.ts";

const INTERVALS_MAX = 100;

/** What is simulated: the fleet, its planner's options, and what goes wrong. */
export const SIMULATE_FLAGS = {
  from: textFlag(
    {
      name: "from",
      value: "path|url",
      help: "A real fleet: /api/v1/targets of a Shoal or Kvass coordinator, as a file or a URL. Without it a fleet is made up.",
    },
    "",
  ),
  fresh: switchFlag({
    name: "fresh",
    help: "With --from: begin without shards, not with the targets where they are now.",
  }),
  duration: durationFlag({ name: "duration", help: "How long a time is simulated." }, "24h"),
  seed: numberFlag(
    { name: "seed", help: "The same seed repeats the same run, byte for byte." },
    { fallback: 1, min: 0, max: 4_294_967_295 },
  ),
  targets: numberFlag(
    { name: "targets", help: "Made-up targets where the curve of --fleet is at 1." },
    { fallback: 1000, min: 1, max: 1_000_000 },
  ),
  fleet: parsedFlag(
    {
      name: "fleet",
      value: "time:share,…",
      help: "How many of the targets exist over time, straight lines between the points, as in 0h:0.1,8h:1,20h:0.5.",
    },
    { fallback: "0s:1", parse: parseFleetCurve, print: printFleetCurve },
  ),
  targetChurn: decimalFlag(
    { name: "targets.churn", help: "Share of the targets that is replaced by others in an hour." },
    { fallback: 0.02, min: 0, max: 60 },
  ),
  intervals: parsedFlag(
    {
      name: "targets.intervals",
      value: "durations",
      help: "Scrape intervals that the jobs take in turn; the first one for dumped targets without one.",
    },
    { fallback: "30s,15s,1m", parse: parseDurations, print: printDurations },
  ),
  jobs: numberFlag(
    { name: "targets.jobs", help: "Jobs that made-up targets belong to." },
    { fallback: 20, min: 1, max: 10_000 },
  ),
  downShare: decimalFlag(
    { name: "targets.down", help: "Share of made-up targets that never answer." },
    { fallback: 0.005, min: 0, max: 1 },
  ),
  oversized: numberFlag(
    {
      name: "targets.oversized",
      help: "Further made-up targets, each half as large again as a shard's limit.",
    },
    { fallback: 0, min: 0, max: 1000 },
  ),
  medianSeries: numberFlag(
    { name: "series.median", help: "Series of the made-up target in the middle." },
    { fallback: 1000, min: 1 },
  ),
  sigma: decimalFlag(
    {
      name: "series.sigma",
      help: "How much sizes differ: standard deviation of their logarithm. 0: all are alike.",
    },
    { fallback: 1, min: 0, max: 5 },
  ),
  growth: decimalFlag(
    { name: "series.growth", help: "Share by which the average target grows in a day." },
    { fallback: 0.05, min: 0, max: 100 },
  ),
  seriesChurn: decimalFlag(
    { name: "series.churn", help: "Share of a target's series that is replaced in an hour." },
    { fallback: 0.01, min: 0, max: 60 },
  ),
  shardLosses: numberFlag(
    {
      name: "shard.losses",
      help: "Shards that are lost: in turn gone for 5m to 30m, hung for 3m to 15m, and restarted within 45s.",
    },
    { fallback: 0, min: 0, max: 1000 },
  ),
  startDelay: durationFlag(
    {
      name: "shard.start-delay",
      help: "How long a new shard takes until it runs; each between half and one and a half of it.",
    },
    "1m",
  ),
  retentionTime: durationFlag(
    {
      name: "shard.retention",
      help: "How long shards keep samples: an empty one is not removed while it has some. 0s: shards do not tell, as beside a Prometheus in a container of its own.",
    },
    "0",
  ),
  sdOutages: numberFlag(
    {
      name: "sd.outages",
      help: "Failures of discovery: in turn errors, an empty list, nothing new, a third of the list.",
    },
    { fallback: 0, min: 0, max: 1000 },
  ),
  refreshInterval: durationFlag(
    { name: "sd.refresh-interval", help: "How often discovery looks for changes." },
    "30s",
  ),
  coordinatorRestarts: numberFlag(
    {
      name: "coordinator.restarts",
      help: "Kills of the coordinator, the first one in the middle of the first failure of discovery.",
    },
    { fallback: 0, min: 0, max: 1000 },
  ),
  ...PLAN_FLAGS,
  ...COORDINATOR_FLAGS,
  perShardHour: decimalFlag(
    { name: "cost.per-shard-hour", help: "Price of one shard for an hour. 0: hours are shown." },
    { fallback: 0, min: 0, max: 1_000_000 },
  ),
  check: switchFlag({ name: "check", help: "End with 1 when a promise is broken." }),
  maxWait: durationFlag(
    {
      name: "check.wait",
      help: "Promise: no target is without a running shard for longer.",
    },
    "10m",
  ),
  slack: durationFlag(
    {
      name: "check.slack",
      help: "What promises about gaps and overlaps allow on top of intervals and grace, for cycles and time-outs.",
    },
    "1m",
  ),
  json: switchFlag({ name: "json", help: "Print everything as JSON instead of the summary." }),
  svg: textFlag({ name: "svg", value: "path", help: "Draw the run into this file." }, ""),
} as const;

function parseDurations(text: string): readonly number[] {
  const durations = text.split(",").map((part) => parseDuration(part.trim()));
  if (durations.some((each) => each === 0) || durations.length > INTERVALS_MAX)
    throw new AppError("bad-data", `give up to ${INTERVALS_MAX} durations above 0, like 15s,1m`);
  return durations;
}

function printDurations(durations: readonly number[]): string {
  return durations.map(formatDuration).join(",");
}
