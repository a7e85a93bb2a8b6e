/** The tree of `/api/v1/parse_query`, with Prometheus's keys in its order (alphabetical). */
import { formatFixed } from "../base/float.ts";
import type { Matcher } from "../model/matcher.ts";
import type {
  BinaryExpression,
  DurationExpression,
  Expression,
  TimeModifiers,
  VectorSelector,
} from "./ast.ts";

export type Json =
  | string
  | number
  | boolean
  | null
  | readonly Json[]
  | { readonly [key: string]: Json };

export function expressionToJson(node: Expression): Json {
  switch (node.kind) {
    case "number":
      return { type: "numberLiteral", val: formatFixed(node.value) };
    case "string":
      return { type: "stringLiteral", val: node.value.toWellFormed() };
    case "parenthesis":
      return { expr: expressionToJson(node.expression), type: "parenExpr" };
    case "unary":
      return { expr: expressionToJson(node.operand), op: node.operator, type: "unaryExpr" };
    case "vectorSelector":
      return { ...selectorToJson(node), type: "vectorSelector" };
    case "matrixSelector": {
      const { anchored, matchers, name, ...times } = selectorToJson(node.selector);
      const { smoothed, startOrEnd, timestamp, ...offsets } = times;
      return {
        anchored,
        matchers,
        name,
        ...offsets,
        range: node.rangeMs,
        rangeExpr: durationToJson(node.rangeExpression),
        smoothed,
        startOrEnd,
        timestamp,
        type: "matrixSelector",
      };
    }
    case "subquery": {
      const { offset, offsetExpr, startOrEnd, timestamp } = timesToJson(node);
      return {
        expr: expressionToJson(node.expression),
        offset,
        offsetExpr,
        range: node.rangeMs,
        rangeExpr: durationToJson(node.rangeExpression),
        startOrEnd,
        step: Math.trunc(node.stepMs),
        stepExpr: durationToJson(node.stepExpression),
        timestamp,
        type: "subquery",
      };
    }
    case "call": {
      const { argTypes, name, returnType, variadic } = node.func;
      return {
        args: node.args.map(expressionToJson),
        func: { argTypes, name, returnType, variadic },
        type: "call",
      };
    }
    case "aggregation":
      return {
        expr: expressionToJson(node.expression),
        grouping: node.grouping,
        op: node.operator,
        param: node.parameter === undefined ? null : expressionToJson(node.parameter),
        type: "aggregation",
        without: node.without,
      };
    case "binary":
      return {
        bool: node.returnBool,
        lhs: expressionToJson(node.left),
        matching: matchingToJson(node),
        op: node.operator,
        rhs: expressionToJson(node.right),
        type: "binaryExpr",
      };
  }
}

function matchingToJson({ matching }: BinaryExpression): Json {
  if (matching === undefined) return null;
  const { cardinality, fillLeft = null, fillRight = null, include, labels, on } = matching;
  return { card: cardinality, fillValues: { lhs: fillLeft, rhs: fillRight }, include, labels, on };
}

function selectorToJson(node: VectorSelector) {
  const { offset, offsetExpr, startOrEnd, timestamp } = timesToJson(node);
  return {
    anchored: node.anchored,
    matchers: node.matchers.map(matcherToJson),
    name: node.name,
    offset,
    offsetExpr,
    smoothed: node.smoothed,
    startOrEnd,
    timestamp,
  };
}

function timesToJson({ at, offsetMs, offsetExpression }: TimeModifiers) {
  return {
    offset: offsetMs,
    offsetExpr: durationToJson(offsetExpression),
    startOrEnd: at === undefined || at.kind === "time" ? null : at.kind,
    timestamp: at?.kind === "time" ? at.timeMs : null,
  };
}

function matcherToJson({ name, operator, value }: Matcher): Json {
  // Go's JSON has U+FFFD for bytes that are not UTF-8.
  return { name: name.toWellFormed(), type: operator, value: value.toWellFormed() };
}

/** Prometheus's tree has one kind of duration node; a parenthesis is a mark on it, on a number a wrapped plus. */
function durationToJson(node: DurationExpression | undefined, wrapped = false): Json {
  if (node === undefined) return null;
  const operation = (op: string, left?: DurationExpression, right?: DurationExpression): Json => ({
    lhs: durationToJson(left),
    op,
    rhs: durationToJson(right),
    type: "durationExpr",
    wrapped,
  });
  switch (node.kind) {
    case "durationNumber":
      if (wrapped) return operation("+", undefined, node);
      return { duration: node.isDuration, type: "numberLiteral", val: formatFixed(node.seconds) };
    case "durationStep":
      return operation("step");
    case "durationRange":
      return operation("range");
    case "durationMin":
      return operation("min_of", node.left, node.right);
    case "durationMax":
      return operation("max_of", node.left, node.right);
    case "durationUnary":
      return operation(node.operator, undefined, node.operand);
    case "durationBinary":
      return operation(node.operator, node.left, node.right);
    case "durationParenthesis":
      return durationToJson(node.expression, true);
  }
}
