import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { messageOf } from "../base/errors.ts";
import { ParseError } from "./parse-error.ts";
import { parseExpression, parseSelector, type ParserOptions } from "./parser.ts";
import { formatQuery } from "./prettier.ts";
import { printExpression } from "./printer.ts";
import { MAX_DEPTH } from "./token-stream.ts";

const ALL: ParserOptions = {
  experimentalFunctions: true,
  extendedRangeSelectors: true,
  fillModifiers: true,
};

for (const [file, options] of [
  ["verdicts-3.5.txt", { experimentalFunctions: true }],
  ["verdicts-3.14.txt", ALL],
] as const)
  void test(`queries have the verdict of Prometheus: ${file}`, () => {
    const path = new URL(`testdata/${file}`, import.meta.url);
    const lines = readFileSync(path, "utf8")
      .split("\n")
      .filter((line) => line !== "" && !line.startsWith("#"));
    for (let i = 0; i < lines.length; i += 2) {
      const written = lines[i]!.slice(2);
      const query = written.startsWith('"') ? String(JSON.parse(written)) : written;
      assert.equal(verdict(query, options), lines[i + 1], query);
    }
    assert.ok(lines.length / 2 >= 100, "the table is complete");
  });

function verdict(query: string, options: ParserOptions): string {
  try {
    return `= ${JSON.stringify(formatQuery(query, options))}`;
  } catch (error) {
    assert.ok(error instanceof ParseError, `${query}: ${messageOf(error)}`);
    return `! ${error.message}`;
  }
}

void test("experimental parts need to be enabled", () => {
  const f = (query: string, message: string): void => {
    assert.throws(() => parseExpression(query), { message, code: "bad-data" });
    parseExpression(query, ALL);
  };
  f("mad_over_time(a[5m])", '1:1: parse error: function "mad_over_time" is not enabled');
  f("1 + step()", '1:5: parse error: function "step" is not enabled');
  f(
    "limitk(1, a)",
    "1:1: parse error: limitk() is experimental and must be enabled with --enable-feature=promql-experimental-functions",
  );
  f("a anchored", "1:1: parse error: anchored modifier is experimental and not enabled");
  f("a[1m] smoothed", "1:1: parse error: smoothed modifier is experimental and not enabled");
  f("a + fill(1) b", "1:1: parse error: binop fill modifiers are experimental and not enabled");
});

void test("an error tells its line, byte column and UTF-16 offsets", () => {
  const query = '"é𝄞" #\n+ foo';
  assert.throws(
    () => parseExpression(query),
    (error) => {
      assert.ok(error instanceof ParseError);
      assert.equal(error.line, 1);
      assert.equal(error.column, 1);
      return true;
    },
  );
  assert.throws(
    () => parseExpression('foo{a="é𝄞"} bar'),
    (error) => {
      assert.ok(error instanceof ParseError);
      assert.equal(error.message, '1:17: parse error: unexpected identifier "bar"');
      assert.deepEqual(error.position, { start: 13, end: 16 });
      assert.equal(error.reason, 'unexpected identifier "bar"');
      return true;
    },
  );
});

void test("positions cover the nodes' own text", () => {
  const query = "sum by (a) (rate(foo[5m] offset 1h)) > bool 2 * -b";
  const tree = parseExpression(query);
  assert.ok(tree.kind === "binary" && tree.left.kind === "aggregation");
  const textOf = ({ position }: { position: { start: number; end: number } }): string =>
    query.slice(position.start, position.end);
  assert.equal(textOf(tree), query);
  assert.equal(textOf(tree.left), "sum by (a) (rate(foo[5m] offset 1h))");
  assert.equal(textOf(tree.left.expression), "rate(foo[5m] offset 1h)");
  assert.equal(textOf(tree.right), "2 * -b");
});

void test("an offset is always a number of milliseconds", () => {
  const f = (query: string, offsetMs: number): void => {
    const tree = parseExpression(query);
    assert.ok(tree.kind === "vectorSelector");
    assert.equal(tree.offsetMs, offsetMs);
  };
  f("a offset 1.0005", 1000);
  f("a offset -1.0005", -1000);
  f("a offset 0.1", 100);
  f("a offset -0", 0);
  f("a offset NaN", -9_223_372_036_854);
});

void test("matching is there between vectors only", () => {
  const matchingOf = (query: string): unknown => {
    const tree = parseExpression(query);
    return tree.kind === "binary" ? tree.matching : undefined;
  };
  assert.deepEqual(matchingOf("a + on(x) group_left(y) b"), {
    cardinality: "many-to-one",
    labels: ["x"],
    on: true,
    include: ["y"],
    fillLeft: undefined,
    fillRight: undefined,
  });
  assert.equal(matchingOf("a + 1"), undefined);
  assert.equal(matchingOf("1 + on() a"), undefined);
});

void test("selectors are parsed alone", () => {
  const [first, second] = parseSelector('foo{a=~"b.*"}');
  assert.deepEqual([first?.name, first?.operator, first?.value], ["a", "=~", "b.*"]);
  assert.deepEqual([second?.name, second?.operator, second?.value], ["__name__", "=", "foo"]);
  assert.deepEqual(parseSelector("{}"), []);
  assert.throws(() => parseSelector("foo[5m]"), {
    message: '1:4: parse error: unexpected "["',
  });
  assert.throws(() => parseSelector("1"), { message: '1:1: parse error: unexpected number "1"' });
});

void test("deep, long and broken input is refused with a position", () => {
  const tooDeep = /parse error: expression is nested more than 1000 levels deep$/;
  const levels = 10_000;
  for (const query of [
    "(".repeat(levels) + "1" + ")".repeat(levels),
    "(".repeat(levels),
    "-".repeat(levels) + "a",
    "abs(".repeat(levels) + "a" + ")".repeat(levels),
    "sum by (a) (".repeat(levels),
    "2 ^ ".repeat(levels) + "2",
    "1 + ".repeat(500_000) + "1",
    "a or ".repeat(200_000) + "a",
    `a[${"(".repeat(levels)}`,
    `a[${"1m + ".repeat(levels)}1m]`,
    `a offset ${"(".repeat(levels)}`,
    "a" + "[1m:1m]".repeat(levels),
  ])
    assert.throws(
      () => parseExpression(query),
      (error) => error instanceof ParseError,
      query.slice(0, 20),
    );
  assert.throws(() => parseExpression("1 + ".repeat(500_000) + "1"), tooDeep);
  const nested = "(".repeat(MAX_DEPTH - 1) + "1" + ")".repeat(MAX_DEPTH - 1);
  assert.equal(printExpression(parseExpression(nested)), nested);
  for (const query of ["a\0", "\ud800", '"\udc00"', '{a="\ud800x"}', "a\u0001", "\ufffd"])
    assert.throws(
      () => parseExpression(query),
      (error) => error instanceof ParseError,
    );
});

void test("a megabyte of legal query is parsed", () => {
  const values = Array.from({ length: 100_000 }, (_, i) => `value${i}`).join("|");
  const tree = parseExpression(`foo{a=~"${values}"}`);
  assert.ok(tree.kind === "vectorSelector" && tree.matchers[0]!.matches("value99999"));
  parseExpression(`label_join(foo, "a", ","${', "b"'.repeat(200_000)})`);
  const many = (name: string): string =>
    Array.from({ length: 50_000 }, (_, i) => `${name}${i}`).join(",");
  parseExpression(`a + on(${many("x")}) group_left(${many("y")}) b`);
  parseExpression(`a{${'b="c",'.repeat(150_000)}}`);
  assert.throws(() => parseExpression("9".repeat(1_000_000)), /value out of range/);
  const nested = "abs(".repeat(500) + `a{b="${"c".repeat(1_000_000)}"}` + ")".repeat(500);
  assert.equal(formatQuery(nested).split("\n").length, 1001);
  // Each argument has a line of its own, behind 900 indents.
  const wide = `label_join(foo, "a", ","${', "b"'.repeat(200_000)})`;
  assert.throws(() => formatQuery("(".repeat(900) + wide + ")".repeat(900)), {
    code: "bad-data",
    message: "cannot format the query: it would have more than 16777216 characters",
  });
});

void test("no text makes the parser fail in another way", () => {
  const words = fc.constantFrom(
    ...'foo sum by ( ) { } [ ] , : = != =~ "a" 5m 1 + - ^ == bool on group_left offset @ start() and # \n rate step \'x ` é \ud800 0x inf </'.split(
      " ",
    ),
  );
  fc.assert(
    fc.property(fc.array(words, { maxLength: 20 }), fc.string(), (parts, noise) => {
      for (const query of [parts.join(" "), parts.join(""), parts.join(" ") + noise, noise])
        verdict(query, ALL);
    }),
    { numRuns: 2000 },
  );
});
