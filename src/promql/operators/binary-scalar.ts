import { assert } from "../../base/errors.ts";
import { quote } from "../../base/text.ts";
import {
  calculateColumns,
  compare,
  isArithmetic,
  isComparison,
  type Arithmetic,
  type Comparison,
} from "../functions/arithmetic.ts";
import type { BinaryPlan } from "../plan.ts";
import {
  ABSENT,
  type QueryContext,
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

export function noteFloatTrim(plan: BinaryPlan, query: QueryContext): void {
  const { operator, position } = plan;
  query.annotations.info(
    `incompatible sample types encountered for binary operator ${quote(operator)}: float ${operator} float`,
    position,
  );
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
      } else {
        calculateColumns(arithmeticOf(plan), { a, b }, a);
      }
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
      if (isTrim(plan)) {
        // Only histograms can be trimmed; every float is left out, with a note.
        await vector.stream(query, () => noteFloatTrim(plan, query));
        return;
      }
      if (isComparison(operator)) {
        await vector.stream(query, (row) => {
          if (returnBool) row.dropName = true;
          compareRow(row, { operator, scalars, isSwapped, returnBool });
          sink(row);
        });
        return;
      }
      const arithmetic = arithmeticOf(plan);
      await vector.stream(query, (row) => {
        const inputs = isSwapped ? { a: scalars, b: row.values } : { a: row.values, b: scalars };
        calculateColumns(arithmetic, inputs, row.values);
        row.dropName = true;
        sink(row);
      });
    },
  };
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
