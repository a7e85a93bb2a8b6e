import { AppError, assert, assertNever } from "../../base/errors.ts";
import { quote } from "../../base/text.ts";
import type { FloatHistogram } from "../../model/histogram.ts";
import {
  histogramAverage,
  histogramDeviation,
  histogramVariance,
} from "../../model/histogram-quantile.ts";
import { Labels, METRIC_NAME } from "../../model/labels.ts";
import type { Matcher } from "../../model/matcher.ts";
import {
  mayVaryInName,
  planType,
  type AggregatePlan,
  type BinaryPlan,
  type CallPlan,
  type Plan,
  positionOf,
} from "../plan.ts";
import { aggregateBest } from "./aggregate-best.ts";
import { aggregateChoice, aggregateCountValues } from "./aggregate-choice.ts";
import { aggregateQuantile } from "./aggregate-quantile.ts";
import { aggregateStreaming } from "./aggregate.ts";
import { scalarBinary, vectorScalarBinary } from "./binary-scalar.ts";
import { vectorSet } from "./binary-set.ts";
import { vectorBinary } from "./binary-vector.ts";
import {
  absent,
  clamp,
  elementFunction,
  mapElements,
  mapHistograms,
  negate,
  repeatRows,
  round,
  stepTimestamps,
} from "./elementwise.ts";
import { countedVector, countedWindows } from "./counted.ts";
import { histogramFraction, histogramQuantile } from "./histogram.ts";
import { infoOperator } from "./info.ts";
import { uniqueRows } from "./merge.ts";
import { pushedAggregate } from "./pushed-aggregate.ts";
import { absentOverTime, rangeCall } from "./range-call.ts";
import { labelJoin, labelReplace } from "./relabel.ts";
import {
  emptyRow,
  type Row,
  type ScalarOperator,
  type VectorOperator,
  type WindowOperator,
} from "./row.ts";
import {
  constant,
  extremeOf,
  negateScalar,
  repeatScalar,
  scalarOfVector,
  stepTime,
  vectorOfScalar,
} from "./scalars.ts";
import { instantSelector, windowSelector } from "./select.ts";
import { smoothedSelector } from "./smoothed.ts";
import { sortRows } from "./sort.ts";
import { startTimeSelector } from "./start-time.ts";
import { subqueryWindows } from "./subquery.ts";
import { tracedScalar, tracedVector, tracedWindows } from "./traced.ts";

/** Plans become operators here: which implementation runs is decided once, before any sample is read. */

export function buildVector(plan: Plan): VectorOperator {
  return { ...tracedVector(plan, countedVector(plan, vectorOperator(plan))), plan };
}

export function buildScalar(plan: Plan): ScalarOperator {
  return tracedScalar(plan, scalarOperator(plan));
}

export function buildWindows(plan: Plan): WindowOperator {
  return tracedWindows(plan, countedWindows(plan, windowOperator(plan)));
}

function vectorOperator(plan: Plan): VectorOperator {
  switch (plan.kind) {
    case "select":
      return plan.selector.smoothed
        ? smoothedSelector(plan.selector, plan.frame, plan.position)
        : instantSelector(plan.selector, plan.frame, { reads: "value" });
    case "aggregate":
      return buildAggregate(plan);
    case "binary":
      return buildBinary(plan);
    case "negate":
      return dropsName(negate(buildVector(plan.operand)), plan.operand, { merge: true });
    case "invariant":
      return repeatRows(buildVector(plan.operand), plan.frame.count);
    case "call":
      return buildCall(plan);
    case "number":
    case "string":
    case "window":
    case "subquery":
      throw misplaced(plan, "vector");
    default:
      return assertNever(plan);
  }
}

function scalarOperator(plan: Plan): ScalarOperator {
  const { frame } = plan;
  switch (plan.kind) {
    case "number":
      return constant(plan.value, frame);
    case "negate":
      return negateScalar(buildScalar(plan.operand));
    case "invariant":
      return repeatScalar(buildScalar(plan.operand), frame.count);
    case "binary":
      return scalarBinary(plan, buildScalar(plan.left), buildScalar(plan.right));
    case "call": {
      const [first, second] = plan.args;
      switch (plan.func) {
        case "time":
          return stepTime(frame);
        case "pi":
          return constant(Math.PI, frame);
        case "scalar":
          return scalarOfVector(buildVector(first!), frame);
        case "min_of":
        case "max_of":
          return extremeOf(plan.func, buildScalar(first!), buildScalar(second!));
        default:
          throw unknownFunction(plan.func);
      }
    }
    case "select":
    case "aggregate":
    case "string":
    case "window":
    case "subquery":
      throw misplaced(plan, "scalar");
    default:
      return assertNever(plan);
  }
}

function windowOperator(plan: Plan): WindowOperator {
  if (plan.kind === "window") return windowSelector(plan.selector, plan.frame);
  if (plan.kind !== "subquery") throw misplaced(plan, "range vector");
  const inner = plan.operand.frame;
  return subqueryWindows(plan, buildVectorOrScalar(plan.operand), { inner });
}

/** A scalar below a subquery is a series without labels. */
function buildVectorOrScalar(plan: Plan): VectorOperator {
  return planType(plan) === "scalar" ? vectorOfScalar(buildScalar(plan)) : buildVector(plan);
}

/** `operator` takes the metric name away, which may make rows of `operand` equal. */
function dropsName(
  operator: VectorOperator,
  operand: Plan,
  options: { merge: boolean },
): VectorOperator {
  return mayVaryInName(operand) ? uniqueRows(operator, options) : operator;
}

function buildAggregate(plan: AggregatePlan): VectorOperator {
  return pushedAggregate(plan, aggregateHere(plan));
}

function aggregateHere(plan: AggregatePlan): VectorOperator {
  const operand = buildVector(plan.operand);
  const { operator, parameter } = plan;
  switch (operator) {
    case "sum":
    case "avg":
    case "min":
    case "max":
    case "group":
    case "count":
    case "stddev":
    case "stdvar":
      return aggregateStreaming(operand, { ...plan, operator });
    case "quantile":
      return aggregateQuantile(operand, buildScalar(parameter!), plan);
    case "topk":
    case "bottomk":
      return aggregateBest(operand, buildScalar(parameter!), { ...plan, operator });
    case "limitk":
    case "limit_ratio":
      return aggregateChoice(operand, buildScalar(parameter!), { ...plan, operator });
    case "count_values":
      return aggregateCountValues(operand, stringOf(parameter), plan);
    default:
      return assertNever(operator);
  }
}

function buildBinary(plan: BinaryPlan): VectorOperator {
  const { left, right, matching } = plan;
  const isLeftScalar = planType(left) === "scalar";
  if (isLeftScalar || planType(right) === "scalar") {
    const vector = isLeftScalar ? right : left;
    const scalar = isLeftScalar ? left : right;
    const operator = vectorScalarBinary(plan, {
      vector: buildVector(vector),
      scalar: buildScalar(scalar),
      isSwapped: isLeftScalar,
    });
    return dropsName(operator, vector, { merge: true });
  }
  assert(matching !== undefined, "a binary operation of vectors has its matching");
  const matched = { ...plan, matching };
  return plan.operator === "and" || plan.operator === "or" || plan.operator === "unless"
    ? vectorSet(matched, buildVector(left), buildVector(right))
    : vectorBinary(matched, buildVector(left), buildVector(right));
}

function buildCall(plan: CallPlan): VectorOperator {
  const { func, args, frame, position } = plan;
  const rangeIndex = args.findIndex((argument) => planType(argument) === "matrix");
  if (rangeIndex >= 0) return buildRangeCall(plan, rangeIndex);
  const [first, second, third] = args;
  const compute = elementFunction(func);
  if (compute !== undefined) {
    if (first === undefined) return mapElements(vectorOfScalar(stepTime(frame)), compute);
    return dropsName(mapElements(buildVector(first), compute), first, { merge: true });
  }
  switch (func) {
    case "vector":
      return vectorOfScalar(buildScalar(first!));
    case "absent":
      return absent(buildVector(first!), () => absentRow(first!, frame.count));
    case "timestamp":
      return dropsName(buildTimestamps(first!), first!, { merge: true });
    case "round":
      return dropsName(
        round(buildVector(first!), second === undefined ? undefined : buildScalar(second)),
        first!,
        { merge: true },
      );
    case "clamp":
      return buildClamp(first!, { min: second, max: third });
    case "clamp_min":
      return buildClamp(first!, { min: second, max: undefined });
    case "clamp_max":
      return buildClamp(first!, { min: undefined, max: second });
    case "label_replace":
      return labelReplace(buildVector(first!), {
        destination: stringOf(second),
        replacement: stringOf(third),
        source: stringOf(args[3]),
        regex: stringOf(args[4]),
      });
    case "label_join":
      return labelJoin(buildVector(first!), {
        destination: stringOf(second),
        separator: stringOf(third),
        sources: args.slice(3).map(stringOf),
      });
    case "sort":
    case "sort_desc":
    case "sort_by_label":
    case "sort_by_label_desc":
      return sortRows(buildVector(first!), {
        func,
        labels: args.slice(1).map(stringOf),
        frame,
        position,
      });
    case "histogram_quantile":
      return dropsName(
        histogramQuantile(buildVector(second!), {
          quantiles: [{ scalar: buildScalar(first!), position: positionOf(first!) }],
          label: undefined,
          frame,
          position: positionOf(second!),
        }),
        second!,
        { merge: true },
      );
    case "histogram_quantiles":
      return dropsName(
        histogramQuantile(buildVector(first!), {
          quantiles: args
            .slice(2)
            .map((phi) => ({ scalar: buildScalar(phi), position: positionOf(phi) })),
          label: stringOf(second),
          frame,
          position: positionOf(first!),
        }),
        first!,
        { merge: true },
      );
    case "histogram_fraction":
      return dropsName(
        histogramFraction(
          buildVector(third!),
          { lower: buildScalar(first!), upper: buildScalar(second!) },
          { frame, position: positionOf(third!) },
        ),
        third!,
        { merge: true },
      );
    case "histogram_count":
    case "histogram_sum":
    case "histogram_avg":
    case "histogram_stddev":
    case "histogram_stdvar":
      return dropsName(mapHistograms(buildVector(first!), HISTOGRAM_FUNCTIONS[func]), first!, {
        merge: true,
      });
    case "start_timestamp":
      return dropsName(buildStartTimes(first!), first!, { merge: true });
    case "info":
      return infoOperator(buildVector(first!), plan);
    default:
      throw unknownFunction(func);
  }
}

function buildRangeCall(plan: CallPlan, rangeIndex: number): VectorOperator {
  const { func, args, frame } = plan;
  const range = args[rangeIndex]!;
  if (func === "absent_over_time")
    return absentOverTime(buildWindows(range), () => absentRow(range, frame.count));
  const operator = rangeCall(buildWindows(range), {
    func,
    scalars: args.filter((_, index) => index !== rangeIndex).map(buildScalar),
    // Prometheus puts an intermediate result in the place of a subquery, and loses its position doing so.
    firstArgument: args[0]!.kind === "subquery" ? { start: 0, end: 0 } : positionOf(args[0]!),
  });
  return func === "last_over_time" || func === "first_over_time"
    ? operator
    : dropsName(operator, range, { merge: false });
}

const HISTOGRAM_FUNCTIONS = {
  histogram_count: (histogram: FloatHistogram) => histogram.count,
  histogram_sum: (histogram: FloatHistogram) => histogram.sum,
  histogram_avg: histogramAverage,
  histogram_stddev: histogramDeviation,
  histogram_stdvar: histogramVariance,
} as const;

/** Only the samples of a selector have a start. */
function buildStartTimes(argument: Plan): VectorOperator {
  if (argument.kind === "select")
    return tracedVector(argument, startTimeSelector(argument.selector, argument.frame));
  const operand = buildVector(argument);
  return { kind: "vector", stream: (query) => operand.stream(query, () => undefined) };
}

function buildTimestamps(argument: Plan): VectorOperator {
  return argument.kind === "select"
    ? tracedVector(
        argument,
        countedVector(
          argument,
          instantSelector(argument.selector, argument.frame, { reads: "time" }),
        ),
      )
    : stepTimestamps(buildVector(argument), argument.frame);
}

function buildClamp(
  operand: Plan,
  bounds: { min: Plan | undefined; max: Plan | undefined },
): VectorOperator {
  const operator = clamp(buildVector(operand), {
    min: bounds.min === undefined ? undefined : buildScalar(bounds.min),
    max: bounds.max === undefined ? undefined : buildScalar(bounds.max),
  });
  return dropsName(operator, operand, { merge: true });
}

/** What absent() and absent_over_time() answer with: labels that the selector says any result must have. */
function absentRow(argument: Plan, count: number): Row {
  const labels =
    argument.kind === "select" || argument.kind === "window"
      ? equalityLabels(argument.selector.matchers)
      : Labels.EMPTY;
  return emptyRow(labels, count);
}

function equalityLabels(matchers: readonly Matcher[]): Labels {
  const values = new Map<string, string>();
  const seen = new Set<string>();
  for (const { name, operator, value } of matchers) {
    if (name === METRIC_NAME) continue;
    if (operator === "=" && !seen.has(name)) {
      values.set(name, value);
      seen.add(name);
    } else {
      values.delete(name);
    }
  }
  return Labels.fromPairs(values);
}

function stringOf(plan: Plan | undefined): string {
  assert(plan?.kind === "string", "the parser lets only string literals through here");
  return plan.value;
}

function unknownFunction(func: string): AppError {
  return new AppError("execution", `cannot evaluate the function ${quote(func)}`);
}

function misplaced(plan: Plan, wanted: string): Error {
  return new Error(`BUG: a ${plan.kind} stands where the parser lets only a ${wanted} through`);
}
