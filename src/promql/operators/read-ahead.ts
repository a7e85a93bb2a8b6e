import type { Series } from "../../storage/queryable.ts";
import { Annotations } from "../annotations.ts";
import type { Frame, Plan, SelectorPlan } from "../plan.ts";
import { holdsMoreThanFloats } from "./histogram-columns.ts";
import { sampleSize, selectorKey, type QueryContext, type VectorOperator } from "./row.ts";
import { batches, SampleColumns } from "./select.ts";

/**
 * A result that is larger than the budget is refused before it is built, where that is cheap to know: with steps finer
 * than the samples the data is small beside what becomes of it. Some of it is read ahead then, and when the times of its
 * chunks say that there may be too many points, those of the series at hand are counted without keeping them.
 */

/** Bytes of chunks that are read ahead. */
const READ_AHEAD_BYTES = 32 * 1024 * 1024;
/** What a point takes in memory, and how many times larger than the chunks the points must be to read ahead for them. */
const POINT_BYTES = 9;
const WORTH_READING_AHEAD = 8;

/** Throws `execution` when the rows that `operator`, built of `plan`, gives cannot fit. What was read stays for it. */
export async function refuseEarly(
  plan: Plan,
  operator: VectorOperator,
  query: QueryContext,
): Promise<void> {
  const selector = rowwiseSelector(plan);
  // A trace would not tell what was read here.
  if (selector === undefined || plan.frame.count < 2 || query.trace !== undefined) return;
  const key = selectorKey(selector);
  const needed = neededSamples(plan, selector);
  const stream = batches(selector, query);
  const ahead: (readonly Series[])[] = [];
  let uncounted: Series[] = [];
  let counted = 0;
  let estimate = 0;
  let points = 0;
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await stream.next();
      if (done === true) break;
      ahead.push(value);
      for (const series of value) {
        uncounted.push(series);
        const own = estimatePoints(series, selector, plan);
        estimate += own;
        points += own;
        for (const { data } of series.chunks) bytes += data.length;
      }
      if (bytes > READ_AHEAD_BYTES || points * POINT_BYTES < bytes * WORTH_READING_AHEAD) break;
      if (query.budget.fits(counted + estimate)) continue;
      const { frame } = plan;
      counted +=
        needed === undefined
          ? await countPoints(operator, query, { key, series: uncounted })
          : countCovered(uncounted, { selector, frame, needed }, query);
      uncounted = [];
      estimate = 0;
      query.budget.probe(counted);
    }
  } catch (error) {
    await stream.return(undefined);
    throw error;
  }
  query.readAhead.set(key, continued(ahead, stream));
}

/** The selector of a plan each of whose rows comes of one series alone; undefined for any other. */
function rowwiseSelector(plan: Plan): SelectorPlan | undefined {
  if (plan.kind === "select") return plan.selector.smoothed ? undefined : plan.selector;
  if (plan.kind === "negate") return rowwiseSelector(plan.operand);
  if (plan.kind !== "call" || plan.func === "absent_over_time") return undefined;
  const [window, ...others] = plan.args.filter(({ kind }) => kind !== "number");
  return window?.kind === "window" && others.length === 0 ? window.selector : undefined;
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
function neededSamples(plan: Plan, selector: SelectorPlan): number | undefined {
  if (plan.kind === "negate") return neededSamples(plan.operand, selector);
  if (plan.kind === "select") return 1;
  const isPlain = !selector.anchored && !selector.smoothed;
  return plan.kind === "call" && isPlain ? NEEDED_SAMPLES.get(plan.func) : undefined;
}

/** The steps within the times of the chunks: about as many as have a point, when the steps are finer than the samples. */
function estimatePoints(series: Series, selector: SelectorPlan, { frame }: Plan): number {
  let spanMs = 0;
  for (const { minTimeMs, maxTimeMs } of series.chunks)
    spanMs += Math.max(
      0,
      Math.min(maxTimeMs, selector.maxTimeMs) - Math.max(minTimeMs, selector.minTimeMs),
    );
  return Math.min(frame.count, Math.floor(spanMs / frame.stepMs) + 1);
}

/**
 * The steps that see at least `needed` floats of `series`, within the lookback or the range. As many samples as that see
 * the same steps until the next one comes or the first is too old: two divisions instead of a look at every step.
 */
function countCovered(
  series: readonly Series[],
  { selector, frame, needed }: { selector: SelectorPlan; frame: Frame; needed: number },
  query: QueryContext,
): number {
  const isWindow = selector.rangeMs > 0;
  const reachMs = isWindow ? selector.rangeMs : selector.lookbackMs;
  const { stepMs, count } = frame;
  const firstMs = frame.startMs - selector.reference.offsetMs;
  /** How many steps look at a time before `timeMs`. */
  const stepsBefore = (timeMs: number): number =>
    Math.min(count, Math.max(0, Math.ceil((timeMs - firstMs) / stepMs)));
  const apart = withoutTraces(query);
  const columns = new SampleColumns();
  let points = 0;
  for (const one of series) {
    // Beside a histogram a float may count for nothing.
    if (holdsMoreThanFloats(one, query)) continue;
    columns.load(one, selector, apart);
    if (isWindow) columns.dropStale();
    const { times, values } = columns;
    for (let last = needed - 1; last < columns.count; last++) {
      const value = values[last]!;
      if (value !== value && columns.isStale(last)) continue;
      const nextMs = last + 1 < columns.count ? times[last + 1]! : Infinity;
      const endMs = Math.min(nextMs, times[last + 1 - needed]! + reachMs);
      points += Math.max(0, stepsBefore(endMs) - stepsBefore(times[last]!));
    }
  }
  return points;
}

/** The points that `operator` makes of `series`, nothing else of which is told or kept. */
async function countPoints(
  operator: VectorOperator,
  query: QueryContext,
  from: { key: string; series: readonly Series[] },
): Promise<number> {
  let points = 0;
  const apart: QueryContext = {
    ...withoutTraces(query),
    repeatedSelectors: new Set([from.key]),
    sharedSeries: new Map([[from.key, Promise.resolve(from.series)]]),
  };
  await operator.stream(apart, (row) => {
    points += sampleSize(row);
  });
  return points;
}

/** `query` for what leaves nothing behind. */
function withoutTraces(query: QueryContext): QueryContext {
  return {
    ...query,
    annotations: new Annotations(),
    samples: undefined,
    stats: { samplesRead: 0, seriesRead: 0, chunksRead: 0, bytesRead: 0 },
  };
}

async function* continued(
  ahead: readonly (readonly Series[])[],
  rest: AsyncGenerator<readonly Series[]>,
): AsyncGenerator<readonly Series[]> {
  try {
    yield* ahead;
    yield* rest;
  } finally {
    await rest.return(undefined);
  }
}
