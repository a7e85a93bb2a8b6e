import { AppError } from "../../base/errors.ts";
import { compareLabels, type Labels } from "../../model/labels.ts";
import type { Budget } from "../budget.ts";
import { collect } from "./collect.ts";
import {
  ABSENT,
  copyPoint,
  hasPoints,
  visibleLabels,
  type Row,
  type RowSink,
  type VectorOperator,
} from "./row.ts";

/** Prometheus's text for two elements of a vector that cannot be told apart. */
export function duplicateLabelsError(): AppError {
  return new AppError("execution", "vector cannot contain metrics with the same labelset");
}

/** Rows with equal labels become one; throws when two of them have a point at the same step. The rows are consumed. */
export async function mergeEqualRows(rows: readonly Row[], budget: Budget): Promise<Row[]> {
  // Fast path: rows mostly come in label order, and then neighbours tell.
  if (await areInOrder(rows, budget)) return [...rows];
  const byKey = new Map<string, Row>();
  for (const row of rows) {
    if (budget.isDue()) await budget.breathe();
    const key = row.labels.key();
    const first = byKey.get(key);
    if (first === undefined) byKey.set(key, row);
    else fold(first, row);
  }
  return byKey.size === rows.length ? [...rows] : [...byKey.values()];
}

async function areInOrder(rows: readonly Row[], budget: Budget): Promise<boolean> {
  for (let i = 1; i < rows.length; i++) {
    if (i % 8 === 0 && budget.isDue()) await budget.breathe();
    if (compareLabels(rows[i - 1]!.labels, rows[i]!.labels) >= 0) return false;
  }
  return true;
}

/** Gives `rows` to `sink`; others have their turns meanwhile. */
export async function passOn(rows: Iterable<Row>, sink: RowSink, budget: Budget): Promise<void> {
  for (const row of rows) {
    if (budget.isDue()) await budget.breathe();
    sink(row);
  }
}

function fold(into: Row, from: Row): void {
  for (let k = 0; k < from.present.length; k++) {
    if (from.present[k] === ABSENT) continue;
    if (into.present[k] !== ABSENT) throw duplicateLabelsError();
    copyPoint(into, from, k);
  }
}

/**
 * Stands above an operator whose rows may have become equal by losing their names (only without delayed name removal).
 * `merge` joins rows that have no step in common; without it any two equal rows are an error, as for range functions.
 */
export function uniqueRows(operator: VectorOperator, options: { merge: boolean }): VectorOperator {
  return {
    kind: "vector",
    async stream(query, sink: RowSink) {
      if (query.delayedNameRemoval) return operator.stream(query, sink);
      if (!options.merge) {
        const seen = new DistinctLabels();
        return operator.stream(query, (row) => {
          if (!hasPoints(row)) return;
          row.labels = visibleLabels(row, query);
          row.dropName = false;
          seen.add(row.labels);
          sink(row);
        });
      }
      const { rows, samples } = await collect(operator, query);
      const merged = await mergeEqualRows(rows, query.budget);
      query.budget.release(samples);
      await passOn(merged, sink, query.budget);
    },
  };
}

/** Throws at the second of two equal label sets. */
class DistinctLabels {
  readonly #inOrder: Labels[] = [];
  /** Made at the first label set that is out of order. */
  #keys: Set<string> | undefined;

  add(labels: Labels): void {
    if (this.#keys === undefined) {
      const last = this.#inOrder.at(-1);
      const order = last === undefined ? -1 : compareLabels(last, labels);
      if (order < 0) {
        this.#inOrder.push(labels);
        return;
      }
      this.#keys = new Set(this.#inOrder.map((earlier) => earlier.key()));
    }
    const key = labels.key();
    if (this.#keys.has(key)) throw duplicateLabelsError();
    this.#keys.add(key);
  }
}
