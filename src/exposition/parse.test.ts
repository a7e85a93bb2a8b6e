import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { sharedPath, skipWithout } from "../../test/shared-data.ts";
import { AppError } from "../base/errors.ts";
import {
  METADATA_HELP,
  METADATA_TYPE,
  METADATA_UNIT,
  METRIC_KINDS,
  ParsedColumns,
} from "./columns.ts";
import type { TextFormat } from "./entry-parser.ts";
import {
  bodyOf,
  checkAgreement,
  checkAnyBytes,
  checkSimilarLines,
  outcome,
  parseSlowly,
} from "./parse.fixture.ts";
import { ExpositionParser, parseText } from "./parse.ts";
import { decodePairs, decodeSeries, normalizeFloat } from "./series.ts";

/** `{labels} value @timestamp` for each sample. */
function samples(content: string, format: TextFormat = "text"): string[] {
  const { body, length } = bodyOf(content);
  const columns = new ParsedColumns();
  parseText(body, length, columns, format);
  return render(columns, body);
}

function render(columns: ParsedColumns, body: Uint8Array): string[] {
  const text = Buffer.from(body.buffer);
  return Array.from({ length: columns.count }, (_, i) => {
    const range = { start: columns.seriesStart[i]!, end: columns.seriesEnd[i]! };
    const labels = decodeSeries(text, { ...range, kind: columns.kinds[i]! });
    const stamp = columns.hasTimestamp[i] === 1 ? ` @${columns.timestamps[i]}` : "";
    return `${labels.toString()} ${columns.values[i]}${stamp}`;
  });
}

function failure(content: string | Uint8Array, format: TextFormat = "text"): string {
  const { body, length } = bodyOf(content);
  try {
    parseText(body, length, new ParsedColumns(), format);
  } catch (error) {
    assert.ok(error instanceof AppError && error.code === "bad-data", String(error));
    return error.message;
  }
  throw new Error(`${JSON.stringify(content)} was accepted`);
}

test("text: samples in all their spellings", () => {
  const f = (line: string, want: string): void => assert.deepEqual(samples(line), [want], line);
  f("a 1\n", '{__name__="a"} 1');
  f("a 1", '{__name__="a"} 1');
  f("a{} 1\n", '{__name__="a"} 1');
  f('a{b="c"} 1 1395066363000\n', '{__name__="a", b="c"} 1 @1395066363000');
  f('a \t { b = "c" , } \t 1 \t 5 \n', '{__name__="a", b="c"} 1 @5');
  // As in Prometheus, blanks in front are part of the name, unless it is quoted.
  f(" \t a 1\n", '{__name__=" \\t a"} 1');
  f('\t{"a"} 1\n', '{__name__="a"} 1');
  f('a{b="c"d="e"} 1\n', '{__name__="a", b="c", d="e"} 1');
  f('a{b="\\"\\\\\\n\\x"} 1\n', '{__name__="a", b="\\"\\\\\\n\\\\x"} 1');
  f('a{b="x\ny"} 1\n', '{__name__="a", b="x\\ny"} 1');
  f('a{b=""} 1\n', '{__name__="a"} 1');
  f('a{__proto__="x",constructor="y"} 1\n', '{__name__="a", __proto__="x", constructor="y"} 1');
  f('a{b="😀é"} 1\n', '{__name__="a", b="😀é"} 1');
  f('{"a.b","c.d"="e"} 1\n', '{__name__="a.b", "c.d"="e"} 1');
  f('{f="g","a.b"} 1\n', '{__name__="a.b", f="g"} 1');
  f('{"a\\"b"} 1\n', '{__name__="a\\"b"} 1');
  f("a NaN\n", '{__name__="a"} NaN');
  f("a +Inf\n", '{__name__="a"} Infinity');
  f("a -inf\n", '{__name__="a"} -Infinity');
  f("a +1.5e+3\n", '{__name__="a"} 1500');
  f("a .5\n", '{__name__="a"} 0.5');
  f("a 5.\n", '{__name__="a"} 5');
  f("a 0.30000000000000004\n", '{__name__="a"} 0.30000000000000004');
  f("a 1e-400\n", '{__name__="a"} 0');
});

test("text: values are read to the last bit", () => {
  fc.assert(
    fc.property(fc.double({ noNaN: true }), (value) => {
      const { body, length } = bodyOf(`a ${value === Infinity ? "+Inf" : String(value)}\n`);
      const columns = new ParsedColumns();
      parseText(body, length, columns);
      // JavaScript prints -0 as 0.
      assert.equal(columns.values[0], value === 0 ? 0 : value);
    }),
    { numRuns: 2000 },
  );
});

test("a NaN has the bits that Prometheus gives it", () => {
  const { body, length } = bodyOf("a NaN\nb nan\n");
  const columns = new ParsedColumns();
  parseText(body, length, columns);
  const words = new Uint32Array(columns.values.buffer);
  assert.deepEqual([...words.subarray(0, 4)], [1, 0x7ff80000, 1, 0x7ff80000]);
});

test("text: errors in Prometheus's words, with the line", () => {
  const f = (content: string, want: string): void => assert.equal(failure(content), want);
  f("a", 'expected value after metric, got "\\n" ("INVALID") while parsing: "a\\n" (line 1)');
  f(
    "ok 1\na{b='c'} 1\n",
    'expected label value, got "\'" ("INVALID") while parsing: "a{b=\'" (line 2)',
  );
  f("a{b=\n", 'expected label value, got "\\n" ("INVALID") while parsing: "a{b=\\n" (line 1)');
  f(
    "a true\n",
    'strconv.ParseFloat: parsing "true": invalid syntax while parsing: "a true" (line 1)',
  );
  f(
    "a 1e999\n",
    'strconv.ParseFloat: parsing "1e999": value out of range while parsing: "a 1e999" (line 1)',
  );
  f("foo 1_2\n", 'unsupported character in float while parsing: "foo 1_2" (line 1)');
  f("foo 0x1p-3\n", 'unsupported character in float while parsing: "foo 0x1p-3" (line 1)');
  f(
    "foo 0 1_2\n",
    'expected next entry after timestamp, got "_" ("INVALID") while parsing: "foo 0 1_" (line 1)',
  );
  f('{a="ok"} 1', 'metric name not set while parsing: "{a=\\"ok\\"} 1" (line 1)');
  f('a{"b"} 1', 'metric name already set while parsing: "a{\\"b\\"}" (line 1)');
  f("a{b} 1\n", 'metric name already set while parsing: "a{b}" (line 1)');
  f("# TYPE a nope\n", 'invalid metric type "nope" (line 1)');
  f("\n\n9a 1\n", 'expected a valid start token, got "9" ("INVALID") while parsing: "9" (line 3)');
  f(
    "a 1 99999999999999999999\n",
    'strconv.ParseInt: parsing "99999999999999999999": value out of range while parsing: "a 1 99999999999999999999" (line 1)',
  );
  assert.equal(
    failure(Buffer.from('a{b="\xff"} 1\n', "latin1")),
    'invalid UTF-8 label value: "\\"\\xff\\"" (line 1)',
  );
});

test("an error shows at most 400 bytes of the body", () => {
  const message = failure(`a{b="${"x".repeat(100_000)}`);
  assert.ok(message.length < 2000, message);
  assert.match(message, /…/);
});

test("openmetrics: samples, timestamps in seconds, exemplars, metadata", () => {
  const content = `# TYPE a counter
# UNIT a_seconds seconds
# HELP a Some "help" \\n
a_total{x="1"} 17 1520879607.789 # {id="tra ce",y="\\""} 0.5 1520879600.1
a_total 1 # {} 2
{"b.c",d="e"} +Inf
# EOF
`;
  const { body, length } = bodyOf(content);
  const columns = new ParsedColumns();
  parseText(body, length, columns, "openmetrics");
  assert.deepEqual(render(columns, body), [
    '{__name__="a_total", x="1"} 17 @1520879607789',
    '{__name__="a_total"} 1',
    '{__name__="b.c", d="e"} Infinity',
  ]);
  const text = Buffer.from(body.buffer);
  assert.deepEqual(
    Array.from({ length: columns.exemplarCount }, (_, i) => [
      columns.exemplarSample[i],
      text.toString("utf8", columns.exemplarLabelsStart[i], columns.exemplarLabelsEnd[i]),
      columns.exemplarValues[i],
      columns.exemplarHasTimestamp[i],
      columns.exemplarTimestamps[i],
    ]),
    [
      [0, '{id="tra ce",y="\\""}', 0.5, 1, 1520879600100],
      [1, "{}", 2, 0, 0],
    ],
  );
  assert.deepEqual(
    decodePairs(text, {
      start: columns.exemplarLabelsStart[0]!,
      end: columns.exemplarLabelsEnd[0]!,
      kind: 0,
    }),
    ["id", "tra ce", "y", '"'],
  );
  assert.deepEqual(
    Array.from({ length: columns.metadataCount }, (_, i) => [
      columns.metadataWhat[i],
      METRIC_KINDS[columns.metadataKind[i]!],
      text.toString("utf8", columns.metadataNameStart[i], columns.metadataNameEnd[i]),
      text.toString("utf8", columns.metadataTextStart[i], columns.metadataTextEnd[i]),
    ]),
    [
      [METADATA_TYPE, "counter", "a", "counter"],
      [METADATA_UNIT, "unknown", "a_seconds", "seconds"],
      [METADATA_HELP, "unknown", "a", 'Some "help" \\n'],
    ],
  );
});

test("openmetrics: what it refuses", () => {
  const f = (content: string, want: string): void =>
    assert.equal(failure(content, "openmetrics"), want);
  f("a 1\n", "data does not end with # EOF (line 2)");
  f("a 1", "data does not end with # EOF (line 1)");
  f("", "data does not end with # EOF (line 1)");
  f("# EOF\n1", "unexpected data after # EOF (line 1)");
  f(
    "\n# EOF\n",
    'expected a valid start token, got "\\n" ("INVALID") while parsing: "\\n" (line 1)',
  );
  f("# UNIT a seconds\n# EOF\n", 'unit "seconds" not a suffix of metric "a" (line 1)');
  f("# TYPE a untyped\n# EOF\n", 'invalid metric type "untyped" (line 1)');
  f(
    'a{b="c" ,} 1\n# EOF\n',
    'expected comma or brace close, got " " ("INVALID") while parsing: "a{b=\\"c\\" " (line 1)',
  );
  f("a 1 NaN\n# EOF\n", "invalid timestamp NaN (line 1)");
  f(
    'a 1 # {x="y"}\n# EOF\n',
    'expected value after exemplar labels, got "\\n" ("INVALID") while parsing: "a 1 # {x=\\"y\\"}\\n" (line 1)',
  );
});

test("le and quantile are floats of one spelling, where the type says so", () => {
  const f = (text: string, want: string): void => assert.equal(normalizeFloat(text), want, text);
  f("1", "1.0");
  f("0", "0.0");
  f("-0", "0.0");
  f("-1", "-1.0");
  f("0.5", "0.5");
  f("100000", "100000.0");
  f("1000000", "1e+06");
  f("2500000", "2.5e+06");
  f("1e-5", "1e-05");
  f("0.0001", "0.0001");
  f("inf", "+Inf");
  f("-Inf", "-Inf");
  f("nan", "NaN");
  f("1e999", "1e999");
  f("tall", "tall");
  assert.deepEqual(
    samples(
      '# TYPE a histogram\na_bucket{le="1"} 2\n# TYPE s summary\ns{quantile="1",le="1"} 3\n# TYPE g gauge\ng{le="1"} 4\n',
    ),
    [
      '{__name__="a_bucket", le="1.0"} 2',
      '{__name__="s", le="1", quantile="1.0"} 3',
      '{__name__="g", le="1"} 4',
    ],
  );
});

test("a 64 KB value and a 64 KB name come through", () => {
  const value = "é".repeat(32_768);
  const name = "n".repeat(65_536);
  assert.deepEqual(samples(`a{${name}="${value}"} 1\n`), [`{__name__="a", ${name}="${value}"} 1`]);
});

test("parse stops after the limit and goes on from there", () => {
  const { body, length } = bodyOf("# TYPE a gauge\na 1\nb 2\n\nc 3\n# x\n");
  const parser = new ExpositionParser("text");
  const columns = new ParsedColumns();
  parser.reset(body, length);
  assert.equal(parser.parse(columns, 1), true);
  assert.equal(columns.count, 1);
  assert.equal(parser.position, "# TYPE a gauge\na 1\n".length);
  assert.equal(parser.parse(columns), false);
  assert.deepEqual([...columns.values.subarray(0, columns.count)], [1, 2, 3]);
});

for (const [name, format, want] of [
  ["1histogram.om.txt", "openmetrics", [42, 2, 0]],
  ["alltypes.237mfs.nometa.prom.txt", "text", [1857, 0, 0]],
  ["alltypes.237mfs.prom.txt", "text", [1857, 474, 0]],
  ["alltypes.5mfs.om.txt", "openmetrics", [53, 10, 6]],
] as const)
  test(`a real body: ${name}`, { skip: skipWithout(`exposition/${name}`) }, () => {
    const { body, length } = bodyOf(readFileSync(sharedPath(`exposition/${name}`)!));
    const columns = new ParsedColumns();
    parseText(body, length, columns, format);
    assert.deepEqual([columns.count, columns.metadataCount, columns.exemplarCount], want);
    assert.deepEqual(parseSlowly({ body, length }, format), outcome({ body, length }, format));
  });

test("fast path and exact parser agree on anything", () => checkAgreement(4000));

test("any bytes give samples or a named error", () => checkAnyBytes(3000));

test("lines that are nearly the line before are read as any other", () => checkSimilarLines(3000));
