import type { Series, SeriesCount } from "../../storage/queryable.ts";
import type { Plan, SelectorPlan } from "../plan.ts";
import {
  type Coverage,
  countCovered,
  coverageOf,
  mappedOperand,
  withoutTraces,
} from "./covered-points.ts";
import { sampleSize, selectorKey, type QueryContext, type VectorOperator } from "./row.ts";
import { samplesOf } from "./sampled-points.ts";
import { batches } from "./select.ts";

/**
 * A result that is larger than the budget is refused before it is built. Some of the series are read ahead, and when the
 * times of their chunks say that there may be too many points, those of the series at hand are counted without keeping them.
 * Where the samples are as many as the points, and the series too many to keep beside them, what has been counted is let go;
 * it is read again if the points fit after all.
 */

/** Bytes of chunks that are read ahead. */
const READ_AHEAD_BYTES = 32 * 1024 * 1024;
/** What a point takes in memory, and how many times larger than the chunks the points must be to read ahead for them. */
const POINT_BYTES = 9;
const WORTH_READING_AHEAD = 8;

/** Throws `execution` when the rows of `operator` cannot fit. What was read stays for it. */
export async function refuseEarly(operator: VectorOperator, query: QueryContext): Promise<void> {
  const { plan } = operator;
  const selector = plan && rowwiseSelector(plan);
  // A trace would not tell what was read here.
  if (plan === undefined || selector === undefined || query.trace !== undefined) return;
  const { budget, readAhead } = query;
  const key = selectorKey(selector);
  if (readAhead === undefined || plan.frame.count < 2) return;
  // Others have begun to read these series, and counted them.
  if (readAhead.has(key) || query.sharedSeries.has(key)) return;
  const before = budget.given;
  let expected: SeriesCount | undefined;
  const coverage = coverageOf(plan);
  const samples = coverage && samplesOf(coverage, query);
  const stream = batches(selector, query, {
    onExpected: (count) => (expected = count),
    ...(samples !== undefined && { sampleAbove: samples.above }),
  });
  const counter = new PointCounter({ plan, operator, selector, coverage }, query);
  /** Undefined when it has become too much to keep. */
  let ahead: (readonly Series[])[] | undefined = [];
  let bytes = 0;
  try {
    for (;;) {
      const { done, value } = await stream.next();
      if (done === true) break;
      ahead?.push(value);
      counter.add(value);
      if (expected?.samples !== undefined) {
        await samples?.refuse(expected.samples);
        expected = { ...expected, samples: [] };
      }
      for (const { chunks } of value) for (const { data } of chunks) bytes += data.length;
      const atMost = expected?.atMost ?? Infinity;
      if (budget.fits(atMost * plan.frame.count)) break;
      if (ahead !== undefined && budget.fits(counter.estimate)) {
        const isSmall = counter.points * POINT_BYTES >= bytes * WORTH_READING_AHEAD;
        if (bytes <= READ_AHEAD_BYTES && (isSmall || atMost < Infinity)) continue;
        // What the index says of the series still to come is all there is to tell that they are worth the work.
        if (atMost === Infinity || budget.fits(counter.extrapolate(atMost))) break;
      }
      if (bytes > READ_AHEAD_BYTES) ahead = undefined;
      budget.probe(await counter.count());
    }
  } catch (error) {
    await stream.return(undefined);
    throw error;
  }
  if (ahead !== undefined) readAhead.set(key, { first: ahead, rest: stream });
  else budget.forget(before);
}

/** Counts the points of a plan's rows, most of them only when there may be too many. */
class PointCounter {
  readonly #plan: Plan;
  readonly #operator: VectorOperator;
  readonly #selector: SelectorPlan;
  readonly #query: QueryContext;
  readonly #coverage: Coverage | undefined;
  #uncounted: Series[] = [];
  #counted = 0;
  #unsure = 0;
  #series = 0;
  /** Points of all series so far by the times of their chunks. */
  points = 0;

  constructor(
    of: {
      plan: Plan;
      operator: VectorOperator;
      selector: SelectorPlan;
      coverage: Coverage | undefined;
    },
    query: QueryContext,
  ) {
    this.#plan = of.plan;
    this.#operator = of.operator;
    this.#selector = of.selector;
    this.#query = query;
    this.#coverage = of.coverage;
  }

  add(batch: readonly Series[]): void {
    for (const series of batch) {
      const own = estimatePoints(series, this.#selector, this.#plan);
      this.#uncounted.push(series);
      this.#unsure += own;
      this.points += own;
    }
    this.#series += batch.length;
  }

  /** The points of all series so far, counted as far as they are. */
  get estimate(): number {
    return this.#counted + this.#unsure;
  }

  /** The points of `count` series that are like those so far. */
  extrapolate(count: number): number {
    return (this.estimate / this.#series) * count;
  }

  /** Exactly the points of all series so far, or fewer where only an evaluation could tell. */
  async count(): Promise<number> {
    const [series, query] = [this.#uncounted, this.#query];
    this.#uncounted = [];
    this.#unsure = 0;
    this.#counted +=
      this.#coverage === undefined
        ? await countPoints(this.#operator, query, { key: selectorKey(this.#selector), series })
        : await countCovered(series, this.#coverage, query);
    return this.#counted;
  }
}

/** The selector of a plan each of whose rows comes of one series alone; undefined for any other. */
function rowwiseSelector(plan: Plan): SelectorPlan | undefined {
  if (plan.kind === "select") return plan.selector.smoothed ? undefined : plan.selector;
  const operand = plan.kind === "invariant" ? plan.operand : mappedOperand(plan);
  if (operand !== undefined) return rowwiseSelector(operand);
  if (plan.kind !== "call" || plan.func === "absent_over_time") return undefined;
  const [range, ...others] = plan.args.filter(({ kind }) => kind !== "number");
  if (others.length > 0) return undefined;
  if (range?.kind === "subquery") return rowwiseSelector(range.operand);
  return range?.kind === "window" ? range.selector : undefined;
}

/** The steps within the times of the chunks: about as many as have a point, when the steps are finer than the samples. */
function estimatePoints(series: Series, selector: SelectorPlan, plan: Plan): number {
  const { frame } = plan;
  if (plan.kind === "invariant") return frame.count;
  let spanMs = 0;
  for (const { minTimeMs, maxTimeMs } of series.chunks)
    spanMs += Math.max(
      0,
      Math.min(maxTimeMs, selector.maxTimeMs) - Math.max(minTimeMs, selector.minTimeMs),
    );
  return Math.min(frame.count, Math.floor(spanMs / frame.stepMs) + 1);
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
