import { chooseByPenalty } from "./choose-by-penalty.ts";
import { chooseGapless } from "./choose-gapless.ts";
import { mergeChunkLists } from "./merge-chunks.ts";
import { compareChunks, mergeChunks } from "./merge.ts";
import type { Chunk } from "./queryable.ts";
import type { Run } from "./replica-cursor.ts";
import { ReplicaSamples } from "./replica-samples.ts";
import { writeRuns } from "./write-runs.ts";

/**
 * Makes one series of what several replicas have of it: Prometheus servers that scrape the same targets on their own, each
 * at its own moments. Their samples are not merged but chosen from. Shards of the same replica that share a series while
 * its target moves are joined first, without losing a scrape.
 *
 *     replica a, shard 1 ─┐
 *     replica a, shard 2 ─┴─ joined ─┐
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

/** A shard that a target has left has no next sample to wait for: what the new one has after half an interval counts. */
const SHARD_OVERDUE = 0.5;

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

/**
 * The chunks of one series that several shards have, because its target moved from one to the other. While both scraped
 * it, one of them is listened to: two scrapes a few milliseconds apart may have read a counter in the other order, and
 * that would look like a reset.
 */
export function joinShards(shards: readonly (readonly Chunk[])[]): readonly Chunk[] {
  let one: readonly Chunk[] = [];
  for (const chunks of shards)
    one = areApart(one, chunks)
      ? mergeChunks([one, chunks])
      : choosePair(one, withoutOverlap(chunks), {
          choose: (first, second) => chooseGapless(first, second, SHARD_OVERDUE),
          isCounter: false,
        });
  return one;
}

/** Whether one ends before the other begins. */
function areApart(a: readonly Chunk[], b: readonly Chunk[]): boolean {
  if (a.length === 0 || b.length === 0) return true;
  return a[0]!.minTimeMs > newest(b) || b[0]!.minTimeMs > newest(a);
}

function newest(chunks: readonly Chunk[]): number {
  return chunks.reduce((time, { maxTimeMs }) => Math.max(time, maxTimeMs), -Infinity);
}

function dedupPair(
  first: readonly Chunk[],
  second: readonly Chunk[],
  { choice = "gapless", isCounter }: DedupOptions,
): readonly Chunk[] {
  const choose = choice === "penalty" ? chooseByPenalty : chooseGapless;
  return choosePair(first, second, { choose, isCounter });
}

function choosePair(
  first: readonly Chunk[],
  second: readonly Chunk[],
  options: {
    choose: (first: ReplicaSamples, second: ReplicaSamples) => readonly Run[];
    isCounter: boolean;
  },
): readonly Chunk[] {
  if (second.length === 0) return first;
  if (first.length === 0) return second;
  // Fast path: copies of one replica, such as two stores over the same blocks.
  if (areEqual(first, second)) return first;
  sides[0].reset(first);
  sides[1].reset(second);
  return writeRuns(options.choose(sides[0], sides[1]), sides, options);
}

function areEqual(a: readonly Chunk[], b: readonly Chunk[]): boolean {
  return a.length === b.length && a.every((chunk, i) => compareChunks(chunk, b[i]!) === 0);
}

/** Chunks of one shard may overlap where samples came out of order. */
function withoutOverlap(chunks: readonly Chunk[]): readonly Chunk[] {
  for (let i = 1; i < chunks.length; i++)
    if (chunks[i]!.minTimeMs <= chunks[i - 1]!.maxTimeMs)
      return mergeChunkLists(chunks.map((chunk) => [chunk]));
  return chunks;
}
