/**
 * Where the bars of a native histogram stand in its picture, which is 1 wide and 1 high.
 *
 * On the exponential scale the width of a bucket is the logarithm of the ratio of its bounds, and its height is its count.
 * A bucket without such a ratio (around zero, from zero, without an end) is as wide as the others on average. On the linear
 * scale the width is the distance of the bounds, and the area is the count.
 */
import type { Bucket } from "../api.ts";
import { formatCount, parseValue } from "../format.ts";

export type Scale = "exponential" | "linear";

export interface Bar {
  readonly bucket: Bucket;
  readonly left: number;
  readonly right: number;
  /** From below. */
  readonly bottom: number;
  readonly top: number;
}

export interface Tick {
  readonly at: number;
  readonly text: string;
}

export interface Bars {
  readonly bars: readonly Bar[];
  /** Bounds of buckets, far enough from each other to be read. */
  readonly ticks: readonly Tick[];
  /** What the picture's lower and upper edge mean. */
  readonly minHeight: number;
  readonly maxHeight: number;
}

/** A bucket narrower than this part of the picture counts as this wide, so that its density hides no other. */
const WIDTH_MIN = 1 / 200;
/** Bounds are written where they have this part of the width for themselves. */
const TICK_DISTANCE_MIN = 0.17;
/** How far a written bound may be from the quarter of the picture that it stands for. */
const TICK_DISTANCE_MAX = 0.1;

interface Range {
  readonly lower: number;
  readonly upper: number;
}

type Edges = readonly [left: number, right: number];

export function barsOf(buckets: readonly Bucket[], scale: Scale): Bars {
  const ranges = buckets.map(([, lower, upper]) => ({
    lower: parseValue(lower),
    upper: parseValue(upper),
  }));
  const edges = scale === "linear" ? linearEdges(ranges) : exponentialEdges(ranges);
  const heights = buckets.map(([, , , count], i) => {
    const [left, right] = edges[i]!;
    const height = parseValue(count);
    return scale === "linear" ? height / Math.max(right - left, WIDTH_MIN) : height;
  });
  const finite = heights.filter((height) => Number.isFinite(height));
  const minHeight = Math.min(0, ...finite);
  const maxHeight = Math.max(0, ...finite);
  const size = maxHeight - minHeight || 1;
  const at = (height: number): number =>
    Number.isNaN(height) ? at(0) : Math.min(1, Math.max(0, (height - minHeight) / size));
  const bars = buckets.map((bucket, i): Bar => {
    const [left, right] = edges[i]!;
    const [bottom, top] = [at(0), at(heights[i]!)].sort((a, b) => a - b) as [number, number];
    return { bucket, left, right, bottom, top };
  });
  return { bars, ticks: ticksOf(ranges, edges), minHeight, maxHeight };
}

function exponentialEdges(ranges: readonly Range[]): Edges[] {
  const widths = ranges.map(({ lower, upper }) => logarithmicDistance(lower, upper));
  const known = widths.filter((width) => width > 0 && width < Infinity);
  const usual = known.length === 0 ? 1 : known.reduce((a, b) => a + b) / known.length;
  let x = 0;
  const edges = ranges.map((range, i): Edges => {
    const before = ranges[i - 1];
    if (before !== undefined) {
      const gap = logarithmicDistance(before.upper, range.lower);
      // Zero is infinitely far from everything, and a zero bucket may be as narrow as numbers go.
      const isAtZero = holdsZero(before) || holdsZero(range) || gap === Infinity;
      x += isAtZero ? Math.min(gap, usual) : gap;
    }
    const width = widths[i]!;
    const left = x;
    x += width > 0 && width < Infinity ? width : usual;
    return [left, x];
  });
  return edges.map(([left, right]) => [left / x, right / x]);
}

/** Infinity where zero lies between the bounds, or one of them is zero or infinite. */
function logarithmicDistance(a: number, b: number): number {
  if (a === b) return 0;
  if (Math.sign(a) !== Math.sign(b)) return Infinity;
  return Math.abs(Math.log(Math.abs(b)) - Math.log(Math.abs(a)));
}

function linearEdges(ranges: readonly Range[]): Edges[] {
  const closed = ranges.map((range, i) => closeRange(range, ranges[i + 1] ?? ranges[i - 1]));
  // Halves, because the distance between the largest numbers is none.
  const min = Math.min(...closed.map(({ lower }) => lower / 2));
  const max = Math.max(...closed.map(({ upper }) => upper / 2));
  if (max === min) return closed.map((): Edges => [0, 1]);
  const at = (value: number): number => (value / 2 - min) / (max - min);
  return closed.map(({ lower, upper }): Edges => [at(lower), at(upper)]);
}

/** A bucket without an end is as wide as its neighbour; one of small values begins at zero. */
function closeRange({ lower, upper }: Range, neighbour: Range | undefined): Range {
  if (lower === -Infinity && upper === Infinity) return { lower: 0, upper: 1 };
  const distance = neighbour === undefined ? Infinity : neighbour.upper - neighbour.lower;
  const width = distance < Infinity ? distance : Math.abs(upper === Infinity ? lower : upper) || 1;
  if (upper === Infinity) return { lower, upper: Math.min(lower + width, Number.MAX_VALUE) };
  if (lower > -Infinity) return { lower, upper };
  return { lower: upper > 0 ? 0 : Math.max(upper - width, -Number.MAX_VALUE), upper };
}

function holdsZero({ lower, upper }: Range): boolean {
  return lower <= 0 && upper >= 0;
}

/** The ends, zero, and of the other bounds those nearest to the quarters. */
function ticksOf(ranges: readonly Range[], edges: readonly Edges[]): Tick[] {
  const candidates = ranges.flatMap((range, i): { at: number; value: number }[] => {
    const [left, right] = edges[i]!;
    const isZero = range.lower < 0 && range.upper > 0 && range.lower === -range.upper;
    const ends = [
      { at: left, value: range.lower },
      { at: right, value: range.upper },
    ];
    return isZero ? [...ends, { at: (left + right) / 2, value: 0 }] : ends;
  });
  const taken: { at: number; value: number }[] = [];
  const take = (candidate: { at: number; value: number } | undefined): void => {
    if (candidate !== undefined && taken.every(({ at }) => away(at, candidate.at)))
      taken.push(candidate);
  };
  const away = (a: number, b: number): boolean => Math.abs(a - b) >= TICK_DISTANCE_MIN;
  take(candidates.at(0));
  take(candidates.findLast(({ at }) => at === 1));
  take(candidates.find(({ value }) => value === 0));
  for (const target of [0.5, 0.25, 0.75]) {
    const distance = ({ at }: { at: number }): number => Math.abs(at - target);
    const near = candidates.filter((one) => distance(one) <= TICK_DISTANCE_MAX);
    take(near.sort((a, b) => distance(a) - distance(b))[0]);
  }
  return taken
    .sort((a, b) => a.at - b.at)
    .map(({ at, value }) => ({ at, text: formatBound(value) }));
}

function formatBound(value: number): string {
  return value === Infinity ? "+Inf" : value === -Infinity ? "-Inf" : formatCount(value);
}

/** `(1, 2]`: a square bracket where the bound belongs to the bucket. */
export function formatBounds([boundaries, lower, upper]: Bucket): string {
  const open = boundaries === 1 || boundaries === 3 ? "[" : "(";
  const close = boundaries === 0 || boundaries === 3 ? "]" : ")";
  return `${open}${lower}, ${upper}${close}`;
}
