import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { parseExpression } from "../parser.ts";
import { planNodes, planQuery } from "../plan.ts";
import { printExpression } from "../printer.ts";
import { partialPlan } from "./series-local.ts";

/** The aggregations of `query` that can be computed in parts. */
function pushable(query: string): string[] {
  const expression = parseExpression(query, { experimentalFunctions: true });
  const plan = planQuery(expression, {
    startMs: 100_000,
    endMs: 160_000,
    stepMs: 10_000,
    lookbackMs: 300_000,
    subqueryStepMs: 60_000,
  });
  return [...planNodes(plan)].flatMap((node) =>
    node.kind === "aggregate" && partialPlan(node) !== undefined
      ? [printExpression(node.written)]
      : [],
  );
}

describe("aggregations that can be computed in parts", () => {
  for (const query of [
    "sum(x)",
    "avg by (job) (x)",
    "min without (job) (-x)",
    "max(x offset 5m)",
    "count(x @ 100)",
    "group(x @ end() > 3)",
    "topk(3, x)",
    "bottomk by (job) (1, x)",
    "sum(rate(x_total[5m]))",
    "sum(increase(x_count[5m] offset 1m) * 2)",
    "sum(2 ^ delta(x[5m]))",
    "sum(quantile_over_time(0.9, x[5m]))",
    "sum(predict_linear(x[5m], 60 * 60))",
    "sum(abs(ceil(x)))",
    "sum(max_over_time(x[5m:1m]))",
    "sum(max_over_time(rate(x_total[5m])[10m:]))",
    "avg(increase(x_total[5m:1m] offset 1m))",
    "max(last_over_time(avg_over_time((x > 3)[5m:1m] @ 100)[10m:1m]))",
    "sum(clamp(x, 1, 2))",
    "sum(x > bool 3)",
    "sum(x * time())",
    "max(timestamp(x))",
    'count by (__name__) ({job="a"})',
  ])
    it(query, () => assert.equal(pushable(query).length, 1));

  for (const query of [
    // Looks at several series at once, or at none.
    "sum(x + y)",
    "sum(x and y)",
    "sum(absent(x))",
    "sum(absent_over_time(x[5m]))",
    "sum(sort(x))",
    'sum(label_replace(x, "a", "b", "c", "d"))',
    "sum(vector(1))",
    "sum(x * scalar(y))",
    "sum(max_over_time(absent(x)[5m:1m]))",
    "sum(max_over_time((x + y)[5m:1m]))",
    "sum(max_over_time(stddev(x)[5m:1m]))",
    "sum(absent_over_time(x[5m:1m]))",
    // Of all values, or of their order.
    "stddev(x)",
    "quantile(0.5, x)",
    'count_values("v", x)',
    "limitk(2, x)",
    // No fixed choice, none at all, or hardly one.
    "topk(time(), x)",
    "topk(0, x)",
    "topk(-1, x)",
    "topk(1001, x)",
    // Comes with a note.
    "sum(rate(x[5m]))",
    "sum(rate(x[5m:1m]))",
    // Rows that may become equal when they lose their names.
    'sum(-{job="a"})',
    'sum(max_over_time({job="a"}[5m:1m]))',
    'sum(rate({__name__=~"x_total|y_total"}[5m]))',
    // Native histograms.
    "sum(histogram_count(x))",
  ])
    it(`not ${query}`, () => assert.deepEqual(pushable(query), []));

  it("below others", () =>
    assert.deepEqual(
      pushable("sum(x) / sum by (a) (y) + histogram_quantile(0.9, sum by (le) (z))").sort(),
      ["sum by (a) (y)", "sum by (le) (z)", "sum(x)"],
    ));
});
