import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Labels } from "../model/labels.ts";
import { ParsedColumns } from "./columns.ts";
import { parseText } from "./parse.ts";
import { decodeSeries } from "./series.ts";
import { TextWriter } from "./write.ts";

test("families get one TYPE line, labels are escaped, timestamps kept", () => {
  const writer = new TextWriter();
  const labels = (pairs: Record<string, string>): Labels => Labels.fromObject(pairs);
  writer.write({ labels: labels({ __name__: "a", x: 'q"\\\n' }), value: 1, timestampMs: 5 });
  writer.write({ labels: labels({ __name__: "a", x: "2" }), value: NaN });
  writer.write({ labels: labels({ __name__: "b" }), value: 1e-7, timestampMs: -3 }, "gauge");
  assert.equal(
    writer.take(),
    '# TYPE a untyped\na{x="q\\"\\\\\\n"} 1 5\na{x="2"} NaN\n# TYPE b gauge\nb 1e-07 -3\n',
  );
  assert.equal(writer.take(), "");
});

test("names beyond the legacy characters are escaped with underscores", () => {
  const writer = new TextWriter();
  writer.write({
    labels: Labels.fromObject({ __name__: "1.requests:x", "k8s.pod/name": "é" }),
    value: 2,
  });
  assert.equal(writer.take(), '# TYPE __requests:x untyped\n__requests:x{k8s_pod_name="é"} 2\n');
});

test("what is written is read back", () => {
  const text = fc.string({ unit: "grapheme", maxLength: 20 }).filter((value) => value !== "");
  fc.assert(
    fc.property(
      fc.array(fc.tuple(text, fc.double(), fc.nat()), { minLength: 1, maxLength: 10 }),
      (rows) => {
        const writer = new TextWriter();
        for (const [value, number, timestampMs] of rows)
          writer.write({
            labels: Labels.fromObject({ __name__: "m", __proto__x: value }),
            value: number,
            timestampMs,
          });
        const bytes = Buffer.from(`${writer.take()} `);
        const columns = new ParsedColumns();
        parseText(bytes, bytes.length - 1, columns);
        assert.equal(columns.count, rows.length);
        for (const [i, [value, number, timestampMs]] of rows.entries()) {
          const labels = decodeSeries(bytes, {
            start: columns.seriesStart[i]!,
            end: columns.seriesEnd[i]!,
            kind: 0,
          });
          assert.equal(labels.get("__proto__x"), value);
          assert.equal(columns.values[i], number);
          assert.equal(columns.timestamps[i], timestampMs);
        }
      },
    ),
    { numRuns: 300 },
  );
});
