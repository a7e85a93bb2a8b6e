import { chooseByPenalty } from "./choose-by-penalty.ts";
import { chooseGapless } from "./choose-gapless.ts";
import { mergeChunkLists } from "./merge-chunks.ts";
import { compareChunks } from "./merge.ts";
import type { Chunk } from "./queryable.ts";
import { ReplicaSamples } from "./replica-samples.ts";
import { writeRuns } from "./write-runs.ts";

/**
 * Makes one series of what several replicas have of it: Prometheus servers that scrape the same targets on their own, each
 * at its own moments. Their samples are not merged but chosen from. Shards of the same replica that
 * share a series while its target moves are no replicas of each other: their samples are merged first.
 *
 *     replica a, shard 1 ─┐
 *     replica a, shard 2 ─┴─ merged ─┐
 *     replica b, shard 1 ────────────┴─ chosen ─ ... pair by pair with further replicas
 */
export type ReplicaChoice = "gapless" | "penalty";

export interface DedupOptions {
  /** `gapless` loses no scrape at a change of replica; `penalty` is Thanos's choice. Default `gapless`. */
  readonly choice?: ReplicaChoice;
  /** Whether the series is read as a counter: see `isCounterFunction`. */
  readonly isCounter: boolean;
}

/** Whether the function around a selector takes its samples for a counter's. */
export function isCounterFunction(func: string): boolean {
  return func === "rate" || func === "increase" || func === "irate" || func === "resets";
}

/** One for all series: a series is written before the next one is read. */
const sides = [new ReplicaSamples(), new ReplicaSamples()] as const;

/**
 * The chunks of one series from those of its replicas. Where replicas are equally good the first one wins, so they come in
 * an order that does not change from query to query. Chunks of a replica are sorted by time and may overlap.
 */
export function dedupChunks(
  replicas: readonly (readonly Chunk[])[],
  options: DedupOptions,
): readonly Chunk[] {
  let one: readonly Chunk[] = [];
  for (const replica of replicas) one = dedupPair(one, withoutOverlap(replica), options);
  return one;
}

function dedupPair(
  first: readonly Chunk[],
  second: readonly Chunk[],
  { choice = "gapless", isCounter }: DedupOptions,
): readonly Chunk[] {
  if (second.length === 0) return first;
  if (first.length === 0) return second;
  // Fast path: copies of one replica, such as two stores over the same blocks.
  if (areEqual(first, second)) return first;
  sides[0].reset(first);
  sides[1].reset(second);
  const choose = choice === "penalty" ? chooseByPenalty : chooseGapless;
  return writeRuns(choose(sides[0], sides[1]), sides, { isCounter });
}

function areEqual(a: readonly Chunk[], b: readonly Chunk[]): boolean {
  return a.length === b.length && a.every((chunk, i) => compareChunks(chunk, b[i]!) === 0);
}

/** Samples of shards that both have a target count once each. */
function withoutOverlap(chunks: readonly Chunk[]): readonly Chunk[] {
  for (let i = 1; i < chunks.length; i++)
    if (chunks[i]!.minTimeMs <= chunks[i - 1]!.maxTimeMs)
      return mergeChunkLists(chunks.map((chunk) => [chunk]));
  return chunks;
}
