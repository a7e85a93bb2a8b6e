import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MemorySource } from "../../bench/promql/memory-source.ts";
import { AppError } from "../base/errors.ts";
import { Labels } from "../model/labels.ts";
import { Engine, type EngineOptions } from "./engine.ts";

const PARSER = { experimentalFunctions: true };

function sourceOf(...series: readonly Record<string, string>[]): MemorySource {
  const source = new MemorySource({ batchSize: 10 });
  for (const [i, labels] of series.entries())
    source.add(Labels.fromObject(labels), Float64Array.of(0, 60_000), Float64Array.of(i, i));
  return source;
}

function manySeries(count: number): MemorySource {
  return sourceOf(
    ...Array.from({ length: count }, (_, i) => ({ __name__: "many", i: String(1000 + i) })),
  );
}

async function outcome(
  source: MemorySource,
  query: string,
  options: EngineOptions = {},
): Promise<string> {
  try {
    await new Engine({ parser: PARSER, ...options }).instant(source, { query, timeMs: 60_000 });
    return "no error";
  } catch (error) {
    assert.ok(error instanceof AppError, String(error));
    return `${error.code}: ${error.message}`;
  }
}

function tooMany(found: number, limit: number): string {
  return `execution: query processing would make too many bytes of labels in query execution: ${found} so far, the limit is ${limit} (--query.max-label-bytes). Narrow its selectors or its time range, or raise the limit`;
}

function tooLong(found: number, limit: number): string {
  return `execution: query processing would make a label value too long in query execution: ${found} bytes, the limit is ${limit} (--query.max-label-value-bytes). Make it shorter, or raise the limit`;
}

/** `v` with its label `i` doubled `times` times. */
function doubled(v: string, times: number): string {
  return `${"label_replace(".repeat(times)}${v}${`, "i", "$1$1", "i", "(.*)")`.repeat(times)}`;
}

describe("the labels that a query makes", () => {
  const MANY = sourceOf(
    { __name__: "x", a: "1", b: "22" },
    { __name__: "x", a: "333", b: "4444" },
    { __name__: "h_bucket", le: "1", a: "1" },
    { __name__: "h_bucket", le: "+Inf", a: "1" },
    { __name__: "target_info", job: "j", instance: "i", long: "l".repeat(1021) },
    { __name__: "up", job: "j", instance: "i" },
  );

  const cases: readonly (readonly [query: string, bytes: number])[] = [
    // A name and a value for each series.
    ['label_replace(x, "to", "$1-$1", "b", "(.*)")', 2 + 5 + (2 + 9)],
    ['label_replace(x, "to", "$1-$1", "b", "(2+)")', 2 + 5],
    ['label_replace(x, "to", "same", "a", ".+")', 2 * (2 + 4)],
    ['label_replace(x, "a", "", "a", ".+")', 0],
    ['label_replace(label_replace(x, "a", "xx", "", ""), "a", "y", "", "")', 2 * 3 + 2 * 2],
    ['label_join(x, "to", ", ", "a", "none", "b")', 2 + 7 + (2 + 11)],
    ['count_values("value", x)', 5 + 1 + (5 + 1)],
    ['count_values by (a) ("value", x)', 5 + 1 + (5 + 1)],
    ['histogram_quantiles(h_bucket, "q", 0.5, 0.25)', 1 + 3 + (1 + 4)],
    // What another row has is one text for both, if it is not long.
    ["x * on () group_left (le) h_bucket{le='1'}", 0],
    ["up * on (job) group_left (long) target_info", 4 + 1021],
    ["up * on (job) group_left (long, none) (target_info > 0 or target_info)", 4 + 1021],
    ["info(up)", 4 + 1021],
  ];
  for (const [query, bytes] of cases)
    test(`are counted: ${query}`, async () => {
      assert.equal(await outcome(MANY, query, { maxLabelBytes: bytes }), "no error");
      if (bytes === 0) return;
      assert.equal(
        await outcome(MANY, query, { maxLabelBytes: bytes - 1 }),
        tooMany(bytes, bytes - 1),
      );
    });

  test("are bounded where each of many parts doubles them", async () => {
    const source = manySeries(3000);
    const error = await outcome(source, `count(${doubled("many", 19)})`);
    assert.match(error, /^execution: .* make too many bytes of labels .*: 671\d{5} so far/);
    assert.equal(await outcome(source, `count(${doubled("many", 8)})`), "no error");
  });

  test("are bounded where one name is given to many", async () => {
    const name = "n".repeat(100_000);
    const query = `count_values("${name}", many)`;
    assert.match(await outcome(manySeries(1000), query), /672\d{5} so far/);
  });

  test("are told apart soon where they are long and begin alike", async () => {
    const start = "s".repeat(16_400);
    const long = `label_replace(many, "a", "${start}$3$2$1", "i", "(.)(..)(.)")`;
    for (const query of [
      `count(${long})`,
      `count by (a) (${long})`,
      `count(${long} * on (a) ${long})`,
      `count(${long} unless ignoring (i) ${long})`,
    ]) {
      // Each of 3,000 compared with each other one takes half a minute.
      const startedMs = performance.now();
      assert.equal(await outcome(manySeries(2000), query), "no error");
      assert.ok(performance.now() - startedMs < 8000, query);
    }
  });

  test("are found soon among a hundred thousand names", async () => {
    const names = Array.from({ length: 100_000 }, (_, i) => `a${i}`).join();
    for (const query of [
      `count by (i, ${names}) (many + 0)`,
      `many * on (i, ${names}) many`,
      `many * ignoring (${names}) many`,
      `many * on (i) group_left (${names}) many`,
      `many and on (i, ${names}) many`,
    ]) {
      // Each looked up in each of 1,000 label sets takes some ten seconds.
      const startedMs = performance.now();
      assert.equal(await outcome(manySeries(1000), query), "no error");
      assert.ok(performance.now() - startedMs < 5000, query);
    }
  });

  test("end with the client that asked for them", async () => {
    const leaves = new AbortController();
    setTimeout(() => leaves.abort(), 30);
    const engine = new Engine({ maxLabelBytes: 1024 ** 3 });
    const query = `count(${doubled("many", 14)})`;
    const answer = engine.instant(manySeries(3000), {
      query,
      timeMs: 60_000,
      signal: leaves.signal,
    });
    await assert.rejects(answer, { code: "canceled" });
  });
});

describe("what is said of long labels", () => {
  const prefix = "p".repeat(1000);
  const renamed = `label_replace(many, "__name__", "${prefix}$1", "i", "10(.*)")`;

  test("is short in notes", async () => {
    const query = `rate(${renamed}[1m:10s])`;
    const result = await new Engine().instant(manySeries(30), { query, timeMs: 60_000 });
    assert.deepEqual(result.infos, [
      `PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "${prefix}…" (1:1)`,
    ]);
    assert.deepEqual(result.warnings, []);
  });

  test("is short in errors", async () => {
    const query = `${renamed} * on () ${renamed}`;
    const shown = `{__name__="${prefix}…", i="100[01]"}`;
    assert.match(
      await outcome(manySeries(2), query),
      new RegExp(`right hand-side of the operation: \\[${shown}, ${shown}\\];many-to-many`),
    );
  });
});

describe("a label value that a query makes", () => {
  const LONG = sourceOf({ __name__: "long", l: "a".repeat(10_000) });
  const f = (what: string, query: string, found: number): void =>
    void test(`is not longer than the limit: ${what}`, async () => {
      assert.equal(await outcome(LONG, query), tooLong(found, 1024 ** 2));
    });

  const references = "${1}".repeat(200_000);
  f("a template of groups", `label_replace(long, "d", "${references}", "l", "(a*)")`, 2e9);
  f("found by the engine", `label_replace(long, "d", "${references}", "l", "(a+?)a{10}")`, 1.998e9);
  f("a template without", `label_replace(long, "d", "${"t".repeat(2e6)}", "l", ".*")`, 2e6);
  f("joined", `label_join(long, "d", ", "${`, "l"`.repeat(60_000)})`, 60_000 * 10_002 - 2);
  f("of many", `label_join(long, "d", "", "l"${`, "l"`.repeat(200_000)})`, 200_001 * 10_000);
  f("joined by much", `label_join(long, "d", "${"s".repeat(2e6)}", "x", "y")`, 2e6);
  test("is not longer than the limit: doubled", async () => {
    const query = doubled(`label_replace(long, "i", "$1", "l", "(.*)")`, 30);
    assert.equal(await outcome(LONG, query), tooLong(1_280_000, 1024 ** 2));
    const high = { maxLabelBytes: 1024 ** 4, maxLabelValueBytes: 256 * 1024 ** 2 };
    assert.equal(await outcome(LONG, query, high), tooLong(327_680_000, 256 * 1024 ** 2));
  });
});
