import { assertNever } from "../../base/errors.ts";
import { Labels } from "../../model/labels.ts";
import { positionOf, type AggregatePlan } from "../plan.ts";
import { sumKernel } from "../functions/sum-kernel.ts";
import { collect } from "./collect.ts";
import { HistogramTotals, noteIgnoredHistogram } from "./aggregate-histograms.ts";
import { streamGroups } from "./grouped-rows.ts";
import { Groups } from "./grouping.ts";
import {
  ABSENT,
  ColumnCopies,
  dropHistograms,
  FLOAT,
  type QueryContext,
  type Row,
  type VectorOperator,
} from "./row.ts";

/**
 * Aggregations whose result needs only running totals: rows stream in, each is added to its group's columns and is
 * gone. Arithmetic is Prometheus's, in series order: compensated sums, Welford's variance, NaN-avoiding extremes.
 */
export type StreamingAggregation =
  | "sum"
  | "avg"
  | "min"
  | "max"
  | "group"
  | "count"
  | "stddev"
  | "stdvar";

/** Running totals of one group, by step. */
export interface Totals {
  /** Sum, extreme or squared deviations. */
  readonly main: Float64Array;
  /** Compensation of the sum or mean, or the running mean of a variance. */
  readonly side: Float64Array;
  readonly counts: Float64Array;
  /** Steps at which an average has overflowed and goes on as a mean; made when first needed. */
  meanSteps: Uint8Array | undefined;
  /** A row with a float at every step has been added, so every step has a value to go on from. */
  isStarted: boolean;
  dropName: boolean;
  /** Made when a sum or average meets its first histogram. */
  histograms: HistogramTotals | undefined;
}

export function aggregateStreaming(
  operand: VectorOperator,
  plan: AggregatePlan & { operator: StreamingAggregation },
): VectorOperator {
  const { frame, operator } = plan;
  return {
    kind: "vector",
    async stream(query, sink) {
      const copies = new ColumnCopies();
      // A group's first row waits for a second one: many groups have one only, and columns of totals are dear.
      const firsts: (First | undefined)[] = [];
      const totals: (Totals | undefined)[] = [];
      const groups = await streamGroups(operand, plan, query, (row, index) => {
        let total = totals[index];
        if (total === undefined) {
          const first = firsts[index];
          if (first === undefined) query.budget.hold(frame.count);
          if (first === undefined && row.histograms === undefined) {
            firsts[index] = { ...copies.of(row), dropName: row.dropName };
            return;
          }
          total = newTotals(frame.count);
          totals[index] = total;
          if (first !== undefined) addFirst(operator, first, total);
          firsts[index] = undefined;
        }
        if (row.dropName) total.dropName = true;
        if (row.histograms !== undefined || total.histograms !== undefined)
          setHistogramsApart(row, total, { plan, query });
        addRow(operator, row, total);
      });
      query.budget.release(groups.labels.length * frame.count);
      const scratch = newTotals(frame.count);
      const present = new Uint8Array(frame.count);
      for (const [index, labels] of groups.labels.entries()) {
        const first = firsts[index];
        const total = totals[index] ?? scratch;
        if (first !== undefined) {
          clear(scratch);
          addFirst(operator, first, scratch);
        }
        const row = finish(operator, total, present);
        total.histograms?.finish(row, total.counts);
        row.labels = labels;
        row.dropName = total.dropName && query.delayedNameRemoval;
        sink(row);
      }
    },
  };
}

type Columns = Pick<Row, "values" | "present">;

/** The only row of a group so far, of floats. */
type First = Pick<Row, "values" | "present" | "dropName">;

function addFirst(operator: StreamingAggregation, first: First, total: Totals): void {
  total.dropName = first.dropName;
  addRow(operator, first, total);
}

function clear(total: Totals): void {
  total.main.fill(0);
  total.side.fill(0);
  total.counts.fill(0);
  total.meanSteps = undefined;
  total.isStarted = false;
}

export function newTotals(count: number): Totals {
  return {
    main: new Float64Array(count),
    side: new Float64Array(count),
    counts: new Float64Array(count),
    meanSteps: undefined,
    isStarted: false,
    dropName: false,
    histograms: undefined,
  };
}

/** Leaves only what the float columns are to add of `row`. */
function setHistogramsApart(
  row: Row,
  total: Totals,
  how: { plan: AggregatePlan & { operator: StreamingAggregation }; query: QueryContext },
): void {
  const { plan, query } = how;
  const { operator } = plan;
  const position = positionOf(plan.operand);
  switch (operator) {
    case "sum":
    case "avg":
      total.histograms ??= new HistogramTotals({ operator, query, position });
      total.histograms.take(row, total.counts);
      return;
    case "count":
    case "group":
      return;
    case "min":
    case "max":
    case "stddev":
    case "stdvar":
      if (dropHistograms(row)) noteIgnoredHistogram(operator, query, position);
      return;
    default:
      assertNever(operator);
  }
}

/** Adds the floats of `row` to the columns of its group. */
export function addRow(operator: StreamingAggregation, row: Columns, total: Totals): void {
  switch (operator) {
    case "sum":
      return addToSum(row, total);
    case "avg":
      return addToAverage(row, total);
    case "min":
      return addToMin(row, total);
    case "max":
      return addToMax(row, total);
    case "group":
    case "count":
      return addToCount(row, total);
    case "stddev":
    case "stdvar":
      return addToVariance(row, total);
    default:
      return assertNever(operator);
  }
}

function addToSum(row: Columns, total: Totals): void {
  const { values, present } = row;
  const { main, side, counts } = total;
  const isFull = isFloatThroughout(present);
  // Fast path: nobody asks how many values a sum has, only whether it has one.
  if (isFull && total.isStarted) return addToStartedSum(values, total);
  if (isFull) total.isStarted = true;
  for (let k = 0; k < values.length; k++) {
    if (present[k] === ABSENT) continue;
    const value = values[k]!;
    if (counts[k] === 0) {
      main[k] = value;
      counts[k] = 1;
      continue;
    }
    const before = main[k]!;
    const after = before + value;
    if (after === Infinity || after === -Infinity) side[k] = 0;
    else if (Math.abs(before) >= Math.abs(value)) side[k] = side[k]! + (before - after + value);
    else side[k] = side[k]! + (value - after + before);
    main[k] = after;
    counts[k] = counts[k]! + 1;
  }
}

function addToStartedSum(values: Float64Array, { main, side }: Totals): void {
  const kernel = sumKernel();
  if (kernel.takes(values.length)) return kernel.add(values, { main, side });
  for (let k = 0; k < values.length; k++) {
    const value = values[k]!;
    const before = main[k]!;
    const after = before + value;
    main[k] = after;
    if (after === Infinity || after === -Infinity) side[k] = 0;
    else if (Math.abs(before) >= Math.abs(value)) side[k] = side[k]! + (before - after + value);
    else side[k] = side[k]! + (value - after + before);
  }
}

function isFloatThroughout(present: Uint8Array): boolean {
  let others = 0;
  for (let k = 0; k < present.length; k++) others |= present[k]! ^ FLOAT;
  return others === 0;
}

function addToAverage(row: Columns, total: Totals): void {
  const { values, present } = row;
  const { main, side, counts } = total;
  for (let k = 0; k < values.length; k++) {
    if (present[k] === ABSENT) continue;
    const value = values[k]!;
    if (counts[k] === 0) {
      main[k] = value;
      counts[k] = 1;
      continue;
    }
    const count = counts[k]! + 1;
    counts[k] = count;
    const isMean = total.meanSteps !== undefined && total.meanSteps[k] === 1;
    if (!isMean) {
      const before = main[k]!;
      const after = before + value;
      if (after !== Infinity && after !== -Infinity) {
        side[k] =
          side[k]! +
          (Math.abs(before) >= Math.abs(value) ? before - after + value : value - after + before);
        main[k] = after;
        continue;
      }
      // The sum overflows: from here on this step keeps the mean instead.
      total.meanSteps ??= new Uint8Array(values.length);
      total.meanSteps[k] = 1;
      main[k] = before / (count - 1);
      side[k] = side[k]! / (count - 1);
    }
    const q = (count - 1) / count;
    const mean = q * main[k]!;
    const rest = q * side[k]!;
    const share = value / count;
    const next = mean + share;
    if (next === Infinity || next === -Infinity) side[k] = 0;
    else if (Math.abs(mean) >= Math.abs(share)) side[k] = rest + (mean - next + share);
    else side[k] = rest + (share - next + mean);
    main[k] = next;
  }
}

function addToMin(row: Columns, total: Totals): void {
  const { values, present } = row;
  const { main, counts } = total;
  for (let k = 0; k < values.length; k++) {
    if (present[k] === ABSENT) continue;
    const best = main[k]!;
    if (counts[k] === 0 || best > values[k]! || best !== best) main[k] = values[k]!;
    counts[k] = 1;
  }
}

function addToMax(row: Columns, total: Totals): void {
  const { values, present } = row;
  const { main, counts } = total;
  for (let k = 0; k < values.length; k++) {
    if (present[k] === ABSENT) continue;
    const best = main[k]!;
    if (counts[k] === 0 || best < values[k]! || best !== best) main[k] = values[k]!;
    counts[k] = 1;
  }
}

function addToCount(row: Columns, total: Totals): void {
  const { present } = row;
  const { counts } = total;
  for (let k = 0; k < present.length; k++) if (present[k] !== ABSENT) counts[k] = counts[k]! + 1;
}

function addToVariance(row: Columns, total: Totals): void {
  const { values, present } = row;
  const { main, side, counts } = total;
  for (let k = 0; k < values.length; k++) {
    if (present[k] === ABSENT) continue;
    const value = values[k]!;
    const count = counts[k]! + 1;
    counts[k] = count;
    if (count === 1) {
      side[k] = value;
      main[k] = Number.isFinite(value) ? 0 : NaN;
      continue;
    }
    const delta = value - side[k]!;
    side[k] = side[k]! + delta / count;
    main[k] = main[k]! + delta * (value - side[k]!);
  }
}

/** The totals turned into a row, which is lent: its columns are the totals' own and `present`. */
function finish(operator: StreamingAggregation, total: Totals, present: Uint8Array): Row {
  const { main, side, counts, meanSteps } = total;
  for (let k = 0; k < main.length; k++) present[k] = counts[k] === 0 ? ABSENT : FLOAT;
  switch (operator) {
    case "sum":
      for (let k = 0; k < main.length; k++) main[k] = main[k]! + side[k]!;
      break;
    case "avg":
      for (let k = 0; k < main.length; k++) {
        const count = counts[k]!;
        main[k] =
          meanSteps !== undefined && meanSteps[k] === 1
            ? main[k]! + side[k]!
            : main[k]! / count + side[k]! / count;
      }
      break;
    case "group":
      main.fill(1);
      break;
    case "count":
      main.set(counts);
      break;
    case "stddev":
      for (let k = 0; k < main.length; k++) main[k] = Math.sqrt(main[k]! / counts[k]!);
      break;
    case "stdvar":
      for (let k = 0; k < main.length; k++) main[k] = main[k]! / counts[k]!;
      break;
    case "min":
    case "max":
      break;
    default:
      assertNever(operator);
  }
  return { labels: Labels.EMPTY, dropName: false, values: main, present };
}

/** All rows of `operand` by group, in order. The caller releases `samples`. */
export async function collectGroups(
  operand: VectorOperator,
  plan: { grouping: readonly string[]; without: boolean },
  query: QueryContext,
): Promise<{ members: Row[][]; groups: Groups; rows: Row[]; samples: number }> {
  const { rows, samples } = await collect(operand, query);
  const groups = new Groups(plan);
  const members: Row[][] = [];
  for (const row of rows) (members[groups.indexOf(row, query)] ??= []).push(row);
  return { members, groups, rows, samples };
}
