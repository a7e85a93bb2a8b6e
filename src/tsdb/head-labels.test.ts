import assert from "node:assert/strict";
import { test } from "node:test";
import { compareLabels, Labels } from "../model/labels.ts";
import { HeadLabels } from "./head-labels.ts";
import { CHUNK_RANGE_MS, HeadStore } from "./head-store.ts";

const ALL: readonly Record<string, string>[] = [
  { __name__: "up", job: "a", instance: "host-1" },
  { __name__: "up", job: "b", instance: "host-1" },
  { __name__: "up", job: "b", instance: "hôst", "\u{1F600}": "x" },
  { __name__: "up", pod: "p".repeat(300) },
];

test("labels of a head's series are what they were made of, in every way to ask", () => {
  const store = new HeadStore({ chunkSamples: 120, chunkRangeMs: CHUNK_RANGE_MS });
  const refs = ALL.map((pairs) => store.resolve(Labels.fromObject(pairs)).ref);
  const head = new HeadLabels(store.postings);
  const labelsOf = (ref: number): Labels => {
    const page = store.series.pageOf(ref)!;
    const { start, count } = store.series.pairRange(page, ref);
    return head.of(page.pairs, start, start + count);
  };
  for (const [i, ref] of refs.entries()) {
    const wanted = Labels.fromObject(ALL[i]!);
    const names = [...wanted].map(([name]) => name);
    for (const name of [...names, "absent", "job"])
      assert.equal(labelsOf(ref).get(name), wanted.get(name), name);
    assert.deepEqual([...labelsOf(ref)], [...wanted]);
    assert.equal(labelsOf(ref).key(), wanted.key());
    assert.equal(labelsOf(ref).count, names.length);
    assert.deepEqual([...labelsOf(ref).only(["job"])], [...wanted.only(["job"])]);
    assert.deepEqual([...labelsOf(ref).without(["job"])], [...wanted.without(["job"])]);
    const isAscii = i !== 2;
    const packed = labelsOf(ref);
    assert.equal(packed.packed !== undefined, isAscii);
    assert.deepEqual([...packed], [...wanted]);
    // One answer does not spoil the next.
    const one = labelsOf(ref);
    assert.equal(one.get("job"), wanted.get("job"));
    assert.equal(one.packed !== undefined, isAscii);
    assert.equal(one.get("__name__"), "up");
    assert.equal(compareLabels(one, wanted), 0);
  }
});

test("an index that is compacted changes no labels that were given out", () => {
  const store = new HeadStore({ chunkSamples: 120, chunkRangeMs: CHUNK_RANGE_MS });
  const gone = store.resolve(Labels.fromObject({ __name__: "gone", job: "z" })).ref;
  const ref = store.resolve(Labels.fromObject({ __name__: "up", job: "a" })).ref;
  const page = store.series.pageOf(ref)!;
  const { start, count } = store.series.pairRange(page, ref);
  const labels = new HeadLabels(store.postings).of(page.pairs, start, start + count);
  store.series.remove(Int32Array.of(gone));
  const { postings, pairs } = store.postings.compacted();
  store.series.renumber(postings, pairs);
  assert.deepEqual(
    [...labels],
    [
      ["__name__", "up"],
      ["job", "a"],
    ],
  );
});
