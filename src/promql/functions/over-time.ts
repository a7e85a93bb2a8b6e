import { AppError } from "../../base/errors.ts";
import {
  ABSENT,
  FLOAT,
  type Row,
  type WindowGeometry,
  type WindowSeries,
} from "../operators/row.ts";
import { firstAfter } from "./rate.ts";
import { KahanSum } from "./kahan-sum.ts";
import { quantileOf } from "./quantile.ts";
import { regress } from "./regression.ts";

/**
 * Functions over the samples of one window. A `WindowFunction` sees samples [low, high) of the columns in `call` and
 * leaves its answer in `call.result`; it returns whether there is one. Sums are Kahan–Neumaier compensated in
 * Prometheus's order, so results are equal to the last bit.
 */
export interface WindowCall {
  times: Float64Array;
  values: Float64Array;
  /** First sample of the window. */
  low: number;
  /** One past the last; always above `low`. */
  high: number;
  step: number;
  /** Evaluation time of the step, ms. */
  evaluationMs: number;
  windowStartMs: number;
  /** The scalar arguments, one value a step each. */
  args: readonly Float64Array[];
  result: number;
}

export type WindowFunction = (call: WindowCall) => boolean;

/** How many samples are gone through between two calls of `look`. */
const SAMPLES_PER_LOOK = 1_000_000;

/**
 * Runs `compute` on every window of `series`; whether any step has a value. `look` is called now and then during long
 * runs, and throws to end them.
 */
export function computeWindows(
  compute: WindowFunction,
  task: {
    series: WindowSeries;
    geometry: WindowGeometry;
    args: readonly Float64Array[];
    look: () => void;
  },
  row: Row,
): boolean {
  const { series, geometry, args, look } = task;
  const { times, values, count } = series;
  let unseen = 0;
  const { stepMs, rangeMs } = geometry;
  const reachMs = geometry.anchored ? rangeMs + geometry.lookbackMs : rangeMs;
  const call: WindowCall = {
    times,
    values,
    low: 0,
    high: 0,
    step: 0,
    evaluationMs: 0,
    windowStartMs: 0,
    args,
    result: 0,
  };
  let low = firstAfter(times, count, geometry.firstEndMs - reachMs);
  let high = low;
  let isAny = false;
  let endMs = geometry.firstEndMs;
  for (let k = 0; k < geometry.count; k++, endMs += stepMs) {
    while (high < count && times[high]! <= endMs) high++;
    while (low < high && times[low]! <= endMs - reachMs) low++;
    row.present[k] = ABSENT;
    if (low === high) continue;
    unseen += high - low;
    if (unseen > SAMPLES_PER_LOOK) {
      unseen = 0;
      look();
    }
    call.low = low;
    call.high = high;
    call.step = k;
    call.evaluationMs = geometry.evaluationStartMs + k * geometry.evaluationStepMs;
    call.windowStartMs = endMs - rangeMs;
    if (!compute(call)) continue;
    row.values[k] = call.result;
    row.present[k] = FLOAT;
    isAny = true;
  }
  return isAny;
}

function sumOverTime(call: WindowCall): boolean {
  const { values, high } = call;
  let sum = 0;
  let rest = 0;
  for (let i = call.low; i < high; i++) {
    const value = values[i]!;
    const total = sum + value;
    if (total === Infinity || total === -Infinity) rest = 0;
    else if (Math.abs(sum) >= Math.abs(value)) rest += sum - total + value;
    else rest += value - total + sum;
    sum = total;
  }
  call.result = sum === Infinity || sum === -Infinity ? sum : sum + rest;
  return true;
}

function averageOverTime(call: WindowCall): boolean {
  const { values, low, high } = call;
  let sum = values[low]!;
  let rest = 0;
  let count = 1;
  let i = low + 1;
  for (; i < high; i++) {
    const value = values[i]!;
    const total = sum + value;
    // From the first overflow on, the mean is kept instead of the sum.
    if (total === Infinity || total === -Infinity) break;
    if (Math.abs(sum) >= Math.abs(value)) rest += sum - total + value;
    else rest += value - total + sum;
    sum = total;
    count++;
  }
  if (i === high) {
    call.result = sum / count + rest / count;
    return true;
  }
  const mean = new KahanSum();
  mean.set(sum / count, rest / count);
  for (; i < high; i++) {
    count++;
    const q = (count - 1) / count;
    mean.set(q * mean.sum, q * mean.rest);
    mean.add(values[i]! / count);
  }
  call.result = mean.sum + mean.rest;
  return true;
}

/** A compensated sum starts from its first addend here, as Prometheus's incremental mean does. */
function varianceOf(call: WindowCall): number {
  const { values, high } = call;
  const mean = new KahanSum();
  const squares = new KahanSum();
  let count = 0;
  for (let i = call.low; i < high; i++) {
    const value = values[i]!;
    count++;
    const delta = value - (mean.sum + mean.rest);
    mean.add(delta / count);
    squares.add(delta * (value - (mean.sum + mean.rest)));
  }
  return (squares.sum + squares.rest) / count;
}

function extreme(
  isBetter: (value: number, best: number) => boolean,
  wantsTime: boolean,
): WindowFunction {
  return (call) => {
    const { values, times, low, high } = call;
    let best = values[low]!;
    let bestTimeMs = times[low]!;
    for (let i = low; i < high; i++) {
      const value = values[i]!;
      if (isBetter(value, best) || best !== best) {
        best = value;
        bestTimeMs = times[i]!;
      }
    }
    call.result = wantsTime ? bestTimeMs / 1000 : best;
    return true;
  };
}

function maxOverTime(call: WindowCall): boolean {
  const { values, low, high } = call;
  let best = values[low]!;
  for (let i = low + 1; i < high; i++) if (values[i]! > best || best !== best) best = values[i]!;
  call.result = best;
  return true;
}

function minOverTime(call: WindowCall): boolean {
  const { values, low, high } = call;
  let best = values[low]!;
  for (let i = low + 1; i < high; i++) if (values[i]! < best || best !== best) best = values[i]!;
  call.result = best;
  return true;
}

let scratch = new Float64Array(256);

function copyWindow(call: WindowCall): number {
  const count = call.high - call.low;
  if (scratch.length < count) scratch = new Float64Array(count * 2);
  for (let i = 0; i < count; i++) scratch[i] = call.values[call.low + i]!;
  return count;
}

function quantileOverTime(call: WindowCall): boolean {
  const count = copyWindow(call);
  call.result = quantileOf(call.args[0]![call.step]!, scratch, count);
  return true;
}

function medianDeviationOverTime(call: WindowCall): boolean {
  const count = copyWindow(call);
  call.result = NaN;
  for (let i = 0; i < count; i++) if (Number.isNaN(scratch[i]!)) return true;
  const median = quantileOf(0.5, scratch, count);
  for (let i = 0; i < count; i++) scratch[i] = Math.abs(scratch[i]! - median);
  call.result = quantileOf(0.5, scratch, count);
  return true;
}

/** The two newest samples; after a counter reset the newer one counts from zero. */
function instantChange(isRate: boolean): WindowFunction {
  return (call) => {
    const { values, times, high } = call;
    if (high - call.low < 2) return false;
    const last = values[high - 1]!;
    const before = values[high - 2]!;
    const intervalMs = times[high - 1]! - times[high - 2]!;
    if (intervalMs === 0) return false;
    const change = isRate && last < before ? last : last - before;
    call.result = isRate ? change / (intervalMs / 1000) : change;
    return true;
  };
}

/** Where changes and resets start counting: an anchored window starts with the last sample at or before its edge. */
function countingStart(call: WindowCall, isAnchored: boolean): number {
  if (!isAnchored) return call.low;
  const after = firstAfter(call.times, call.high, call.windowStartMs);
  if (after >= call.high) return -1;
  return Math.max(call.low, after - 1);
}

function changesIn(isAnchored: boolean): WindowFunction {
  return (call) => {
    const start = countingStart(call, isAnchored);
    if (start < 0) return false;
    const { values, high } = call;
    let changes = 0;
    for (let i = start + 1; i < high; i++) {
      const value = values[i]!;
      const before = values[i - 1]!;
      if (value !== before && !(value !== value && before !== before)) changes++;
    }
    call.result = changes;
    return true;
  };
}

function resetsIn(isAnchored: boolean): WindowFunction {
  return (call) => {
    const start = countingStart(call, isAnchored);
    if (start < 0) return false;
    const { values, high } = call;
    let resets = 0;
    for (let i = start + 1; i < high; i++) if (values[i]! < values[i - 1]!) resets++;
    call.result = resets;
    return true;
  };
}

function derivative(call: WindowCall): boolean {
  if (call.high - call.low < 2) return false;
  call.result = regress(call, call.times[call.low]!).slope;
  return true;
}

function predictLinear(call: WindowCall): boolean {
  if (call.high - call.low < 2) return false;
  const { slope, intercept } = regress(call, call.evaluationMs);
  call.result = slope * call.args[0]![call.step]! + intercept;
  return true;
}

function smoothExponentially(call: WindowCall): boolean {
  const smoothing = call.args[0]![call.step]!;
  const trendFactor = call.args[1]![call.step]!;
  checkFactor("smoothing", "sf", smoothing);
  checkFactor("trend", "tf", trendFactor);
  const { values, low, high } = call;
  if (high - low < 2) return false;
  let before = 0;
  let level = values[low]!;
  let trend = values[low + 1]! - values[low]!;
  for (let i = low + 1; i < high; i++) {
    const scaled = smoothing * values[i]!;
    if (i > low + 1) trend = trendFactor * (level - before) + (1 - trendFactor) * trend;
    const carried = (1 - smoothing) * (level + trend);
    before = level;
    level = scaled + carried;
  }
  call.result = level;
  return true;
}

function checkFactor(what: string, name: string, factor: number): void {
  if (factor <= 0 || factor >= 1)
    throw new AppError(
      "execution",
      `invalid ${what} factor. Expected: 0 < ${name} < 1, got: ${formatFactor(factor)}`,
    );
}

/** Go's `%f`. */
function formatFactor(factor: number): string {
  return Number.isFinite(factor) ? factor.toFixed(6) : factor > 0 ? "+Inf" : "-Inf";
}

function answer(compute: (call: WindowCall) => number): WindowFunction {
  return (call) => {
    call.result = compute(call);
    return true;
  };
}

const FUNCTIONS: ReadonlyMap<string, WindowFunction> = new Map<string, WindowFunction>([
  ["sum_over_time", sumOverTime],
  ["avg_over_time", averageOverTime],
  ["min_over_time", minOverTime],
  ["max_over_time", maxOverTime],
  ["count_over_time", answer((call) => call.high - call.low)],
  ["last_over_time", answer((call) => call.values[call.high - 1]!)],
  ["first_over_time", answer((call) => call.values[call.low]!)],
  ["present_over_time", answer(() => 1)],
  ["absent_over_time", answer(() => 1)],
  ["stddev_over_time", answer((call) => Math.sqrt(varianceOf(call)))],
  ["stdvar_over_time", answer(varianceOf)],
  ["quantile_over_time", quantileOverTime],
  ["mad_over_time", medianDeviationOverTime],
  ["ts_of_first_over_time", answer((call) => call.times[call.low]! / 1000)],
  ["ts_of_last_over_time", answer((call) => call.times[call.high - 1]! / 1000)],
  ["ts_of_max_over_time", extreme((value, best) => value >= best, true)],
  ["ts_of_min_over_time", extreme((value, best) => value <= best, true)],
  ["irate", instantChange(true)],
  ["idelta", instantChange(false)],
  ["deriv", derivative],
  ["predict_linear", predictLinear],
  ["double_exponential_smoothing", smoothExponentially],
  ["holt_winters", smoothExponentially],
]);

/** The kernel of a range function other than rate, increase and delta; undefined for an unknown name. */
export function windowFunction(name: string, isAnchored: boolean): WindowFunction | undefined {
  if (name === "changes") return changesIn(isAnchored);
  if (name === "resets") return resetsIn(isAnchored);
  return FUNCTIONS.get(name);
}
