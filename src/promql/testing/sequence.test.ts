import assert from "node:assert/strict";
import { test } from "node:test";
import { formatTestHistogram } from "../../model/histogram-text.ts";
import {
  isStartTimeLine,
  parseSeriesLine,
  parseSignedNumber,
  parseStartTimeLine,
  SEQUENCE_MAX_ITEMS,
  type SequenceItem,
} from "./sequence.ts";

function show(item: SequenceItem): string {
  if (item.kind === "float") return String(item.value);
  return item.kind === "histogram" ? formatTestHistogram(item.histogram) : item.kind;
}

void test("sequences of values", () => {
  const f = (sequence: string, want: string): void => {
    assert.equal(parseSeriesLine(`m ${sequence}`).items.map(show).join(" "), want, sequence);
  };
  f("", "");
  f("1 2 3", "1 2 3");
  f("1\t \t-2", "1 -2");
  f("_ _x2 5", "missing missing missing 5");
  f("3x2", "3 3 3");
  f("1+2x3", "1 3 5 7");
  f("10-2.5x2", "10 7.5 5");
  f("-1-1x2", "-1 -2 -3");
  f("1x0", "1");
  f("stale stalex1", "stale stale stale");
  f("Inf -inf NaN +Infx1", "Infinity -Infinity NaN Infinity Infinity");
  f("1e3 1e-3 1E+2+1e1x1 .5", "1000 0.001 100 110 0.5");
  f("1_000", "1000");
  f("5m", "300");
  f("0.1+0.1x3", "0.1 0.2 0.30000000000000004 0.4");
});

void test("sequences of histograms", () => {
  const f = (sequence: string, want: string): void => {
    assert.equal(parseSeriesLine(`m ${sequence}`).items.map(show).join(" | "), want, sequence);
  };
  f("{{}}", "{{}}");
  f("{{ }}x1", "{{}} | {{}}");
  f(
    "{{schema:1 sum:-0.3 count:3.1 z_bucket:7.1 z_bucket_w:0.05 buckets:[5.1 10 7] offset:-3 n_buckets:[4.1 5] n_offset:-5 counter_reset_hint:gauge}}",
    "{{schema:1 count:3.1 sum:-0.3 z_bucket:7.1 z_bucket_w:0.05 counter_reset_hint:gauge offset:-3 buckets:[5.1 10 7] n_offset:-5 n_buckets:[4.1 5]}}",
  );
  f(
    "{{schema:-53 custom_values:[5 10] buckets:[ 1 4 ]}} 7",
    "{{schema:-53 custom_values:[5 10] buckets:[1 4]}} | 7",
  );
  f(
    "{{count:1 buckets:[1] offset:1}}+{{count:2 buckets:[1 1]}}x2",
    "{{count:1 offset:1 buckets:[1]}} | {{count:3 buckets:[1 2]}} | {{count:5 buckets:[2 3]}}",
  );
  f(
    "{{count:3 sum:9 buckets:[1 2]}}-{{count:1 sum:4 buckets:[0 1]}}x1",
    "{{count:3 sum:9 buckets:[1 2]}} | {{count:2 sum:5 buckets:[1 1]}}",
  );
  f(
    "{{schema:-1 count:1 buckets:[1] offset:1}}+{{schema:0 count:4 buckets:[2 2] offset:1}}x1",
    "{{schema:-1 count:1 offset:1 buckets:[1]}} | {{schema:-1 count:5 offset:1 buckets:[5]}}",
  );
});

void test("broken series lines are refused", () => {
  const f = (line: string, message: RegExp): void => {
    assert.throws(() => parseSeriesLine(line), { message, code: "bad-data" }, line);
  };
  f("m 1+1", /expected a repetition/);
  f("m abc", /unexpected "abc" in series values/);
  f("m{a} 1", /unexpected "}" in label set, expected "="/);
  f("m{a=b} 1", /unexpected identifier "b" in label set, expected string/);
  f('m{a="b" c="d"} 1', /in label set, expected "," or "}"/);
  f("m 1x99999999999", /invalid repetition/);
  f(`m ${`1x${SEQUENCE_MAX_ITEMS - 1} `.repeat(2)}`, /stands for more than 1000000 values/);
  f("m {{", /histogram description incomplete/);
  f("m {{sum:1 sum:2}}", /duplicate key "sum" in histogram/);
  f("m {{foo:1}}", /bad histogram descriptor found: "foo"/);
  f("m {{sum:x}}", /"x" is not a number/);
  f("m {{schema:1.5}}", /is not an integer/);
  f("m {{schema:1}}+{{schema:0 count:1}}x1", /cannot merge from schema 0 to 1/);
});

void test("metrics of series lines", () => {
  const f = (line: string, want: string): void => {
    assert.equal(parseSeriesLine(line).labels.toString(), want);
  };
  f("m 1", '{__name__="m"}');
  f("sum 1", '{__name__="sum"}');
  f("a:b 1", '{__name__="a:b"}');
  f("{} 1", "{}");
  f('{a="b"} 1', '{a="b"}');
  f('m{a="b",c="d",} 1', '{__name__="m", a="b", c="d"}');
  f('{"x.y", "l.m"="v"} 1', '{__name__="x.y", "l.m"="v"}');
  f("m {{sum:1}}", '{__name__="m"}');
  f("m{__proto__='x'} 1", '{__name__="m", __proto__="x"}');
});

void test("start timestamps", () => {
  assert.ok(isStartTimeLine('m{a="b"}@st -1m'));
  assert.ok(!isStartTimeLine("m 1 2"));
  const f = (sequence: string, want: readonly (number | undefined)[]): void => {
    assert.deepEqual(parseStartTimeLine(`m@st ${sequence}`).offsetsMs, want);
  };
  f("-1m", [-60_000]);
  f("_ 0s _x2", [undefined, 0, undefined, undefined]);
  f("-30sx2", [-30_000, -30_000, -30_000]);
  f("-1m-30sx2", [-60_000, -90_000, -120_000]);
  f("-1m+30sx1 -1ms", [-60_000, -30_000, -1]);
  assert.throws(() => parseStartTimeLine("m@st 1.5m"), { message: 'invalid ST item "1.5m"' });
  assert.throws(() => parseStartTimeLine("m@st 5"), { code: "bad-data" });
});

void test("numbers alone", () => {
  const f = (text: string, want: number | undefined): void => {
    assert.equal(parseSignedNumber(text), want);
  };
  f("-1.5", -1.5);
  f("+Inf", Infinity);
  f("NaN", NaN);
  f("0x10", 16);
  f("m", undefined);
  f("1 2", undefined);
  f("info", undefined);
});
