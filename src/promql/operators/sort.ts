import { compareText } from "../../base/text.ts";
import { compareLabels } from "../../model/labels.ts";
import type { Position } from "../ast.ts";
import type { Frame } from "../plan.ts";
import { collect } from "./collect.ts";
import { dropHistograms, type Row, type VectorOperator } from "./row.ts";

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
      switch (func) {
        case "sort":
          rows.sort((a, b) => compareValues(a.values[0]!, b.values[0]!, 1));
          break;
        case "sort_desc":
          rows.sort((a, b) => compareValues(a.values[0]!, b.values[0]!, -1));
          break;
        case "sort_by_label":
          rows.sort((a, b) => compareByLabels(a, b, labels));
          break;
        case "sort_by_label_desc":
          rows.sort((a, b) => -compareByLabels(a, b, labels));
          break;
      }
      query.budget.release(samples);
      for (const row of rows) sink(row);
    },
  };
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

const CHUNKS = /\d+|\D+/g;

/** Digits in the texts compare as numbers: `a2` before `a10`. */
export function compareNaturally(a: string, b: string): number {
  const left = a.match(CHUNKS) ?? [];
  const right = b.match(CHUNKS) ?? [];
  for (let i = 0; i < left.length && i < right.length; i++) {
    const x = left[i]!;
    const y = right[i]!;
    if (x === y) continue;
    if (/^\d/.test(x) && /^\d/.test(y)) {
      const difference = compareDigits(x, y);
      if (difference !== 0) return difference;
      continue;
    }
    return compareText(x, y);
  }
  return left.length === right.length ? compareText(a, b) : left.length - right.length;
}

/** Runs of digits of any length by their number. */
function compareDigits(a: string, b: string): number {
  const x = a.replace(/^0+(?=\d)/, "");
  const y = b.replace(/^0+(?=\d)/, "");
  return x.length - y.length || compareText(x, y);
}
