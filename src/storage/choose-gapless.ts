import { ReplicaCursor, type Run } from "./replica-cursor.ts";
import type { ReplicaSamples } from "./replica-samples.ts";

/** Samples further apart than this many intervals have a gap between them. */
const GAP_FACTOR = 1.25;

/** What is taken in a gap keeps this part of an interval from the samples around it: no scrape counts twice. */
const GAP_MARGIN = 0.1;

/** How far one distance may change the interval that is taken for regular: it follows a new one, not an exception. */
const INTERVAL_GROWTH = 1.25;
const INTERVAL_SHRINKING = 0.75;

/** From so many of the first distances the interval is learned. */
const LEARNED_DISTANCES = 3;

/**
 * Stays with one replica until that one lacks a sample which the other one has, and then goes on with the other one from
 * that sample. No scrape is lost at a change, so rates are right in every window. It begins with the first replica if that
 * one is complete: the same question gets the same answer whenever it is asked.
 *
 *     a    ●    ●    ●              ○    ○    ●    ●  chosen
 *     b      ○    ○    ●    ●    ●    ●    ●      ○   passed over
 *
 * At the end the other one is listened to when the next sample is `overdue`, in intervals.
 *
 * What is a gap comes from the samples: their regular distance is learned as they go by, and the other replica has to be
 * denser. The trick: as long as a replica has no gap the other one is not decoded.
 */
export function chooseGapless(
  first: ReplicaSamples,
  second: ReplicaSamples,
  overdue = GAP_FACTOR,
): readonly Run[] {
  const cursors = [new ReplicaCursor(0, first), new ReplicaCursor(1, second)] as const;
  const interval = new Interval();
  const runs: Run[] = [];
  let side = firstSide(cursors, interval);
  let lastMs = -Infinity;
  for (;;) {
    const own = cursors[side];
    own.advance(lastMs + 1);
    const ownMs = own.timeMs;
    const isFirst = lastMs === -Infinity;
    if (ownMs === Infinity || (!isFirst && ownMs - lastMs > interval.longestMs)) {
      const other = cursors[side === 0 ? 1 : 0];
      if (findInGap(other, { fromMs: lastMs, toMs: ownMs, overdue }, interval)) {
        lastMs = other.timeMs;
        other.take(runs, other.index + 1);
        ({ side } = other);
        continue;
      }
      if (ownMs === Infinity) return runs;
    }
    if (!isFirst) interval.learn(ownMs - lastMs);
    lastMs = ownMs;
    own.take(runs, own.index + 1);
    // Fast path: samples that follow without a gap.
    const { times } = own.samples;
    const end = own.decodedEnd();
    let index = own.index;
    let { longestMs } = interval;
    while (index < end) {
      const deltaMs = times[index]! - lastMs;
      if (deltaMs < 1 || deltaMs > longestMs) break;
      longestMs = interval.learn(deltaMs);
      lastMs = times[index]!;
      index++;
    }
    if (index > own.index) own.take(runs, index);
  }
}

/** The distance of samples when none is missing, as far as seen. */
class Interval {
  #ms = Infinity;

  /** The longest distance without a gap; Infinity when none has been seen. */
  get longestMs(): number {
    return this.#ms * GAP_FACTOR;
  }

  /** How long after a sample the next one is overdue; 0 when the distance is not known. */
  overdueMs(intervals: number): number {
    return this.#ms === Infinity ? 0 : this.#ms * intervals;
  }

  get marginMs(): number {
    return this.#ms === Infinity ? 0 : this.#ms * GAP_MARGIN;
  }

  /** Of two samples that follow each other; returns the new `longestMs`. */
  learn(deltaMs: number): number {
    const ms = this.#ms;
    this.#ms =
      ms === Infinity
        ? deltaMs
        : Math.max(Math.min(deltaMs, ms * INTERVAL_GROWTH), ms * INTERVAL_SHRINKING);
    return this.longestMs;
  }
}

/** The first replica, unless the second one has samples before it that it lacks. */
function firstSide(
  [first, second]: readonly [ReplicaCursor, ReplicaCursor],
  interval: Interval,
): 0 | 1 {
  const { samples } = first;
  first.advance(-Infinity);
  const end = Math.min(samples.count, LEARNED_DISTANCES + 1);
  for (let i = 1; i < end; i++) {
    samples.decode(samples.chunkOf(i, 0));
    interval.learn(samples.times[i]! - samples.times[i - 1]!);
  }
  const leadMs = interval.longestMs === Infinity ? 0 : interval.longestMs;
  if (first.timeMs <= second.lowestTime(-Infinity) + leadMs) return 0;
  second.advance(-Infinity);
  return first.timeMs <= second.timeMs + leadMs ? 0 : 1;
}

/** Moves `cursor` to its first sample within a gap of the other replica, if it has one there and is denser than the gap. */
function findInGap(
  cursor: ReplicaCursor,
  { fromMs, toMs, overdue }: { fromMs: number; toMs: number; overdue: number },
  interval: Interval,
): boolean {
  const { samples } = cursor;
  const { marginMs } = interval;
  if (cursor.lowestTime(fromMs + 1) + marginMs >= toMs) return false;
  if (toMs === Infinity) {
    // The other replica has ended. What this one has beyond it counts when the other one's next sample is overdue.
    const newestMs = samples.chunks.at(-1)!.maxTimeMs;
    const waitMs = interval.overdueMs(overdue);
    if (newestMs - fromMs <= waitMs) return false;
    // What a shard has after it took a target over begins one interval later, not at once.
    cursor.advance(fromMs + Math.max(1, overdue < 1 ? waitMs : marginMs));
    return cursor.timeMs !== Infinity;
  }
  cursor.advance(fromMs + marginMs);
  if (cursor.timeMs >= toMs - marginMs) return false;
  return toMs - fromMs > GAP_FACTOR * closestDistance(samples, cursor.index, toMs);
}

/** The shortest distance among the samples from the one before `index` to the first one at `toMs` or later; 0 for a lone one. */
function closestDistance(samples: ReplicaSamples, index: number, toMs: number): number {
  let closestMs = Infinity;
  let at = Math.max(0, index - 1);
  let chunk = samples.chunkOf(at, 0);
  samples.decode(chunk);
  while (at + 1 < samples.count && samples.times[at]! < toMs) {
    chunk = samples.chunkOf(at + 1, chunk);
    samples.decode(chunk);
    closestMs = Math.min(closestMs, samples.times[at + 1]! - samples.times[at]!);
    at++;
  }
  return closestMs === Infinity ? 0 : closestMs;
}
