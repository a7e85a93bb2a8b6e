import type { Series, SeriesCount } from "../../storage/queryable.ts";
import { Annotations } from "../annotations.ts";
import type { Frame, Plan, SelectorPlan } from "../plan.ts";
import { elementFunction } from "./elementwise.ts";
import { holdsMoreThanFloats } from "./histogram-columns.ts";
import { sampleSize, selectorKey, type QueryContext, type VectorOperator } from "./row.ts";
import { batches, SampleColumns, visitAll } from "./select.ts";

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
  const stream = batches(selector, query, (count) => (expected = count));
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

const ARITHMETIC: ReadonlySet<string> = new Set(["+", "-", "*", "/", "%", "^", "atan2"]);

/** What `plan` makes one float of each float of, and has no others. */
function mappedOperand(plan: Plan): Plan | undefined {
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
function neededSamples(plan: Plan, selector: SelectorPlan): number | undefined {
  if (plan.kind === "select") return 1;
  const operand = mappedOperand(plan);
  if (operand !== undefined) return neededSamples(operand, selector);
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
 * the same steps until the next one comes or the first is too old: two divisions instead of a look at every step, and for
 * all of a series without gaps.
 */
async function countCovered(
  series: readonly Series[],
  { selector, frame, needed }: { selector: SelectorPlan; frame: Frame; needed: number },
  query: QueryContext,
): Promise<number> {
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
  await visitAll(series, query, (one) => {
    // Beside a histogram a float may count for nothing.
    if (holdsMoreThanFloats(one, query)) return;
    columns.load(one, selector, apart);
    if (isWindow) columns.dropStale();
    const { times, values } = columns;
    const end = columns.count;
    if (end < needed) return;
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
