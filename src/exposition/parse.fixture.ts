/** The exact parser as the oracle of the fast one, for tests short and long. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { AppError } from "../base/errors.ts";
import { ParsedColumns } from "./columns.ts";
import { EntryParser, type TextFormat } from "./entry-parser.ts";
import { parseText } from "./parse.ts";

export function bodyOf(content: string | Uint8Array): { body: Uint8Array; length: number } {
  const bytes = typeof content === "string" ? Buffer.from(content) : content;
  const body = new Uint8Array(bytes.length + 1);
  body.set(bytes);
  return { body, length: bytes.length };
}

/** The result of the columnar parser as plain data, error text included. */
export function outcome(
  source: { body: Uint8Array; length: number },
  format: TextFormat,
): unknown[] {
  const columns = new ParsedColumns();
  let error = "";
  try {
    parseText(source.body, source.length, columns, format);
  } catch (thrown) {
    assert.ok(thrown instanceof AppError, String(thrown));
    error = thrown.message;
  }
  return plain(columns, error);
}

/** The same by the exact parser alone. */
export function parseSlowly(
  source: { body: Uint8Array; length: number },
  format: TextFormat,
): unknown[] {
  const columns = new ParsedColumns();
  const parser = new EntryParser(format);
  source.body[source.length] = 10;
  parser.reset(source.body, Buffer.from(source.body.buffer), source.length);
  let error = "";
  try {
    let position = 0;
    while (parser.next(position, columns) !== "end") position = parser.position;
  } catch (thrown) {
    assert.ok(thrown instanceof AppError, String(thrown));
    error = thrown.message;
  }
  return plain(columns, error);
}

function plain(columns: ParsedColumns, error: string): unknown[] {
  const rows: unknown[] = [error, columns.metadataCount, columns.exemplarCount];
  for (let i = 0; i < columns.count; i++)
    rows.push([
      columns.seriesStart[i],
      columns.seriesEnd[i],
      columns.lineEnd[i],
      columns.values[i],
      columns.hasTimestamp[i],
      columns.timestamps[i],
      columns.kinds[i],
    ]);
  return rows;
}

const fragment = fc.constantFrom(
  "a",
  "b:c",
  "metric_9",
  "a{b}",
  "{",
  "}",
  'x="y"',
  'le="1"',
  ",",
  "=",
  '"',
  "\\",
  '\\"',
  " ",
  "  ",
  "\t",
  "\n",
  "\n\n",
  "1",
  "-2.5",
  "1e3",
  "1e999",
  "NaN",
  "+Inf",
  "0.30000000000000004",
  "1395066363000",
  "# TYPE a histogram\n",
  "# HELP a text\n",
  "# UNIT a_s s\n",
  "# comment\n",
  "# EOF\n",
  "#",
  ' # {t="1"} 2 3\n',
  '{"q.r",s="é"} 1\n',
  'ok{l="v",m="w"} 12\n',
  "plain 7 8\n",
  "\0",
  "é",
);

/** Fast path and exact parser agree on any sequence of plausible pieces. */
export function checkAgreement(numRuns: number): void {
  fc.assert(
    fc.property(
      fc.array(fragment, { maxLength: 30 }),
      fc.constantFrom<TextFormat>("text", "openmetrics"),
      (fragments, format) => {
        const source = bodyOf(fragments.join(""));
        assert.deepEqual(outcome(source, format), parseSlowly(source, format));
      },
    ),
    { numRuns },
  );
}

/** Any bytes give samples or a named error. */
export function checkAnyBytes(numRuns: number): void {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 200 }),
      fc.constantFrom<TextFormat>("text", "openmetrics"),
      (bytes, format) => {
        const source = bodyOf(bytes);
        const [error] = outcome(source, format);
        assert.equal(typeof error, "string");
      },
    ),
    { numRuns },
  );
}

const line = fc.constantFrom(
  'requests_total{method="GET",code="200",handler="/api/v1/x",long="0123456789abcdef"} 17\n',
  'metric:name{a="b",longer_name="v\\"w\\\\x\\ny and more text",c=""} -1.5 1395066363000\n',
  `many{${Array.from({ length: 40 }, (_, i) => `label_${i}="value ${i}"`).join(",")}} 1\n`,
  "plain_name 3\n",
);
const edit = fc.record({
  at: fc.nat(600),
  removed: fc.nat(3),
  added: fc.constantFrom(
    "",
    "",
    "a",
    "xyz_",
    '"',
    "\\",
    '\\"',
    ",",
    "=",
    "}",
    "\n",
    "é",
    "1",
    ":",
    " ",
  ),
});

/** They agree on lines that are nearly the line before, which the fast path compares with. */
export function checkSimilarLines(numRuns: number): void {
  fc.assert(
    fc.property(
      line,
      fc.array(fc.array(edit, { maxLength: 2 }), { maxLength: 8 }),
      fc.constantFrom<TextFormat>("text", "openmetrics"),
      (first, edits, format) => {
        let text = first;
        let current = first;
        for (const changes of edits) {
          for (const { at, removed, added } of changes) {
            const from = at % current.length;
            current = current.slice(0, from) + added + current.slice(from + removed);
          }
          if (!current.endsWith("\n")) current += "\n";
          text += current + first;
        }
        const source = bodyOf(`${text}# EOF\n`);
        assert.deepEqual(outcome(source, format), parseSlowly(source, format));
      },
    ),
    { numRuns },
  );
}
