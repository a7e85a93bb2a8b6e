import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compareText, didYouMean, quote } from "./text.ts";

test("text compares by its UTF-8 bytes", () => {
  const unit = fc.oneof(
    fc.string({ unit: "binary" }),
    fc.constantFrom("\u{1f600}", "\ufffd", "\ue000", "\u{10ffff}", "a", "\ud7ff"),
  );
  fc.assert(
    fc.property(fc.array(unit), fc.array(unit), (left, right) => {
      const [a, b] = [left.join(""), right.join("")];
      assert.equal(
        Math.sign(compareText(a, b)),
        Math.sign(Buffer.compare(Buffer.from(a), Buffer.from(b))),
      );
    }),
  );
  assert.equal(compareText("\u{1f600}", "\ufffd"), 1);
  for (const length of [1, 127, 128, 255, 256, 257, 511, 1000, 100_000]) {
    const start = "s".repeat(length);
    assert.equal(compareText(`${start}\u{1f600}`, `${start}\ufffd`), 1);
    assert.equal(compareText(`${start}a${start}`, `${start}b${start}`), -1);
    assert.equal(compareText(`${start}a`, start), 1);
  }
});

test("quote writes Go's escapes", () => {
  const f = (text: string, want: string): void => assert.equal(quote(text), want);
  f("a", '"a"');
  f('a"b\\c', '"a\\"b\\\\c"');
  f("\n\t\x01\x7f", '"\\n\\t\\x01\\x7f"');
  f("é😀", '"é😀"');
  f("\u2028", '"\\u2028"');
  f("", '""');
});

test("didYouMean suggests only near words", () => {
  const keys = ["scrape_interval", "scrape_timeout", "job_name"];
  assert.equal(didYouMean("scrape_intervall", keys), "scrape_interval");
  assert.equal(didYouMean("jobname", keys), "job_name");
  assert.equal(didYouMean("entirely_other", keys), undefined);
});
