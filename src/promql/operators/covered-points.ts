import type { Series } from "../../storage/queryable.ts";
import { Annotations } from "../annotations.ts";
import type { Frame, Plan, Reference, SelectorPlan } from "../plan.ts";
import { elementFunction } from "./elementwise.ts";
import { holdsMoreThanFloats } from "./histogram-columns.ts";
import type { QueryContext } from "./row.ts";
import { SampleColumns, visitAll } from "./select.ts";

/** How many points a plan makes of single series, by the times of their samples alone. */

const ARITHMETIC: ReadonlySet<string> = new Set(["+", "-", "*", "/", "%", "^", "atan2"]);
/** Functions of elements that take scalars too, or none of their values. */
const OF_ELEMENTS: ReadonlySet<string> = new Set([
  "clamp_max",
  "clamp_min",
  "round",
  "sort",
  "sort_desc",
  "timestamp",
]);

/** What `plan` makes one float of each float of, and has no others. */
export function mappedOperand(plan: Plan): Plan | undefined {
  if (plan.kind === "negate") return plan.operand;
  if (plan.kind === "call") {
    const [first, ...others] = plan.args;
    const isOfElements = elementFunction(plan.func) !== undefined || OF_ELEMENTS.has(plan.func);
    return isOfElements && others.every(({ kind }) => kind === "number") ? first : undefined;
  }
  if (plan.kind !== "binary") return undefined;
  if (!ARITHMETIC.has(plan.operator) && !plan.returnBool) return undefined;
  if (plan.left.kind === "number") return plan.right;
  return plan.right.kind === "number" ? plan.left : undefined;
}

/** Functions that give a value wherever so many samples are in the window, whatever they are. */
const NEEDED_SAMPLES: ReadonlyMap<string, number> = new Map([
  ["avg_over_time", 1],
  ["changes", 1],
  ["count_over_time", 1],
  ["delta", 2],
  ["deriv", 2],
  ["idelta", 2],
  ["increase", 2],
  ["irate", 2],
  ["last_over_time", 1],
  ["max_over_time", 1],
  ["min_over_time", 1],
  ["present_over_time", 1],
  ["rate", 2],
  ["resets", 1],
  ["stddev_over_time", 1],
  ["stdvar_over_time", 1],
  ["sum_over_time", 1],
]);

/** Where a plan has points: at steps that see at least `needed` samples within the last `reachMs`. */
interface Looks {
  readonly needed: number;
  readonly reachMs: number;
  readonly reference: Reference;
  readonly frame: Frame;
}

/** How the points of a plan follow from samples. */
export type Coverage =
  /** Of a selector. */
  | (Looks & { readonly kind: "samples"; readonly selector: SelectorPlan })
  /** The points of the plan inside a subquery. */
  | (Looks & { readonly kind: "subquery"; readonly inner: Coverage })
  /** What one step has, at all steps. */
  | { readonly kind: "repeated"; readonly once: Coverage; readonly frame: Frame };

/** Undefined when samples' times do not say it, or not of one series by itself. */
export function coverageOf(plan: Plan): Coverage | undefined {
  const operand = mappedOperand(plan);
  if (operand !== undefined) return coverageOf(operand);
  const { frame } = plan;
  if (plan.kind === "invariant") {
    const once = coverageOf(plan.operand);
    return once && { kind: "repeated", once, frame };
  }
  if (plan.kind === "select") {
    const { selector } = plan;
    const { reference, lookbackMs: reachMs } = selector;
    if (selector.smoothed || isPinned(reference, frame)) return undefined;
    return { kind: "samples", selector, needed: 1, reachMs, reference, frame };
  }
  const [range] = plan.kind === "call" ? plan.args : [];
  const needed = plan.kind === "call" ? NEEDED_SAMPLES.get(plan.func) : undefined;
  if (needed === undefined || (range?.kind !== "window" && range?.kind !== "subquery"))
    return undefined;
  if (range.kind === "subquery") {
    const { reference, rangeMs: reachMs } = range;
    const inner = coverageOf(range.operand);
    if (inner === undefined || isPinned(reference, frame)) return undefined;
    return { kind: "subquery", inner, needed, reachMs, reference, frame };
  }
  const { selector } = range;
  const { reference, rangeMs: reachMs, anchored, smoothed } = selector;
  if (anchored || smoothed || isPinned(reference, frame)) return undefined;
  return { kind: "samples", selector, needed, reachMs, reference, frame };
}

/** Whether all of several steps look at one time. */
function isPinned({ atMs }: Reference, { count }: Frame): boolean {
  return atMs !== undefined && count > 1;
}

/** A part of the storage, which has samples at these times only; both ends inclusive. */
export interface TimeRange {
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
}

/**
 * The points that `series` have. Of a `part` only samples within its times are looked at, and no step after the last one is
 * counted: there may be others before and behind them.
 */
export async function countCovered(
  series: readonly Series[],
  coverage: Coverage,
  query: QueryContext,
  part?: TimeRange,
): Promise<number> {
  const counter = stepCounter(coverage, { query: withoutTraces(query), part, keepsTimes: false });
  let points = 0;
  await visitAll(series, query, (one) => {
    // Beside a histogram a float may count for nothing.
    if (!holdsMoreThanFloats(one, query)) points += counter.count(one);
  });
  return points;
}

/** No series has more points than this in a `part`, as `countCovered` counts them. */
export function mostCovered(coverage: Coverage, { minTimeMs, maxTimeMs }: TimeRange): number {
  const { startMs, stepMs, count } = coverage.frame;
  let firstMs = startMs;
  for (let at = coverage; ; at = at.inner) {
    if (at.kind === "repeated" || at.reference.atMs !== undefined) return count;
    firstMs -= at.reference.offsetMs;
    if (at.kind === "subquery") continue;
    const spanMs =
      Math.min(maxTimeMs, firstMs + (count - 1) * stepMs) - Math.max(minTimeMs, firstMs);
    return Math.max(0, Math.min(count, spanMs / stepMs + 1));
  }
}

interface CountOptions {
  readonly query: QueryContext;
  readonly part: TimeRange | undefined;
  /** Whether `times` are wanted. */
  readonly keepsTimes: boolean;
}

/** Counts the points of one series after the other. */
interface StepCounter {
  /** Where the series counted last has its points. */
  readonly times: Float64Array;
  count(series: Series): number;
}

function stepCounter(coverage: Coverage, options: CountOptions): StepCounter {
  switch (coverage.kind) {
    case "samples":
      return new SampleCounter(coverage, options);
    case "subquery": {
      const inner = stepCounter(coverage.inner, { ...options, keepsTimes: true });
      const steps = new CoveredSteps(coverage, options);
      const { times } = inner;
      return {
        times: steps.times,
        count: (series) => steps.count({ times, from: 0, end: inner.count(series) }),
      };
    }
    case "repeated": {
      const { frame } = coverage;
      const once = stepCounter(coverage.once, { ...options, keepsTimes: false });
      const times = options.keepsTimes ? timesOf(frame) : NO_TIMES;
      return { times, count: (series) => (once.count(series) > 0 ? frame.count : 0) };
    }
  }
}

const NO_TIMES = new Float64Array(0);

function timesOf({ startMs, stepMs, count }: Frame): Float64Array {
  return Float64Array.from({ length: count }, (_, k) => startMs + k * stepMs);
}

class SampleCounter implements StepCounter {
  readonly #selector: SelectorPlan;
  readonly #options: CountOptions;
  readonly #steps: CoveredSteps;
  readonly #columns = new SampleColumns();

  constructor(coverage: Coverage & { kind: "samples" }, options: CountOptions) {
    this.#selector = coverage.selector;
    this.#options = options;
    this.#steps = new CoveredSteps(coverage, options);
  }

  get times(): Float64Array {
    return this.#steps.times;
  }

  count(series: Series): number {
    const columns = this.#columns;
    const { query, part } = this.#options;
    columns.load(series, this.#selector, query);
    if (this.#selector.rangeMs > 0) columns.dropStale();
    const { times } = columns;
    let from = 0;
    let end = columns.count;
    if (part !== undefined) {
      while (from < end && times[from]! < part.minTimeMs) from++;
      while (end > from && times[end - 1]! > part.maxTimeMs) end--;
    }
    return this.#steps.count({ times, from, end }, columns);
  }
}

/**
 * The steps that see enough samples. As many samples as that see the same steps until the next one comes or the first is too
 * old: two divisions instead of a look at every step, and for all of a series without gaps.
 */
class CoveredSteps {
  /** Of the steps counted last, if they are wanted. */
  readonly times: Float64Array;
  readonly #looks: Looks;
  readonly #isPart: boolean;
  readonly #keepsTimes: boolean;
  /** Where the first step looks. */
  readonly #firstMs: number;
  /** Steps from here on are not counted. */
  #limit = 0;
  #count = 0;

  constructor(looks: Looks, { part, keepsTimes }: CountOptions) {
    const { frame, reference } = looks;
    this.#looks = looks;
    this.#isPart = part !== undefined;
    this.#keepsTimes = keepsTimes;
    this.#firstMs = (reference.atMs ?? frame.startMs) - reference.offsetMs;
    this.times = keepsTimes ? new Float64Array(frame.count) : NO_TIMES;
  }

  /** Those of the samples at `times[from]` to `times[end - 1]`; `columns` has them, where some may be markers of staleness. */
  count(
    { times, from, end }: { times: Float64Array; from: number; end: number },
    columns?: SampleColumns,
  ): number {
    const { needed, reachMs, frame } = this.#looks;
    this.#count = 0;
    if (end - from < needed) return 0;
    this.#limit = frame.count;
    if (this.#isPart) this.#limit = this.#stepsBefore(times[end - 1]!);
    if (isUnbroken(times, { from, end, needed, reachMs }, columns)) {
      this.#add(times[from + needed - 1]!, times[end - needed]! + reachMs);
      return this.#count;
    }
    for (let last = from + needed - 1; last < end; last++) {
      if (columns !== undefined && isMarker(columns, last)) continue;
      const nextMs = last + 1 < end ? times[last + 1]! : Infinity;
      this.#add(times[last]!, Math.min(nextMs, times[last + 1 - needed]! + reachMs));
    }
    return this.#count;
  }

  /** Adds the steps that look at `fromMs` or later, and before `endMs`. */
  #add(fromMs: number, endMs: number): void {
    const from = this.#stepsBefore(fromMs);
    const end = this.#stepsBefore(endMs);
    if (end <= from) return;
    if (this.#keepsTimes) {
      const { startMs, stepMs } = this.#looks.frame;
      for (let k = from, i = this.#count; k < end; k++) this.times[i++] = startMs + k * stepMs;
    }
    this.#count += end - from;
  }

  /** How many steps, of the first `#limit`, look at a time before `timeMs`. */
  #stepsBefore(timeMs: number): number {
    const { stepMs } = this.#looks.frame;
    return Math.min(this.#limit, Math.max(0, Math.ceil((timeMs - this.#firstMs) / stepMs)));
  }
}

/** Whether from the first `needed` samples on each time sees as many, none of them a marker. */
function isUnbroken(
  times: Float64Array,
  place: { from: number; end: number; needed: number; reachMs: number },
  columns: SampleColumns | undefined,
): boolean {
  const { from, end, needed, reachMs } = place;
  if (columns !== undefined)
    for (let i = from; i < end; i++) if (isMarker(columns, i)) return false;
  for (let i = from + needed; i < end; i++)
    if (times[i]! - times[i - needed]! > reachMs) return false;
  return true;
}

function isMarker(columns: SampleColumns, index: number): boolean {
  const value = columns.values[index]!;
  return value !== value && columns.isStale(index);
}

/** `query` for what leaves nothing behind. */
export function withoutTraces(query: QueryContext): QueryContext {
  return {
    ...query,
    annotations: new Annotations(),
    samples: undefined,
    readAhead: undefined,
    stats: { samplesRead: 0, seriesRead: 0, chunksRead: 0, bytesRead: 0 },
  };
}
