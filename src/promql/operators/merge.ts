import { AppError } from "../../base/errors.ts";
import { ABSENT, collect, copyPoint, type Row, type RowSink, type VectorOperator } from "./row.ts";

/** Prometheus's text for two elements of a vector that cannot be told apart. */
export function duplicateLabelsError(): AppError {
  return new AppError("execution", "vector cannot contain metrics with the same labelset");
}

/** Rows with equal labels become one; throws when two of them have a point at the same step. The rows are consumed. */
export function mergeEqualRows(rows: readonly Row[]): Row[] {
  const byKey = new Map<string, Row>();
  for (const row of rows) {
    const key = row.labels.key();
    const first = byKey.get(key);
    if (first === undefined) byKey.set(key, row);
    else fold(first, row);
  }
  return byKey.size === rows.length ? [...rows] : [...byKey.values()];
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
      const { rows, samples } = await collect(operator, query);
      const merged = mergeEqualRows(rows);
      if (!options.merge && merged.length !== rows.length) throw duplicateLabelsError();
      query.budget.release(samples);
      for (const row of merged) sink(row);
    },
  };
}
