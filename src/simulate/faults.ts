import type { Random } from "../base/random.ts";
import { type OutageKind } from "./sim-discovery.ts";
import { HOUR_MS } from "./sim-target.ts";

/** What goes wrong, when and for how long. Times are from the start of the run. */
export type Fault =
  | {
      readonly kind: "shard-loss";
      readonly how: "crashed" | "hung";
      readonly atMs: number;
      readonly durationMs: number;
      /** Which of the shards that run then, as a share of their number; in [0, 1). */
      readonly pick: number;
    }
  | {
      readonly kind: "sd-outage";
      readonly how: OutageKind;
      readonly atMs: number;
      readonly durationMs: number;
    }
  | { readonly kind: "coordinator-restart"; readonly atMs: number; readonly durationMs: number };

export interface FaultOptions {
  readonly shardLosses: number;
  readonly sdOutages: number;
  readonly coordinatorRestarts: number;
  readonly durationMs: number;
  /** How long discovery may list too little before it is believed: outages that lie about the list are shorter. */
  readonly holdMs: number;
}

const MINUTE_MS = 60_000;

/** A process that ends and is started again, a node that is gone for a while, a process that stands still. */
const LOSSES = [
  { how: "crashed", fromMs: 5 * MINUTE_MS, toMs: 30 * MINUTE_MS },
  { how: "hung", fromMs: 3 * MINUTE_MS, toMs: 15 * MINUTE_MS },
  { how: "crashed", fromMs: 10_000, toMs: 45_000 },
] as const;
const OUTAGES: readonly OutageKind[] = ["error", "empty", "stale", "partial"];
const OUTAGE_MIN_MS = 2 * MINUTE_MS;
const OUTAGE_MAX_MS = HOUR_MS / 2;
const RESTART_MIN_MS = 5_000;
const RESTART_MAX_MS = 30_000;

/**
 * Spreads the faults over the run, each at a random time of its own slice. The first coordinator restart falls into the
 * first outage of discovery if there is one: then the coordinator knows least.
 */
export function scheduleFaults(options: FaultOptions, random: Random): Fault[] {
  const { durationMs, holdMs } = options;
  const between = (fromMs: number, toMs: number): number =>
    Math.round(fromMs + (toMs - fromMs) * random.next());
  const timesOf = (count: number): number[] =>
    Array.from({ length: count }, (_, i) => {
      const sliceMs = durationMs / count;
      // Not at the very ends: what follows a fault is to be seen as well.
      return Math.round(sliceMs * (i + 0.1 + 0.7 * random.next()));
    });
  const faults: Fault[] = [];
  for (const [i, atMs] of timesOf(options.shardLosses).entries()) {
    const { how, fromMs, toMs } = LOSSES[i % LOSSES.length]!;
    const lastsMs = between(fromMs, toMs);
    faults.push({ kind: "shard-loss", how, atMs, durationMs: lastsMs, pick: random.next() });
  }
  const outages = timesOf(options.sdOutages).map((atMs, i) => {
    const how = OUTAGES[i % OUTAGES.length]!;
    const isLie = how === "empty" || how === "partial";
    const longestMs = isLie ? Math.max(0, holdMs - MINUTE_MS) : OUTAGE_MAX_MS;
    const lastsMs = between(Math.min(OUTAGE_MIN_MS, longestMs), longestMs);
    return { kind: "sd-outage", how, atMs, durationMs: lastsMs } as const;
  });
  faults.push(...outages);
  for (const [i, ownMs] of timesOf(options.coordinatorRestarts).entries()) {
    const [outage] = outages;
    const atMs =
      i === 0 && outage !== undefined ? outage.atMs + Math.round(outage.durationMs / 3) : ownMs;
    const lastsMs = between(RESTART_MIN_MS, RESTART_MAX_MS);
    faults.push({ kind: "coordinator-restart", atMs, durationMs: lastsMs });
  }
  return faults.sort((a, b) => a.atMs - b.atMs);
}
