import type { Series } from "../../storage/queryable.ts";
import { Annotations } from "../annotations.ts";
import type { Frame, Plan, SelectorPlan } from "../plan.ts";
import { elementFunction } from "./elementwise.ts";
import { holdsMoreThanFloats } from "./histogram-columns.ts";
import type { QueryContext } from "./row.ts";
import { SampleColumns, visitAll } from "./select.ts";

/** How many points a plan makes of single series, by the times of their samples alone. */

const ARITHMETIC: ReadonlySet<string> = new Set(["+", "-", "*", "/", "%", "^", "atan2"]);

/** What `plan` makes one float of each float of, and has no others. */
export function mappedOperand(plan: Plan): Plan | undefined {
  if (plan.kind === "negate") return plan.operand;
  if (plan.kind === "call")
    return elementFunction(plan.func) === undefined ? undefined : plan.args[0];
  if (plan.kind !== "binary" || !ARITHMETIC.has(plan.operator)) return undefined;
  if (plan.left.kind === "number") return plan.right;
  return plan.right.kind === "number" ? plan.left : undefined;
}

/** Functions that give a value wherever so many samples are in the window, whatever they are. */
const NEEDED_SAMPLES: ReadonlyMap<string, number> = new Map([
  ["avg_over_time", 1],
  ["count_over_time", 1],
  ["delta", 2],
  ["increase", 2],
  ["last_over_time", 1],
  ["max_over_time", 1],
  ["min_over_time", 1],
  ["rate", 2],
  ["sum_over_time", 1],
]);

/** How many samples the plan needs for a point; undefined when that does not say it. */
export function neededSamples(plan: Plan, selector: SelectorPlan): number | undefined {
  if (plan.kind === "select") return 1;
  const operand = mappedOperand(plan);
  if (operand !== undefined) return neededSamples(operand, selector);
  const isPlain = !selector.anchored && !selector.smoothed;
  return plan.kind === "call" && isPlain ? NEEDED_SAMPLES.get(plan.func) : undefined;
}

interface CoveredOptions {
  readonly selector: SelectorPlan;
  readonly frame: Frame;
  /** Samples a step has to see. */
  readonly needed: number;
  /** Whether there may be older and newer samples: no step after the last one is counted. Default: no. */
  readonly isPart?: boolean;
}

/**
 * The steps that see at least `needed` floats of `series`, within the lookback or the range. As many samples as that see
 * the same steps until the next one comes or the first is too old: two divisions instead of a look at every step, and for
 * all of a series without gaps.
 */
export async function countCovered(
  series: readonly Series[],
  { selector, frame, needed, isPart = false }: CoveredOptions,
  query: QueryContext,
): Promise<number> {
  const isWindow = selector.rangeMs > 0;
  const reachMs = isWindow ? selector.rangeMs : selector.lookbackMs;
  const { stepMs, count } = frame;
  const firstMs = frame.startMs - selector.reference.offsetMs;
  let limit = count;
  /** How many steps, of the first `limit`, look at a time before `timeMs`. */
  const stepsBefore = (timeMs: number): number =>
    Math.min(limit, Math.max(0, Math.ceil((timeMs - firstMs) / stepMs)));
  const apart = withoutTraces(query);
  const columns = new SampleColumns();
  let points = 0;
  await visitAll(series, query, (one) => {
    // Beside a histogram a float may count for nothing.
    if (holdsMoreThanFloats(one, query)) return;
    columns.load(one, selector, apart);
    if (isWindow) columns.dropStale();
    const { times, values } = columns;
    const end = columns.count;
    if (end < needed) return;
    limit = count;
    if (isPart) limit = stepsBefore(times[end - 1]!);
    if (isUnbroken(columns, needed, reachMs)) {
      const endMs = times[end - needed]! + reachMs;
      points += Math.max(0, stepsBefore(endMs) - stepsBefore(times[needed - 1]!));
      return;
    }
    for (let last = needed - 1; last < end; last++) {
      const value = values[last]!;
      if (value !== value && columns.isStale(last)) continue;
      const nextMs = last + 1 < end ? times[last + 1]! : Infinity;
      const endMs = Math.min(nextMs, times[last + 1 - needed]! + reachMs);
      points += Math.max(0, stepsBefore(endMs) - stepsBefore(times[last]!));
    }
  });
  return points;
}

/** Whether from the first `needed` samples on each time sees as many, none of them a marker. */
function isUnbroken(columns: SampleColumns, needed: number, reachMs: number): boolean {
  const { times, values, count } = columns;
  for (let i = 0; i < count; i++) {
    const value = values[i]!;
    if (value !== value && columns.isStale(i)) return false;
    if (i >= needed && times[i]! - times[i - needed]! > reachMs) return false;
  }
  return true;
}

/** `query` for what leaves nothing behind. */
export function withoutTraces(query: QueryContext): QueryContext {
  return {
    ...query,
    annotations: new Annotations(),
    samples: undefined,
    stats: { samplesRead: 0, seriesRead: 0, chunksRead: 0, bytesRead: 0 },
  };
}
