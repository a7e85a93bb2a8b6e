import assert from "node:assert/strict";
import { test } from "node:test";
import type { FloatHistogram } from "../../model/histogram.ts";
import { Labels } from "../../model/labels.ts";
import { createMatcher } from "../../model/matcher.ts";
import { Engine } from "../engine.ts";
import { parseExpression } from "../parser.ts";
import { printExpression } from "../printer.ts";
import { almostEqual } from "./compare.ts";
import { MemoryStorage } from "./memory-storage.ts";
import { pin } from "./repetitions.ts";
import {
  runScript,
  SCRIPT_ENGINE_OPTIONS,
  type EvalOutcome,
  type ScriptEngine,
  type TestStorage,
} from "./run-script.ts";
import { parseScript, SCRIPT_PARSER_OPTIONS } from "./script.ts";

const engine = new Engine(SCRIPT_ENGINE_OPTIONS);
const openStorage = (): MemoryStorage => new MemoryStorage();

/** The failures of `script`, each as `line: first line of the reason`. */
async function failures(script: string): Promise<string[]> {
  return describeFailures(await runScript(script, "x.test", { engine, openStorage }));
}

function describeFailures(outcomes: readonly EvalOutcome[]): string[] {
  return outcomes
    .filter(({ failure }) => failure !== undefined)
    .map(({ line, failure }) => `${line}: ${failure!.join(" / ")}`);
}

void test("what is expected passes", async () => {
  const script = `
# Everything a script may say.
load 1m
  m{a="x"}  0+1x10
  m{a="y"}  5 _ stale 7x8
  other     1

eval instant at 5m m
  m{a="x"} 5
  m{a="y"} 7

eval range from 0 to 3m step 1m m
  m{a="x"} 0 1 2 3
  m{a="y"} 5 5 _ 7

eval_ordered instant at 5m sort_desc(m)
  m{a="y"} 7
  m{a="x"} 5

eval instant at 5m sort(m)
  expect ordered
  m{a="x"} 5
  m{a="y"} 7

eval instant at 1m 1 + 1
  2
eval instant at 1m 1 + 2
  3

eval instant at 0 nothing

eval instant at 2m m[2m]
  expect range vector from 1m to 2m step 1m
  m{a="x"} 1 2

eval instant at 0 "a\\nb"
  expect string "a\\nb"

eval_fail instant at 5m other or m + on() m
  expected_fail_regexp many-to-many matching not allowed

eval instant at 5m label_replace(m, "a", "z", "a", ".*")
  expect fail msg: vector cannot contain metrics with the same labelset

eval instant at 5m quantile(2, m)
  expect warn msg: PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)
  expect no_info
  {} +Inf

eval instant at 5m rate(m[5m]) * 0
  expect info regex: might not be a counter.*"m"
  expect no_warn
  {a="x"} 0
  {a="y"} 0

clear

eval instant at 5m m
`;
  assert.deepEqual(await failures(script), []);
  assert.equal((await runScript(script, "x.test", { engine, openStorage })).length, 14);
});

void test("what is not expected fails, told as a difference", async () => {
  const data = 'load 1m\n  m{a="x"} 1 2 3\n\n';
  const f = async (lines: string, ...want: string[]): Promise<void> => {
    assert.deepEqual(await failures(data + lines), want);
  };
  await f('eval instant at 1m m\n  m{a="x"} 3', '4: - m{a="x"} 3 / + m{a="x"} 2');
  await f("eval instant at 1m m", '4: + m{a="x"} 2');
  await f('eval instant at 1m m\n  m{a="x"} 2\n  n 1', "4: - n 1");
  await f("eval instant at 1m 1\n  2", "4: - 2 / + 1");
  await f("eval instant at 1m vector(1)\n  1", "4: - 1 / + {} 1");
  await f("eval instant at 1m 1\n  {} 1", "4: - {} 1 / + 1");
  await f("eval instant at 1m 'a'\n  expect string 'b'", '4: - "b" / + "a"');
  await f(
    'eval range from 0 to 3m step 1m m > 1\n  m{a="x"} _ 2 4 _',
    '4: - m{a="x"} _ 2 4 _ / + m{a="x"} _ 2 3 3',
  );
  await f(
    'eval range from 0 to 1m step 1m m\n  m{a="x"} 1 2 3',
    '4: - m{a="x"} 1 2 3 / + m{a="x"} 1 2',
  );
  await f(
    'eval instant at 1m m[2m]\n  expect range vector from 0 to 1m step 1m\n  m{a="x"} 1 3',
    '4: - m{a="x"} 1 3 / + m{a="x"} 1 2',
  );
  await f("eval_fail instant at 1m m", "4: - error anything / + no error");
  await f(
    "eval instant at 1m m\n  expect warn\n  expect no_info",
    "4: - warning anything / + no warning",
  );
  await f(
    "eval instant at 1m quantile(2, m)\n  expect no_warn",
    '4: - no warning / + warning "PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)"',
  );
  await f(
    "eval instant at 1m quantile(2, m)\n  expect warn msg: other",
    '4: - warning "other" / + warning "PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)"',
  );
  await f(
    'eval instant at 1m label_replace(m, "a", "", "", "") + fail\n  expect fail msg: x',
    '4: - error "x" / + no error',
  );
});

void test("what an ordered vector has in another place fails", async () => {
  const script = `load 1m
  m{a="x"} 1
  m{a="y"} 2

eval_ordered instant at 0 sort_desc(m)
  m{a="x"} 1
  m{a="y"} 2
`;
  assert.deepEqual(await failures(script), [
    '5:   in another place: m{a="y"} / + m{a="y"} 2 /   in another place: m{a="x"} / + m{a="x"} 1',
  ]);
});

void test("the hidden repetitions find what depends on the evaluation time", async () => {
  // An engine that is right at the asked time only.
  const wrong: ScriptEngine = {
    instant: (queryable, query) =>
      engine.instant(queryable, query.timeMs === 60_000 ? query : { ...query, query: "1" }),
    range: (queryable, query) => engine.range(queryable, query),
  };
  const script = "load 1m\n  m 1 2 3\n\neval instant at 1m m\n  m 2\n";
  const [outcome] = await runScript(script, "x.test", { engine: wrong, openStorage });
  assert.deepEqual(outcome?.failure, ["repeated as m @ 60.000 at -600000 ms:", "- m 2", "+ 1"]);
  const wrongRange: ScriptEngine = {
    instant: (queryable, query) => engine.instant(queryable, query),
    range: (queryable, query) => engine.range(queryable, { ...query, query: "m + 1" }),
  };
  const [ranged] = await runScript(script, "x.test", { engine: wrongRange, openStorage });
  assert.deepEqual(ranged?.failure, [
    "repeated as a range query around 60000 ms:",
    "+ {} 3",
    "- m 2",
  ]);
});

void test("selectors are pinned unless something depends on the time anyway", () => {
  const f = (query: string, want: string | undefined): void => {
    const pinned = pin(parseExpression(query, SCRIPT_PARSER_OPTIONS), 100_000);
    assert.equal(pinned && printExpression(pinned.expression), want, query);
  };
  f("a + b @ 5", "a @ 100.000 + b @ 5.000");
  f("rate(a[5m] @ end())", "rate(a[5m] @ 100.000)");
  f("max_over_time(rate(a[5m])[1h:1m])", "max_over_time(rate(a[5m])[1h:1m] @ 100.000)");
  f("sum by (x) (-(a)) / 2", "sum by (x) (-(a @ 100.000)) / 2");
  f("time() - a", undefined);
  f("max_over_time(vector(time())[1h:1m])", "max_over_time(vector(time())[1h:1m] @ 100.000)");
  f("min_of(1, 2) + step()", undefined);
  assert.deepEqual(pin(parseExpression("a"), 0)?.timesMs, [-1000, 0, 1000]);
  assert.deepEqual(pin(parseExpression("a"), 1001)?.timesMs, [-10_010, 0, 200, 1001, 10_010]);
});

void test("evals over histograms that the storage cannot hold fail and say so", async () => {
  const script = `load 1m
  h {{sum:1 count:1}}
  m 1

load_with_nhcb 1m
  c_bucket{le="1"}    1
  c_bucket{le="+Inf"} 3
  c_count             3
  c_sum               5

eval instant at 0 h

eval instant at 0 m
  m 1

eval instant at 0 sum(c)

eval instant at 0 c_count
  c_count 3
`;
  const openFloatStorage = (): TestStorage => {
    const memory = new MemoryStorage();
    return {
      queryable: memory.queryable,
      append: (...sample) => memory.append(...sample),
      appendStale: (...sample) => memory.appendStale(...sample),
    };
  };
  const outcomes = await runScript(script, "x.test", { engine, openStorage: openFloatStorage });
  assert.deepEqual(describeFailures(outcomes), [
    "11: native histograms are needed: h holds them",
    "16: native histograms are needed: c holds them",
  ]);
});

void test("a storage with histograms gets them, converted ones too", async () => {
  const got: string[] = [];
  const memory = new MemoryStorage();
  const storage = {
    queryable: memory.queryable,
    append: () => undefined,
    appendStale: () => undefined,
    appendHistogram: (labels: Labels, timeMs: number, histogram: FloatHistogram) => {
      got.push(`${labels.toString()} ${timeMs} ${histogram.positiveBuckets.join(",")}`);
    },
  };
  const script = `load_with_nhcb 1m
  c_bucket{x="y",le="2"}    4 5
  c_bucket{x="y",le="1"}    1 1
  c_bucket{x="y",le="+Inf"} 4 9
  h                         _ {{buckets:[1 2]}}
`;
  const outcomes = await runScript(script, "x.test", { engine, openStorage: () => storage });
  assert.deepEqual(outcomes, []);
  assert.deepEqual(got, [
    '{__name__="h"} 60000 1,2',
    '{__name__="c", x="y"} 0 1,3',
    '{__name__="c", x="y"} 60000 1,4,4',
  ]);
});

void test("a load that cannot be is a failure of its own", async () => {
  const script = "load 1m\n  m 1 2\n\nload 30s\n  m 5 6\n";
  assert.deepEqual(await failures(script), [
    "4: cannot append to m at 0 ms: the series has a sample at 60000 ms already",
  ]);
});

void test("scripts that are none are refused with file and line", () => {
  const f = (script: string, message: string | RegExp): void => {
    assert.throws(() => parseScript(script, "x.test"), { message, code: "bad-data" });
  };
  f("\nfoo bar", 'x.test:2: invalid command "foo bar"');
  f("load", "x.test:1: invalid load command. (load[_with_nhcb] <step:duration>)");
  f("load xx", 'x.test:1: not a valid duration string: "xx"');
  f("load 1m\n  m 1\n  m{ 2", /^x\.test:3: 1:4: parse error: unexpected character inside braces/);
  f("eval instant at 0 foo bar", 'x.test:1: 1:5: parse error: unexpected identifier "bar"');
  f("eval foo", /^x\.test:1: invalid evaluation command/);
  f("eval instant at 0 m\n  m 1 2", /^x\.test:1: expecting multiple values/);
  f("eval range from 5m to 0 step 1m m", /^x\.test:1: .*is before start timestamp/);
  f("eval instant at 0 m\n  expect foo", /^x\.test:2: invalid expect statement/);
  f("eval instant at 0 m\n  expect fail\n  expect fail", /^x\.test:3: .*multiple expect fail/);
  f("eval instant at 0 m\n  expect warn\n  expect no_warn", /cannot be used together/);
  f("eval instant at 0 m\n  expect string foo", /^x\.test:2: expected string literal not valid/);
  f("load 1m\n  m@st -1m\n  n 1", /^x\.test:3: @st metric does not match/);
  f("load 1m\n  m@st -1m\n  m 1 2", /^x\.test:3: @st line has 1 values but sample line has 2/);
  f("load 1m\n  m@st -1m", /^x\.test:2: @st line has no following sample line/);
});

void test("floats are compared with Prometheus's tolerance", () => {
  assert.ok(almostEqual(NaN, NaN));
  assert.ok(almostEqual(0, -0));
  assert.ok(almostEqual(1, 1 + 1.9e-6));
  assert.ok(!almostEqual(1, 1 + 2.1e-6));
  assert.ok(!almostEqual(0, 1e-300));
  assert.ok(almostEqual(0, Number.MIN_VALUE));
  assert.ok(almostEqual(Infinity, Infinity));
  assert.ok(!almostEqual(Infinity, -Infinity));
  assert.ok(!almostEqual(Infinity, Number.MAX_VALUE));
});

void test("the memory storage serves what it was given, in label order", async () => {
  const storage = new MemoryStorage();
  const series = (name: string): Labels => Labels.fromObject({ __name__: "m", x: name });
  for (let i = 0; i < 300; i++) storage.append(series("b"), i * 1000, i);
  storage.append(series("a"), 0, 1);
  storage.appendStale(series("a"), 1000);
  storage.appendStale(series("a"), 1000);
  assert.throws(() => storage.append(series("a"), 1000, 2), { code: "bad-data" });
  const matchers = [createMatcher("__name__", "=", "m")];
  const found: string[] = [];
  for await (const batch of storage.queryable.select({
    matchers,
    minTimeMs: 0,
    maxTimeMs: 130_000,
  }))
    for (const one of batch.series)
      found.push(`${one.labels.get("x")}: ${one.chunks.map((c) => c.maxTimeMs).join(" ")}`);
  assert.deepEqual(found, ["a: 1000", "b: 119000 239000"]);
  const range = { matchers, minTimeMs: 200_000, maxTimeMs: 300_000 };
  assert.deepEqual((await storage.queryable.labelValues("x", range)).values, ["b"]);
  assert.deepEqual((await storage.queryable.labelNames(range)).values, ["__name__", "x"]);
});
