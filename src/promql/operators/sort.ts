import { compareText, equalBlocks } from "../../base/text.ts";
import { compareLabels } from "../../model/labels.ts";
import type { Position } from "../ast.ts";
import type { Frame } from "../plan.ts";
import { collect } from "./collect.ts";
import { passOn } from "./merge.ts";
import { dropHistograms, type Row, type VectorOperator } from "./row.ts";
import { steadySort } from "./steady-sort.ts";

export interface SortOptions {
  readonly func: "sort" | "sort_desc" | "sort_by_label" | "sort_by_label_desc";
  /** Of the sort_by_label functions. */
  readonly labels: readonly string[];
  readonly frame: Frame;
  readonly position: Position;
}

/** The sort functions; over several steps the result is ordered by labels anyway, which Prometheus warns of. */
export function sortRows(operand: VectorOperator, options: SortOptions): VectorOperator {
  const { func, labels, frame } = options;
  // Histograms have no place in an order of values.
  const sortsValues = func === "sort" || func === "sort_desc";
  return {
    kind: "vector",
    async stream(query, sink) {
      if (frame.count !== 1) {
        query.annotations.warn(
          "sort is ineffective for range queries since results are always ordered by labels",
          options.position,
        );
        return operand.stream(query, (row) => {
          if (sortsValues) dropHistograms(row);
          sink(row);
        });
      }
      const { rows: all, samples } = await collect(operand, query);
      const rows = sortsValues ? all.filter((row) => !dropHistograms(row)) : all;
      const sorted = await steadySort(rows, orderOf(func, labels), query.budget);
      query.budget.release(samples);
      await passOn(sorted, sink, query.budget);
    },
  };
}

function orderOf(func: SortOptions["func"], labels: readonly string[]): (a: Row, b: Row) => number {
  switch (func) {
    case "sort":
      return (a, b) => compareValues(a.values[0]!, b.values[0]!, 1);
    case "sort_desc":
      return (a, b) => compareValues(a.values[0]!, b.values[0]!, -1);
    case "sort_by_label":
      return (a, b) => compareByLabels(a, b, labels);
    case "sort_by_label_desc":
      return (a, b) => -compareByLabels(a, b, labels);
  }
}

/** NaN comes last either way. */
function compareValues(a: number, b: number, direction: 1 | -1): number {
  if (a !== a) return b !== b ? 0 : 1;
  if (b !== b) return -1;
  return a === b ? 0 : a < b ? -direction : direction;
}

function compareByLabels(a: Row, b: Row, labels: readonly string[]): number {
  for (const label of labels) {
    const x = a.labels.get(label);
    const y = b.labels.get(label);
    if (x !== y) return compareNaturally(x, y);
  }
  return compareLabels(a.labels, b.labels);
}

/** Digits in the texts compare as numbers: `a2` before `a10`. */
export function compareNaturally(a: string, b: string): number {
  if (a === b) return 0;
  let i = sharedStart(a, b);
  let j = i;
  while (i < a.length && j < b.length) {
    const isNumbers = isDigit(a, i) && isDigit(b, j);
    const x = a.slice(i, runEnd(a, i));
    const y = b.slice(j, runEnd(b, j));
    i += x.length;
    j += y.length;
    const order = isNumbers ? compareDigits(x, y) : compareText(x, y);
    if (order !== 0) return order;
  }
  if (i === a.length && j === b.length) return compareText(a, b);
  return i === a.length ? -1 : 1;
}

/** Where the last run of digits or of others begins that both texts have in a part they begin with; 0 where it is short. */
function sharedStart(a: string, b: string): number {
  let start = equalBlocks(a, b);
  if (start === 0) return 0;
  start--;
  const isNumber = isDigit(a, start);
  while (start > 0 && isDigit(a, start - 1) === isNumber) start--;
  return start;
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 0x30 && code <= 0x39;
}

function runEnd(text: string, from: number): number {
  const isNumber = isDigit(text, from);
  let end = from + 1;
  while (end < text.length && isDigit(text, end) === isNumber) end++;
  return end;
}

/** Runs of digits of any length by their number. */
function compareDigits(a: string, b: string): number {
  const x = a.replace(/^0+(?=\d)/, "");
  const y = b.replace(/^0+(?=\d)/, "");
  return x.length - y.length || compareText(x, y);
}
