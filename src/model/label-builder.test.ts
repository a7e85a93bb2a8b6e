import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compareText } from "../base/text.ts";
import { LabelBuilder } from "./label-builder.ts";
import { Labels } from "./labels.ts";

test("what is merged in one pass is as if set one after the other", () => {
  const name = fc.constantFrom("a", "ab", "b", "__c", "\uffee", "\u{1f41f}", "x");
  const labels = fc.dictionary(name, fc.constantFrom("", "1", "2"));
  fc.assert(
    fc.property(labels, labels, (before, changes) => {
      const base = Labels.fromObject(before);
      const oneByOne = new LabelBuilder(base);
      for (const [changed, value] of Object.entries(changes)) oneByOne.set(changed, value);
      const names = Object.keys(changes).sort(compareText);
      const merged = new LabelBuilder(Labels.fromObject({ left: "over" }));
      merged.resetMerged(base, { names, values: names.map((changed) => changes[changed]!) });
      assert.deepEqual([...merged.labels()], [...oneByOne.labels()]);
    }),
  );
});
