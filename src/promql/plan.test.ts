import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { Annotations, formatPrecise, formatShortest, lineAndColumn } from "./annotations.ts";
import { parseExpression } from "./parser.ts";
import { planNodes, planQuery, type Plan, type PlanOptions } from "./plan.ts";

const RANGE: PlanOptions = {
  startMs: 100_000,
  endMs: 160_000,
  stepMs: 10_000,
  lookbackMs: 300_000,
  subqueryStepMs: 60_000,
};

function plan(query: string, options: Partial<PlanOptions> = {}): Plan {
  const expression = parseExpression(query, {
    experimentalFunctions: true,
    extendedRangeSelectors: true,
  });
  return planQuery(expression, { ...RANGE, ...options });
}

/** What each selector of the plan reads, as `min..max`. */
function reads(node: Plan): string[] {
  switch (node.kind) {
    case "select":
    case "window":
      return [`${node.selector.minTimeMs}..${node.selector.maxTimeMs}`];
    case "subquery":
    case "negate":
    case "invariant":
    case "aggregate":
      return reads(node.operand);
    case "binary":
      return [...reads(node.left), ...reads(node.right)];
    case "call":
      return node.args.flatMap(reads);
    case "number":
    case "string":
      return [];
  }
}

describe("what a selector reads", () => {
  const cases: readonly (readonly [query: string, expected: string])[] = [
    ["x", "-199999..160000"],
    ["x offset 10s", "-209999..150000"],
    ["x offset -10s", "-189999..170000"],
    ["rate(x[1m])", "40001..160000"],
    ["x @ 50", "-249999..50000"],
    ["x @ end() offset 5s", "-144999..155000"],
    ["rate(x[1m] anchored)", "-259999..160000"],
    ["rate(x[1m] smoothed)", "-259999..460000"],
    ["rate(x[step()])", "90001..160000"],
    ["rate(x[range() / 2])", "70001..160000"],
    ["x offset (step() * 2)", "-219999..140000"],
    // Subquery steps are multiples of the step: 60 s and 120 s here.
    ["max_over_time(x[90s:1m])", "-239999..120000"],
    ["max_over_time(rate(x[10s])[90s:])", "50001..120000"],
  ];
  for (const [query, expected] of cases)
    test(query, () => assert.deepEqual(reads(plan(query)), [expected]));

  test("hints name the function and the grouping", () => {
    const node = plan("sum by (job) (rate(x[1m]))");
    assert.ok(node.kind === "aggregate" && node.operand.kind === "call");
    const window = node.operand.args[0];
    assert.ok(window?.kind === "window");
    assert.deepEqual(window.selector.hints, {
      stepMs: 10_000,
      func: "rate",
      rangeMs: 60_000,
      grouping: [],
      by: false,
    });
  });

  test("a hint says that only the newest sample matters", () => {
    const isNewestOnly = (query: string, options?: Partial<PlanOptions>): boolean => {
      const [selector] = [...planNodes(plan(query, options))].flatMap((node) =>
        node.kind === "select" || node.kind === "window" ? [node.selector] : [],
      );
      return selector?.hints.newestOnly ?? false;
    };
    const instant = { stepMs: 0, endMs: 100_000 };
    assert.equal(isNewestOnly("x", instant), true);
    assert.equal(isNewestOnly("sum(x offset 5m)", instant), true);
    assert.equal(isNewestOnly("x @ 50"), true);
    assert.equal(isNewestOnly("x"), false);
    assert.equal(isNewestOnly("rate(x[1m])", instant), false);
    assert.equal(isNewestOnly("max_over_time(x[5m:1m])", instant), false);
  });
});

describe("parts that are the same at every step", () => {
  const kindOf = (query: string, options?: Partial<PlanOptions>): string =>
    plan(query, options).kind;
  test("are computed once", () => {
    assert.equal(kindOf("x @ 50"), "invariant");
    assert.equal(kindOf("sum(rate(x[1m] @ 50)) / 2"), "invariant");
    assert.equal(kindOf("timestamp(x @ 50)"), "invariant");
    const mixed = plan("x + sum(y @ 50)");
    assert.ok(mixed.kind === "binary" && mixed.right.kind === "invariant");
  });
  test("unless they depend on the time of the step", () => {
    assert.equal(kindOf("x"), "select");
    assert.equal(kindOf("predict_linear(x[1m] @ 50, 60)"), "call");
    assert.equal(kindOf("minute(x @ 50)"), "call");
  });
  test("make no difference at a single step", () => {
    assert.equal(kindOf("x @ 50", { stepMs: 0, endMs: 100_000 }), "select");
  });
});

test("the functions of the query itself are numbers", () => {
  for (const [query, value] of [
    ["start()", 100],
    ["end()", 160],
    ["range()", 60],
    ["step()", 10],
  ] as const) {
    const node = plan(query);
    assert.ok(node.kind === "number");
    assert.equal(node.value, value);
  }
});

test("a computed duration that is none is refused", () => {
  for (const query of ["x[step() - 10]", "x[step() / 0]", "x offset (1 % (step() - 10))"])
    assert.throws(() => plan(query), { code: "bad-data" });
});

describe("annotations", () => {
  test("of equal text are one, at the last position, in bytes", () => {
    const annotations = new Annotations();
    annotations.info("a", { start: 0, end: 1 });
    annotations.warn("b", { start: 0, end: 1 });
    annotations.info("a", { start: 4, end: 5 });
    assert.deepEqual(annotations.render('"é"\n x'), {
      warnings: ["PromQL warning: b (1:1)"],
      infos: ["PromQL info: a (2:1)"],
    });
    assert.equal(lineAndColumn('"é" x', 4), "1:6");
  });

  test("numbers read as Go prints them", () => {
    const cases: readonly (readonly [number, string])[] = [
      [1.5, "1.5"],
      [100_000, "100000"],
      [1_000_000, "1e+06"],
      [0.0001, "0.0001"],
      [0.00001, "1e-05"],
      [-0, "-0"],
      [NaN, "NaN"],
      [Infinity, "+Inf"],
    ];
    for (const [value, text] of cases) assert.equal(formatShortest(value), text);
    assert.equal(formatPrecise(12_345, 2), "1.2e+04");
    assert.equal(formatPrecise(3, 2), "3");
    assert.equal(formatPrecise(0.000_012_3, 2), "1.2e-05");
  });
});
