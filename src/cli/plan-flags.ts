import { formatDuration } from "../base/units.ts";
import { DEFAULT_PLAN_OPTIONS } from "../shard/plan-types.ts";
import { choiceFlag, durationFlag, numberFlag, shareFlag, switchFlag } from "./flags.ts";

export const PLAN_FLAGS = {
  maxSeries: numberFlag(
    {
      name: "shard.max-series",
      help: "Sets the limits of head and process series at once. 0: they are taken as given.",
    },
    { fallback: 0, min: 0 },
  ),
  maxHeadSeries: numberFlag(
    {
      name: "shard.max-head-series",
      help: "Most series in a shard's head, which is its memory. 0: no limit.",
    },
    { fallback: 0, min: 0 },
  ),
  maxProcessSeries: numberFlag(
    {
      name: "shard.max-process-series",
      help: "Most series a shard parses in one round of scrapes, before metric relabelling.",
    },
    { fallback: 1_000_000, min: 1 },
  ),
  maxSamplesPerSecond: numberFlag(
    {
      name: "shard.max-samples-per-second",
      help: "Most samples a shard stores a second: what a target costs by its scrape interval. 0: no limit.",
    },
    { fallback: 0, min: 0 },
  ),
  minShard: numberFlag(
    { name: "shard.min-shard", help: "Fewest shards." },
    { fallback: 0, min: 0 },
  ),
  maxShard: numberFlag(
    { name: "shard.max-shard", help: "Most shards." },
    { fallback: 999_999, min: 1 },
  ),
  maxIdleTime: durationFlag(
    {
      name: "shard.max-idle-time",
      help: "How long the last shard must be without targets before it is removed. 0s: shards are never removed.",
    },
    "0",
  ),
  placement: choiceFlag(
    {
      name: "shard.placement",
      value: "mode",
      help: "Where new targets go: spread (the emptiest shard), pack (the first one with room) or auto (pack when shards may be removed, else spread).",
    },
    { fallback: "auto", choices: ["auto", "spread", "pack"] },
  ),
  targetUtilisation: shareFlag(
    {
      name: "shard.target-utilisation",
      help: "How much of its limits a shard is filled to while others have room; the rest is for growth.",
    },
    DEFAULT_PLAN_OPTIONS.targetUtilisation,
  ),
  maxMoves: numberFlag(
    {
      name: "shard.max-moves",
      help: "Most targets that change shards at the same time to even shards out or to empty one. 0: targets only leave overloaded and lost shards.",
    },
    { fallback: DEFAULT_PLAN_OPTIONS.maxMoves, min: 0 },
  ),
  maxMovesPerCycle: numberFlag(
    {
      name: "shard.max-moves-per-cycle",
      help: "Most such moves begun at once.",
    },
    { fallback: DEFAULT_PLAN_OPTIONS.maxMovesPerCycle, min: 0 },
  ),
  moveScrapes: numberFlag(
    {
      name: "shard.move-scrapes",
      help: "How often a target's new shard has to scrape it before the old one lets go.",
    },
    { fallback: DEFAULT_PLAN_OPTIONS.transferScrapes, min: 1 },
  ),
  moveCooldown: durationFlag(
    {
      name: "shard.move-cooldown",
      help: "How long a target stays where it was put before it is moved to even shards out.",
    },
    formatDuration(DEFAULT_PLAN_OPTIONS.moveCooldownMs),
  ),
  scaleDownCooldown: durationFlag(
    {
      name: "shard.scale-down-cooldown",
      help: "How long after shards were added none is emptied or removed.",
    },
    formatDuration(DEFAULT_PLAN_OPTIONS.scaleDownCooldownMs),
  ),
  scaleUpCooldown: durationFlag(
    {
      name: "shard.scale-up-cooldown",
      help: "How long after shards were removed none is added for targets that full shards scrape. Targets that nobody scrapes do not wait.",
    },
    formatDuration(DEFAULT_PLAN_OPTIONS.scaleUpCooldownMs),
  ),
  disableAlleviate: switchFlag({
    name: "shard.disable-alleviate",
    help: "Do not move targets off overloaded shards.",
  }),
  failoverGrace: durationFlag(
    {
      name: "shard.failover-grace",
      help: "How long a shard may be unreachable before its targets go to others.",
    },
    "1m",
  ),
} as const;
