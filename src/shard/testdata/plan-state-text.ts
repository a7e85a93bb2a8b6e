import { type Load, NO_LOAD } from "../load.ts";
import { DEFAULT_PLAN_OPTIONS } from "../plan-types.ts";
import { AWAITED } from "../plan-follow.ts";
import type {
  Observed,
  ObservedAssignment,
  ObservedShard,
  ObservedTarget,
  PlanOptions,
  ShardState,
} from "../plan-types.ts";

/**
 * The planner's input as text, one thing a line; times are seconds:
 *
 *     limits head=30000 process=1000000 samples=5000
 *     options idle=10 min=1 max=4 grace=60 alleviate=off placement=pack target=85 moves=200 per-cycle=50 rest=120
 *     options down-cooldown=300 up-cooldown=60     (on the same line as the others)
 *     now 1000
 *     desired 2
 *     hold job
 *     drain shard-1
 *     scaled up=990 down=900                       (when more or fewer shards were last asked for)
 *     reference a=0 b=1 c=awaited                  (the ordinals of the leading group)
 *     target a job=m series=100 raw=200 samples=5.5 churn=20     (raw defaults to series; `pending` or `failed` instead of a size)
 *     shard 0 ready head=200 seen=990 idle=900 data=2000
 *       a series=100 raw=200 in_transfer at=500 scrapes=3 good=3 down      (on the shard above)
 */
export function parsePlanState(text: string): {
  observed: Observed;
  options: PlanOptions;
  nowMs: number;
} {
  let options: PlanOptions = DEFAULT_PLAN_OPTIONS;
  let nowMs = 1_000_000;
  let desired: number | undefined;
  const heldJobs = new Set<string>();
  const drainShards = new Set<string>();
  const reference = new Map<string, number>();
  let scaled: Pick<Observed, "lastScaleUpMs" | "lastScaleDownMs"> = {};
  const targets: ObservedTarget[] = [];
  const shards: (ObservedShard & { assignments: ObservedAssignment[] })[] = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("#") || line.trim() === "") continue;
    const words = line.trim().split(/\s+/);
    const flags = new Set(words);
    const value = (name: string): string | undefined =>
      words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
    const number = (name: string, fallback: number): number =>
      value(name) === undefined ? fallback : Number(value(name));
    const load = (): Load => ({
      ...NO_LOAD,
      series: number("series", 0),
      rawSeries: number("raw", number("series", 0)),
      samplesPerSecond: number("samples", 0),
      newSeriesPerHour: number("churn", 0),
    });
    const [kind = "", name = ""] = words;
    if (line.startsWith(" ")) {
      const target = targets.find((each) => each.hash === kind);
      shards.at(-1)!.assignments.push({
        hash: kind,
        job: value("job") ?? target?.job ?? "m",
        url: `http://${kind}/`,
        state: flags.has("in_transfer") ? "in_transfer" : "normal",
        assignedAtMs: number("at", 1) * 1000,
        load: load(),
        health: flags.has("down") ? "down" : number("good", 9) > 0 ? "up" : "unknown",
        scrapes: number("scrapes", number("good", 9)),
        goodScrapes: number("good", flags.has("down") ? 0 : 9),
      });
      continue;
    }
    switch (kind) {
      case "limits":
        options = {
          ...options,
          limits: {
            maxHeadSeries: number("head", 0),
            maxProcessSeries: number("process", 1_000_000),
            maxSamplesPerSecond: number("samples", 0),
          },
        };
        break;
      case "options":
        options = {
          ...options,
          maxIdleTimeMs: number("idle", 0) * 1000,
          minShards: number("min", 0),
          maxShards: number("max", 999_999),
          failoverGraceMs: number("grace", 60) * 1000,
          disableAlleviate: value("alleviate") === "off",
          placement:
            value("placement") === "pack"
              ? "pack"
              : value("placement") === "spread"
                ? "spread"
                : "auto",
          targetUtilisation: number("target", 85) / 100,
          transferScrapes: number("move-scrapes", DEFAULT_PLAN_OPTIONS.transferScrapes),
          maxMoves: number("moves", DEFAULT_PLAN_OPTIONS.maxMoves),
          maxMovesPerCycle: number("per-cycle", DEFAULT_PLAN_OPTIONS.maxMovesPerCycle),
          moveCooldownMs: number("rest", 120) * 1000,
          scaleDownCooldownMs: number("down-cooldown", 300) * 1000,
          scaleUpCooldownMs: number("up-cooldown", 60) * 1000,
        };
        break;
      case "now":
        nowMs = Number(name) * 1000;
        break;
      case "desired":
        desired = Number(name);
        break;
      case "hold":
        heldJobs.add(name);
        break;
      case "drain":
        drainShards.add(name);
        break;
      case "reference":
        for (const [hash = "", ordinal] of words.slice(1).map((word) => word.split("=")))
          reference.set(hash, ordinal === "awaited" ? AWAITED : Number(ordinal));
        break;
      case "scaled":
        scaled = {
          ...(value("up") !== undefined && { lastScaleUpMs: number("up", 0) * 1000 }),
          ...(value("down") !== undefined && { lastScaleDownMs: number("down", 0) * 1000 }),
        };
        break;
      case "target":
        targets.push({
          hash: name,
          job: value("job") ?? "m",
          url: `http://${name}/`,
          explored: flags.has("pending")
            ? "pending"
            : flags.has("failed") || value("series") === undefined
              ? "failed"
              : "measured",
          load: value("series") === undefined ? undefined : load(),
        });
        break;
      case "shard":
        shards.push({
          id: `shard-${name}`,
          ordinal: Number(name),
          state: words[2] as ShardState,
          lastSeenMs: number("seen", nowMs / 1000) * 1000,
          dataUntilMs: value("data") === undefined ? undefined : number("data", 0) * 1000,
          headSeries: number("head", 0),
          idleSinceMs: value("idle") === undefined ? undefined : number("idle", 0) * 1000,
          assignments: [],
        });
        break;
      default:
        throw new Error(`cannot read the line ${JSON.stringify(line)}`);
    }
  }
  return {
    observed: {
      targets,
      heldJobs,
      shards,
      desiredShards: desired ?? shards.length,
      drainShards,
      ...(reference.size > 0 && { reference }),
      ...scaled,
    },
    options,
    nowMs,
  };
}
