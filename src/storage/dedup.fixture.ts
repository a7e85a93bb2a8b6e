import { decodeXor, xorSampleCount } from "../chunk/xor.ts";
import { encodeXor } from "../chunk/xor-encode.ts";
import { newHistogram } from "../model/histogram.ts";
import { decodeHistogramChunk, encodeHistogramRun } from "./chunk-encodings.ts";
import type { ReplicaChoice } from "./dedup.ts";
import { type Chunk, type ChunkEncoding, ENCODING_XOR } from "./queryable.ts";

/** A sample as a plain object. The value of a histogram is its count. */
export interface Point {
  readonly t: number;
  readonly v: number;
  readonly encoding: ChunkEncoding;
}

export function point(t: number, v = 0, encoding: ChunkEncoding = ENCODING_XOR): Point {
  return { t, v, encoding };
}

/** Points in chunks of `size` samples, each of one encoding. */
export function chunksOf(points: readonly Point[], size = 120): Chunk[] {
  const chunks: Chunk[] = [];
  for (let from = 0; from < points.length;) {
    const { encoding } = points[from]!;
    let to = from + 1;
    while (to < points.length && to - from < size && points[to]!.encoding === encoding) to++;
    const some = points.slice(from, to);
    const times = Float64Array.from(some, ({ t }) => t);
    if (encoding === ENCODING_XOR) {
      const values = Float64Array.from(some, ({ v }) => v);
      const data = encodeXor(times, values, { start: 0, end: some.length });
      chunks.push({ encoding, minTimeMs: times[0]!, maxTimeMs: times.at(-1)!, data });
    } else {
      const histograms = some.map(({ v }) =>
        newHistogram({
          count: v,
          sum: v,
          positiveSpans: Int32Array.of(0, 1),
          positiveBuckets: Float64Array.of(v),
        }),
      );
      chunks.push(...encodeHistogramRun(encoding, { times, histograms }));
    }
    from = to;
  }
  return chunks;
}

export function pointsOf(chunks: readonly Chunk[]): Point[] {
  return chunks.flatMap((chunk): Point[] => {
    const { encoding } = chunk;
    if (encoding === ENCODING_XOR) {
      const count = xorSampleCount(chunk.data);
      const times = new Float64Array(count);
      const values = new Float64Array(count);
      decodeXor(chunk.data, { times, values, offset: 0 });
      return Array.from(times, (t, i) => ({ t, v: values[i]!, encoding }));
    }
    const { times, histograms } = decodeHistogramChunk(chunk);
    return histograms.map(({ count }, i) => ({ t: times[i]!, v: count, encoding }));
  });
}

interface Picked {
  readonly side: 0 | 1;
  readonly index: number;
  readonly t: number;
}

/** The same choice as plainly as it can be said, over whole lists of plain samples. */
export function plainDedup(
  replicas: Pair,
  options: { choice: ReplicaChoice; isCounter: boolean },
): Point[] {
  const picked = options.choice === "penalty" ? plainPenalty(replicas) : plainGapless(replicas);
  if (!options.isCounter) return picked.map(({ side, index }) => replicas[side][index]!);
  return plainCounter(replicas, picked);
}

type Pair = readonly [readonly Point[], readonly Point[]];

/** Of both replicas' next samples the earlier one; the other then has to be later by twice the last distance. */
function plainPenalty(replicas: Pair): Picked[] {
  const picked: Picked[] = [];
  const penalty = [0, 0];
  for (;;) {
    const lastT = picked.at(-1)?.t ?? -Infinity;
    const next = ([0, 1] as const).flatMap((side) => {
      const index = replicas[side].findIndex(({ t }) => t >= lastT + 1 + penalty[side]!);
      return index < 0 ? [] : [{ side, index, t: replicas[side][index]!.t }];
    });
    next.sort((a, b) => a.t - b.t || a.side - b.side);
    const [best] = next;
    if (best === undefined) return picked;
    penalty[best.side] = 0;
    penalty[1 - best.side] = lastT === -Infinity ? 5000 : 2 * (best.t - lastT);
    picked.push(best);
  }
}

/** One replica until it lacks something that the other one has. */
function plainGapless(replicas: Pair): Picked[] {
  const picked: Picked[] = [];
  let interval = Infinity;
  const learn = (distance: number): void => {
    if (interval === Infinity) interval = distance;
    else interval = Math.max(0.75 * interval, Math.min(distance, 1.25 * interval));
  };
  const begin = replicas[0].slice(0, 4).map(({ t }) => t);
  begin.slice(1).forEach((t, i) => learn(t - begin[i]!));
  const lead = interval === Infinity ? 0 : 1.25 * interval;
  let side: 0 | 1 = (begin[0] ?? Infinity) <= (replicas[1][0]?.t ?? Infinity) + lead ? 0 : 1;
  for (;;) {
    const last = picked.at(-1)?.t ?? -Infinity;
    const index = replicas[side].findIndex(({ t }) => t > last);
    const next = index < 0 ? Infinity : replicas[side][index]!.t;
    if (next === Infinity || (picked.length > 0 && next - last > 1.25 * interval)) {
      const margin = interval === Infinity ? 0 : 0.1 * interval;
      const others = replicas[1 - side]!;
      const inside = others.findIndex(
        ({ t }) => t > last && t >= last + margin && t < next - margin,
      );
      const around = others
        .filter((_, i) => i >= inside - 1 && (i === 0 || others[i - 1]!.t < next))
        .map(({ t }) => t);
      const distances = around.slice(1).map((t, i) => t - around[i]!);
      const isMissing =
        next === Infinity
          ? interval === Infinity || others.at(-1)!.t - last > 1.25 * interval
          : distances.length === 0 || next - last > 1.25 * Math.min(...distances);
      if (inside >= 0 && isMissing) {
        side = side === 0 ? 1 : 0;
        picked.push({ side, index: inside, t: others[inside]!.t });
        continue;
      }
      if (next === Infinity) return picked;
    }
    if (picked.length > 0) learn(next - last);
    picked.push({ side, index, t: next });
  }
}

/** Lifts the values of a replica that is behind. */
function plainCounter(replicas: Pair, picked: readonly Picked[]): Point[] {
  const offset = [0, 0];
  const out: Point[] = [];
  picked.forEach(({ side, index }, i) => {
    const own = replicas[side];
    const { t, v, encoding } = own[index]!;
    const before = picked[i - 1];
    const last = out.at(-1);
    const isFloat = encoding === ENCODING_XOR;
    if (isFloat && before !== undefined && last !== undefined) {
      if (before.side !== side) {
        if (last.encoding === ENCODING_XOR && last.v > v + offset[side]!) {
          const since = own.slice(0, index + 1).filter((each) => each.t > last.t);
          const known = own.slice(0, index).findLast((each) => each.t <= last.t);
          const path = known === undefined ? [] : [known, ...since].map(numberOf);
          const wentDown = path.slice(1).some((each, k) => each < path[k]!);
          const isReset = wentDown && path[0]! + offset[side]! <= last.v;
          offset[side] = isReset ? 0 : last.v - v;
        }
      } else if (before.index === index - 1 && v < numberOf(own[index - 1]!)) offset[side] = 0;
    }
    out.push(isFloat ? { t, v: v + offset[side]!, encoding } : { t, v, encoding });
  });
  return out;
}

function numberOf({ v, encoding }: Point): number {
  return encoding === ENCODING_XOR ? v : NaN;
}
