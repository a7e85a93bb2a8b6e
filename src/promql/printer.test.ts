import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { expressionToJson } from "./ast-json.ts";
import type { Expression } from "./ast.ts";
import { parseExpression, type ParserOptions } from "./parser.ts";
import { formatQuery } from "./prettier.ts";
import { printExpression } from "./printer.ts";
import { queries } from "./testing/random-query.ts";

const ALL: ParserOptions = {
  experimentalFunctions: true,
  extendedRangeSelectors: true,
  fillModifiers: true,
};
const parse = (query: string): Expression => parseExpression(query, ALL);

/** The tree without positions. Matchers are sorted: printing sorts them too. */
function shapeOf(query: string): unknown {
  return JSON.parse(JSON.stringify(expressionToJson(parse(query))), (key, value: unknown) =>
    key === "matchers" && Array.isArray(value)
      ? value.map((matcher) => JSON.stringify(matcher)).sort()
      : value,
  );
}

void test("what is printed parses to the same tree", () => {
  fc.assert(
    fc.property(queries, (query) => {
      const printed = printExpression(parse(query));
      assert.deepEqual(shapeOf(printed), shapeOf(query));
      assert.equal(printExpression(parse(printed)), printed);
    }),
    { numRuns: 1500 },
  );
});

void test("what is laid out parses to the same tree", () => {
  fc.assert(
    fc.property(queries, (query) => {
      const laidOut = formatQuery(query, ALL);
      assert.deepEqual(shapeOf(laidOut), shapeOf(query));
    }),
    { numRuns: 500 },
  );
});

void test("long queries are laid out over lines as Prometheus does", () => {
  const f = (query: string, lines: readonly string[]): void => {
    assert.equal(formatQuery(query, ALL), lines.join("\n"));
  };
  const long = 'http_requests_total{environment="production",handler="/api/v1/query_range"}';
  f("sum(rate(foo[5m]))by(job)", ["sum by (job) (rate(foo[5m]))"]);
  f(`topk(5, sum by (job, instance) (rate(${long}[5m])))`, [
    "topk(",
    "  5,",
    "  sum by (job, instance) (",
    `    rate(${long}[5m])`,
    "  )",
    ")",
  ]);
  f(`(${long} / on(job) group_left ${long})`, [
    "(",
    `    ${long}`,
    "  / on (job) group_left ()",
    `    ${long}`,
    ")",
  ]);
  f(`-sum(rate(${long}[5m]) * 100) + ${long}`, [
    `  -sum(rate(${long}[5m]) * 100)`,
    "+",
    `  ${long}`,
  ]);
  f(`-${long} ^ -(${long} * -sum(${long}))`, [
    `-${long}`,
    "^",
    "  -(",
    `      ${long}`,
    "    *",
    `      -sum(${long})`,
    "  )",
  ]);
  f(`max_over_time(sum(rate(${long}[5m]) * 100)[1h:5m])`, [
    "max_over_time(",
    `  sum(rate(${long}[5m]) * 100)[1h:5m]`,
    ")",
  ]);
  const short = 'http_requests_total{environment="production"}';
  f(
    `max_over_time(rate(${short}[5m])[1h:5m]) + label_replace(rate(${short}[5m]), "destination_label", "replacement_of_it", "src", "regex")`,
    [
      `  max_over_time(rate(${short}[5m])[1h:5m])`,
      "+",
      "  label_replace(",
      `    rate(${short}[5m]),`,
      '    "destination_label",',
      '    "replacement_of_it",',
      '    "src",',
      '    "regex"',
      "  )",
    ],
  );
});

void test("the tree as JSON has Prometheus's keys", () => {
  const json = (query: string): unknown => expressionToJson(parse(query));
  assert.deepEqual(json("foo[5m] offset -1h @ end()"), {
    anchored: false,
    matchers: [{ name: "__name__", type: "=", value: "foo" }],
    name: "foo",
    offset: -3_600_000,
    offsetExpr: null,
    range: 300_000,
    rangeExpr: null,
    smoothed: false,
    startOrEnd: "end",
    timestamp: null,
    type: "matrixSelector",
  });
  assert.deepEqual(json("1 + foo"), {
    bool: false,
    lhs: { type: "numberLiteral", val: "1" },
    matching: null,
    op: "+",
    rhs: {
      anchored: false,
      matchers: [{ name: "__name__", type: "=", value: "foo" }],
      name: "foo",
      offset: 0,
      offsetExpr: null,
      smoothed: false,
      startOrEnd: null,
      timestamp: null,
      type: "vectorSelector",
    },
    type: "binaryExpr",
  });
});
