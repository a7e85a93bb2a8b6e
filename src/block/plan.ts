import type { BlockMeta } from "./meta.ts";

/** Which blocks to merge into one, and why. */
export interface CompactionPlan {
  readonly reason: "overlap" | "range" | "tombstones";
  /** In order of time. */
  readonly blocks: readonly BlockMeta[];
}

/** Each range is three times the one before; ten of them at most. */
const RANGE_STEP = 3;
const RANGE_COUNT_MAX = 10;
/** A block with more deleted stretches than this share of its series is written anew. */
const TOMBSTONES_MAX_SHARE = 0.05;
/** Blocks with these hints are made and merged by rules of their own. */
const APART_HINTS = ["from-stale-series", "from-selected-series"];

/** The lengths blocks are merged to: `minMs`, 3 × that, … up to `maxMs`, never fewer than one. */
export function compactionRanges(minMs: number, maxMs: number): number[] {
  const ranges = [minMs];
  while (ranges.length < RANGE_COUNT_MAX && ranges.at(-1)! * RANGE_STEP <= maxMs)
    ranges.push(ranges.at(-1)! * RANGE_STEP);
  return ranges;
}

/**
 * What to compact next, by Prometheus's rules, or undefined. `ranges` are in ms, ascending.
 *
 * 1. Blocks that overlap become one.
 * 2. Two blocks or more that lie in one aligned range, and fill it or are older than the newest block, become one; the
 *    smallest range first. The newest block waits: more may come beside it.
 * 3. A long block with many deleted stretches is written anew, and so is any block whose series were all hit.
 */
export function planCompaction(
  metas: readonly BlockMeta[],
  ranges: readonly number[],
): CompactionPlan | undefined {
  const blocks = metas
    .filter(({ compaction }) => !APART_HINTS.some((hint) => compaction.hints?.includes(hint)))
    .sort((a, b) => a.minTime - b.minTime);
  const overlapping = findOverlap(blocks.filter(({ compaction }) => compaction.failed !== true));
  if (overlapping.length > 0) return { reason: "overlap", blocks: overlapping };
  const settled = blocks.slice(0, -1);
  const group = findGroup(settled, ranges);
  if (group.length > 0) return { reason: "range", blocks: group };
  const deleted = findDeleted(settled, ranges);
  return deleted === undefined ? undefined : { reason: "tombstones", blocks: [deleted] };
}

/** One line a person can read. */
export function formatPlan(plan: CompactionPlan | undefined): string {
  if (plan === undefined) return "nothing to compact";
  const names = plan.blocks.map(({ ulid, minTime, maxTime }) => `${ulid}[${minTime},${maxTime})`);
  return `${plan.reason}: ${names.join(" + ")}`;
}

/** The first run of blocks that overlap. */
function findOverlap(blocks: readonly BlockMeta[]): readonly BlockMeta[] {
  const run: BlockMeta[] = [];
  let maxTime = -Infinity;
  for (const [i, block] of blocks.entries()) {
    if (block.minTime < maxTime) {
      if (run.length === 0) run.push(blocks[i - 1]!);
      run.push(block);
    } else if (run.length > 0) break;
    maxTime = Math.max(maxTime, block.maxTime);
  }
  return run;
}

function findGroup(blocks: readonly BlockMeta[], ranges: readonly number[]): readonly BlockMeta[] {
  const newestMinTime = blocks.at(-1)?.minTime ?? -Infinity;
  for (const range of ranges.slice(1))
    for (const group of splitByRange(blocks, range)) {
      if (group.length < 2 || group.some(({ compaction }) => compaction.failed === true)) continue;
      const maxTime = group.at(-1)!.maxTime;
      if (maxTime - group[0]!.minTime === range || maxTime <= newestMinTime) return group;
    }
  return [];
}

/** Groups of blocks that lie wholly in the same multiple of `range`. */
export function splitByRange(blocks: readonly BlockMeta[], range: number): BlockMeta[][] {
  const groups: BlockMeta[][] = [];
  let start = NaN;
  for (const block of blocks) {
    const aligned = Math.floor(block.minTime / range) * range;
    if (block.maxTime > aligned + range) continue;
    if (aligned !== start) groups.push([]);
    start = aligned;
    groups.at(-1)!.push(block);
  }
  return groups;
}

function findDeleted(
  blocks: readonly BlockMeta[],
  ranges: readonly number[],
): BlockMeta | undefined {
  const middle = ranges[ranges.length >> 1] ?? 0;
  for (const block of [...blocks].reverse()) {
    const { numTombstones = 0, numSeries = 0 } = block.stats;
    if (block.maxTime - block.minTime < middle)
      return numTombstones > 0 && numTombstones >= numSeries ? block : undefined;
    if (numTombstones / (numSeries + 1) > TOMBSTONES_MAX_SHARE) return block;
  }
  return undefined;
}

/** A block that retention drops. */
export interface RetentionStep {
  readonly block: BlockMeta;
  readonly reason: "time" | "size";
}

/**
 * Which blocks retention drops. By time: those that end `retentionMs` or more before the newest block ends. By size:
 * the oldest, until `retentionBytes` holds for what is left and `otherBytes` (log and head chunks). 0 is no limit.
 */
export function planRetention(
  blocks: readonly { readonly meta: BlockMeta; readonly size: number }[],
  limits: { retentionMs: number; retentionBytes: number; otherBytes: number },
): RetentionStep[] {
  const { retentionMs, retentionBytes, otherBytes } = limits;
  const newestFirst = [...blocks].sort((a, b) => b.meta.maxTime - a.meta.maxTime);
  const newest = newestFirst[0]?.meta.maxTime ?? 0;
  const steps: RetentionStep[] = [];
  let size = otherBytes;
  for (const { meta, size: own } of newestFirst) {
    if (retentionMs > 0 && newest - meta.maxTime >= retentionMs)
      steps.push({ block: meta, reason: "time" });
    else {
      size += own;
      if (retentionBytes > 0 && size > retentionBytes) steps.push({ block: meta, reason: "size" });
    }
  }
  return steps;
}
