import { AppError } from "../../base/errors.ts";
import { formatFixed } from "../../base/float.ts";
import { formatHistogram } from "../../model/histogram-text.ts";
import { isValidLabelName, type Labels } from "../../model/labels.ts";
import { quoteBytes } from "../literals.ts";
import { formatShortest } from "../annotations.ts";
import { labelsHash } from "../functions/labels-hash.ts";
import { positionOf, type AggregatePlan } from "../plan.ts";
import { collectGroups } from "./aggregate.ts";
import { Groups } from "./grouping.ts";
import {
  ABSENT,
  copyPoint,
  emptyRow,
  FLOAT,
  HISTOGRAM,
  type QueryContext,
  type Row,
  type ScalarOperator,
  type VectorOperator,
} from "./row.ts";

/** Aggregations that choose some of their input by its place or its labels: limitk, limit_ratio; and count_values. */

const MAX_INT64 = 2 ** 63;

type Choice = "limitk" | "limit_ratio";

export function aggregateChoice(
  operand: VectorOperator,
  parameter: ScalarOperator,
  plan: AggregatePlan & { operator: Choice },
): VectorOperator {
  const { frame, operator } = plan;
  return {
    kind: "vector",
    async stream(query, sink) {
      const parameters = await parameter.evaluate(query);
      const { members, rows, samples } = await collectGroups(operand, plan, query);
      if (checkParameters(parameters, plan, query)) {
        const chosen: Row[] = [];
        const chosenOf = new Map<Row, Row>();
        const choose = await chooser(operator, rows, query);
        for (let k = 0; k < frame.count; k++) {
          if (query.budget.isDue()) await query.budget.breathe();
          for (const group of members) {
            for (const row of choose(group, k, parameters[k]!)) {
              let output = chosenOf.get(row);
              if (output === undefined) {
                output = emptyRow(row.labels, frame.count);
                output.dropName = row.dropName;
                chosenOf.set(row, output);
                chosen.push(output);
              }
              copyPoint(output, row, k);
            }
          }
        }
        for (const row of chosen) sink(row);
      }
      query.budget.release(samples);
    },
  };
}

/** Throws or warns as Prometheus does; false when nothing can be chosen at any step. */
export function checkParameters(
  parameters: Float64Array,
  plan: AggregatePlan,
  query: QueryContext,
): boolean {
  let least = Infinity;
  let most = -Infinity;
  let isNaNSeen = false;
  for (const parameter of parameters) {
    if (parameter !== parameter) isNaNSeen = true;
    if (parameter < least) least = parameter;
    if (parameter > most) most = parameter;
  }
  const position = plan.parameter === undefined ? plan.position : positionOf(plan.parameter);
  if (plan.operator === "limit_ratio") {
    if (!isNaNSeen && most === 0 && least === 0) return false;
    if (isNaNSeen) throw new AppError("execution", "Ratio value is NaN");
    if (most > 1) noteRatio(most, 1);
    if (least < -1) noteRatio(least, -1);
    return true;
  }
  if (!isNaNSeen && most < 1) return false;
  if (isNaNSeen) throw new AppError("execution", "Parameter value is NaN");
  if (least <= -MAX_INT64)
    throw new AppError("execution", `Scalar value ${formatShortest(least)} underflows int64`);
  if (most >= MAX_INT64)
    throw new AppError("execution", `Scalar value ${formatShortest(most)} overflows int64`);
  return true;

  function noteRatio(ratio: number, cap: number): void {
    query.annotations.warn(
      `ratio value should be between -1 and 1, got ${formatShortest(ratio)}, capping to ${cap}`,
      position,
    );
  }
}

type Chooser = (group: readonly Row[], step: number, parameter: number) => Iterable<Row>;

async function chooser(
  operator: Choice,
  rows: readonly Row[],
  { budget }: QueryContext,
): Promise<Chooser> {
  switch (operator) {
    case "limitk":
      return (group, k, parameter) => {
        const limit = limitOf(parameter, rows);
        const kept: Row[] = [];
        for (const row of group) {
          if (kept.length >= limit) break;
          if (row.present[k] !== ABSENT) kept.push(row);
        }
        return kept;
      };
    case "limit_ratio": {
      const offsets = new Map<Row, number>();
      for (const row of rows) {
        if (budget.isDue()) await budget.breathe();
        offsets.set(row, hashOffset(row.labels));
      }
      return (group, k, parameter) => {
        const ratio = Math.max(-1, Math.min(1, parameter));
        if (ratio === 0) return [];
        return group.filter((row) => {
          if (row.present[k] === ABSENT) return false;
          const offset = offsets.get(row)!;
          return ratio >= 0 ? offset < ratio : offset >= 1 + ratio;
        });
      };
    }
  }
}

function limitOf(parameter: number, rows: readonly Row[]): number {
  return Math.min(Math.trunc(parameter), rows.length);
}

/** The label set's hash as a fraction of the hash space, [0, 1]. */
function hashOffset(labels: Labels): number {
  return Number(labelsHash(labels)) / 2 ** 64;
}

/** `count_values("label", v)`: one output series per distinct value of a group. */
export function aggregateCountValues(
  operand: VectorOperator,
  valueLabel: string,
  plan: AggregatePlan,
): VectorOperator {
  const { frame } = plan;
  return {
    kind: "vector",
    async stream(query, sink) {
      if (!isValidLabelName(valueLabel))
        throw new AppError("execution", `invalid label name ${quoteBytes(valueLabel)}`);
      const { without } = plan;
      const others = plan.grouping.filter((name) => name !== valueLabel);
      const withValue = [...others, valueLabel];
      const groups = new Groups({ grouping: without ? plan.grouping : withValue, without });
      // Rows that differ in the value's label at most are told apart by their values only.
      const bases = new Groups({ grouping: without ? withValue : others, without });
      const known: Map<number | string, Row>[] = [];
      const counted: Row[] = [];
      const outputOf = ({ labels, dropName }: Row, text: string): Row => {
        query.budget.makeLabel(valueLabel, text.length);
        const index = groups.indexOf({ labels: labels.with(valueLabel, text), dropName }, query);
        const before = counted[index];
        if (before !== undefined) return before;
        query.budget.hold(frame.count);
        return (counted[index] = emptyRow(groups.labels[index]!, frame.count));
      };
      await operand.stream(query, (row) => {
        const { present, values, histograms } = row;
        const base = 2 * bases.indexOf(row, query) + Number(row.dropName);
        const outputs = (known[base] ??= new Map<number | string, Row>());
        for (let k = 0; k < present.length; k++) {
          if (present[k] === ABSENT) continue;
          const value = values[k]!;
          // A Map takes 0 and -0 for one key, but they print differently.
          let key = Object.is(value, -0) ? "-0" : value;
          if (present[k] === HISTOGRAM) key = formatHistogram(histograms!.at(k));
          let output = outputs.get(key);
          if (output === undefined) {
            output = outputOf(row, typeof key === "string" ? key : formatFixed(key));
            outputs.set(key, output);
          }
          output.values[k]!++;
          output.present[k] = FLOAT;
        }
      });
      query.budget.release(counted.length * frame.count);
      for (const row of counted) sink(row);
    },
  };
}
