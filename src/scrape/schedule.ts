import { fnv1a64 } from "../model/target-hash.ts";

/** How far from its planned time a scrape may start and still be stored at the planned time. */
const TIMESTAMP_TOLERANCE_MS = 2;

const NS_PER_MS = 1_000_000n;

/** The jitter seed from text that differs between replicas (host name and external labels). */
export function jitterSeed(text: string): bigint {
  const bytes = Buffer.from(text);
  const { high, low } = fnv1a64(bytes, bytes.length);
  return (BigInt(high) << 32n) | BigInt(low);
}

/**
 * Where in its interval a target is scraped, ms: its hash XOR the seed, modulo the interval in nanoseconds, as
 * Prometheus does, so that targets spread out and each keeps its place over restarts.
 */
export function scrapeOffset(target: { hash: string; intervalMs: number }, seed: bigint): number {
  const mixed = BigInt.asUintN(64, BigInt(target.hash) ^ seed);
  return Number((mixed % (BigInt(target.intervalMs) * NS_PER_MS)) / NS_PER_MS);
}

/** The first time at or after `nowMs` that is `offsetMs` past a multiple of the interval. */
export function nextScrapeTime(
  nowMs: number,
  schedule: { readonly intervalMs: number; readonly offsetMs: number },
): number {
  const { intervalMs, offsetMs } = schedule;
  const planned = nowMs - (nowMs % intervalMs) + offsetMs;
  return planned < nowMs ? planned + intervalMs : planned;
}

/**
 * The time a scrape is stored at: the planned time when the scrape started near enough to it (2 ms, or 1 % of a short
 * interval), because equal steps compress to almost nothing.
 */
export function alignedTime(
  nowMs: number,
  plan: { readonly plannedMs: number; readonly intervalMs: number },
): number {
  const tolerance = Math.min(plan.intervalMs / 100, TIMESTAMP_TOLERANCE_MS);
  return Math.abs(nowMs - plan.plannedMs) <= tolerance ? plan.plannedMs : nowMs;
}
