import type { Series, SeriesCount } from "../../storage/queryable.ts";
import type { Plan, SelectorPlan } from "../plan.ts";
import { countCovered, mappedOperand, neededSamples, withoutTraces } from "./covered-points.ts";
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
  const { budget } = query;
  const before = budget.given;
  let expected: SeriesCount | undefined;
  const samples = samplesOf({ plan, selector }, query);
  const stream = batches(selector, query, {
    onExpected: (count) => (expected = count),
    ...(samples !== undefined && { sampleAbove: samples.above }),
  });
  const counter = new PointCounter({ plan, operator, selector }, query);
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
  if (ahead !== undefined) query.readAhead.set(key, continued(ahead, stream));
  else budget.forget(before);
}

/** Counts the points of a plan's rows, most of them only when there may be too many. */
class PointCounter {
  readonly #plan: Plan;
  readonly #operator: VectorOperator;
  readonly #selector: SelectorPlan;
  readonly #query: QueryContext;
  readonly #needed: number | undefined;
  #uncounted: Series[] = [];
  #counted = 0;
  #unsure = 0;
  #series = 0;
  /** Points of all series so far by the times of their chunks. */
  points = 0;

  constructor(
    of: { plan: Plan; operator: VectorOperator; selector: SelectorPlan },
    query: QueryContext,
  ) {
    this.#plan = of.plan;
    this.#operator = of.operator;
    this.#selector = of.selector;
    this.#query = query;
    this.#needed = neededSamples(of.plan, of.selector);
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
    const { frame } = this.#plan;
    this.#uncounted = [];
    this.#unsure = 0;
    this.#counted +=
      this.#needed === undefined
        ? await countPoints(this.#operator, query, { key: selectorKey(this.#selector), series })
        : await countCovered(
            series,
            { selector: this.#selector, frame, needed: this.#needed },
            query,
          );
    return this.#counted;
  }
}

/** The selector of a plan each of whose rows comes of one series alone; undefined for any other. */
function rowwiseSelector(plan: Plan): SelectorPlan | undefined {
  if (plan.kind === "select") return plan.selector.smoothed ? undefined : plan.selector;
  const operand = mappedOperand(plan);
  if (operand !== undefined) return rowwiseSelector(operand);
  if (plan.kind !== "call" || plan.func === "absent_over_time") return undefined;
  const [window, ...others] = plan.args.filter(({ kind }) => kind !== "number");
  return window?.kind === "window" && others.length === 0 ? window.selector : undefined;
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
