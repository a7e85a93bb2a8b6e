import { AppError, assert } from "../../base/errors.ts";
import { quote } from "../../base/text.ts";
import {
  calculateColumns,
  compare,
  isArithmetic,
  isComparison,
  type Arithmetic,
  type Comparison,
} from "../functions/arithmetic.ts";
import { combineElements, type Element, StepNotes } from "../functions/binary-elements.ts";
import type { BinaryPlan } from "../plan.ts";
import {
  ABSENT,
  FLOAT,
  hasPoints,
  HISTOGRAM,
  putHistogram,
  type Row,
  type ScalarOperator,
  type VectorOperator,
} from "./row.ts";

/** Binary operators with a scalar on at least one side. */

export function arithmeticOf(plan: BinaryPlan): Arithmetic {
  const { operator } = plan;
  assert(isArithmetic(operator), `${operator} is not arithmetic`);
  return operator;
}

export function isTrim(plan: BinaryPlan): boolean {
  return plan.operator === "</" || plan.operator === ">/";
}

export function scalarBinary(
  plan: BinaryPlan,
  left: ScalarOperator,
  right: ScalarOperator,
): ScalarOperator {
  const { operator } = plan;
  return {
    kind: "scalar",
    async evaluate(query) {
      const a = await left.evaluate(query);
      const b = await right.evaluate(query);
      if (isComparison(operator)) {
        for (let k = 0; k < a.length; k++) a[k] = compare(operator, a[k]!, b[k]!) ? 1 : 0;
      } else if (!isTrim(plan)) calculateColumns(arithmeticOf(plan), { a, b }, a);
      else if (a.length > 0)
        throw new AppError(
          "execution",
          `operator ${quote(operator)} not allowed for Scalar operations`,
        );
      return a;
    },
  };
}

/** `vector op scalar`, or `scalar op vector` when `isSwapped`. Works in place on the rows as they stream by. */
export function vectorScalarBinary(
  plan: BinaryPlan,
  operands: { vector: VectorOperator; scalar: ScalarOperator; isSwapped: boolean },
): VectorOperator {
  const { operator, returnBool } = plan;
  const { vector, scalar, isSwapped } = operands;
  return {
    kind: "vector",
    async stream(query, sink) {
      const scalars = await scalar.evaluate(query);
      const notes = new StepNotes();
      let order = 0;
      const combineSlowly = (row: Row): void => {
        combineRow(row, { plan, scalars, isSwapped, notes, order: order++ });
        if (hasPoints(row)) sink(row);
      };
      if (isTrim(plan)) {
        await vector.stream(query, combineSlowly);
        notes.tell(query, plan.position);
        return;
      }
      if (isComparison(operator)) {
        await vector.stream(query, (row) => {
          if (row.histograms !== undefined) return combineSlowly(row);
          if (returnBool) row.dropName = true;
          compareRow(row, { operator, scalars, isSwapped, returnBool });
          sink(row);
        });
        notes.tell(query, plan.position);
        return;
      }
      const arithmetic = arithmeticOf(plan);
      await vector.stream(query, (row) => {
        if (row.histograms !== undefined) return combineSlowly(row);
        const inputs = isSwapped ? { a: scalars, b: row.values } : { a: row.values, b: scalars };
        calculateColumns(arithmetic, inputs, row.values);
        row.dropName = true;
        sink(row);
      });
      notes.tell(query, plan.position);
    },
  };
}

/** Element by element, for trimming and for rows that hold histograms. */
function combineRow(
  row: Row,
  how: {
    plan: BinaryPlan;
    scalars: Float64Array;
    isSwapped: boolean;
    notes: StepNotes;
    order: number;
  },
): void {
  const { plan, scalars, isSwapped, notes, order } = how;
  const { operator, returnBool } = plan;
  const { present } = row;
  for (let k = 0; k < present.length; k++) {
    if (present[k] === ABSENT) continue;
    const element = elementAt(row, k);
    const { note, ...outcome } = isSwapped
      ? combineElements(operator, scalars[k]!, element)
      : combineElements(operator, element, scalars[k]!);
    if (note !== undefined) notes.set(k, note, order);
    if (outcome.element === undefined) present[k] = ABSENT;
    else if (returnBool) putElement(row, k, outcome.holds ? 1 : 0);
    else if (!outcome.holds) present[k] = ABSENT;
    // A comparison leaves the vector's element as it is, on whichever side it stands.
    else if (!isComparison(operator)) putElement(row, k, outcome.element);
  }
  if (returnBool || !(isComparison(operator) || isTrim(plan))) row.dropName = true;
}

export function elementAt(row: Row, step: number): Element {
  return row.present[step] === HISTOGRAM ? row.histograms!.at(step) : row.values[step]!;
}

export function putElement(row: Row, step: number, element: Element): void {
  if (typeof element === "number") {
    row.values[step] = element;
    row.present[step] = FLOAT;
  } else putHistogram(row, step, element);
}

function compareRow(
  row: Row,
  how: { operator: Comparison; scalars: Float64Array; isSwapped: boolean; returnBool: boolean },
): void {
  const { values, present } = row;
  const { operator, scalars, isSwapped, returnBool } = how;
  for (let k = 0; k < values.length; k++) {
    if (present[k] === ABSENT) continue;
    const value = values[k]!;
    const holds = isSwapped
      ? compare(operator, scalars[k]!, value)
      : compare(operator, value, scalars[k]!);
    if (returnBool) values[k] = holds ? 1 : 0;
    else if (!holds) present[k] = ABSENT;
  }
}
