import assert from "node:assert/strict";
import { test } from "node:test";
import { pick, randomInt, seededRandom } from "../../base/random.ts";
import { Labels } from "../../model/labels.ts";
import { ABSENT, emptyRow, FLOAT } from "./row.ts";
import { StepHeaps } from "./step-heaps.ts";

/** In place of a value that a row does not have. */
const GONE = 1234;

test("each step keeps its largest values, NaN the least of all, and tells where they came from", () => {
  const random = seededRandom(3);
  const values = [NaN, -Infinity, -2, -0, 0, 1.5, 7, Infinity];
  for (let round = 0; round < 200; round++) {
    const limits = Int32Array.from({ length: 4 }, () => randomInt(random, 9));
    const rows = Array.from({ length: randomInt(random, 30) }, () =>
      Array.from(limits, () => pick(random, values)),
    );
    const heaps = new StepHeaps(limits);
    for (const [i, columns] of rows.entries()) {
      const row = emptyRow(Labels.EMPTY, limits.length);
      row.values.set(columns.map((value) => -value));
      row.present.fill(FLOAT);
      // What is not there counts for nothing, whatever stands in its place.
      const gap = randomInt(random, limits.length);
      row.values[gap] = -8;
      row.present[gap] = ABSENT;
      columns[gap] = GONE;
      const isKept = heaps.offerRow(row, -1, i);
      assert.equal(
        isKept,
        Array.from(limits).some((_, k) => heaps.best(k).some((one) => one.row === i)),
      );
    }
    for (const [step, limit] of limits.entries()) {
      const best = heaps.best(step);
      const wanted = rows
        .map((columns) => columns[step]!)
        .filter((value) => value !== GONE)
        .sort((a, b) => (b !== b ? -1 : a !== a ? 1 : b - a))
        .slice(0, limit);
      // Which zero comes first is a matter of arrival.
      assert.deepEqual(
        best.map(({ value }) => value + 0),
        wanted.map((value) => value + 0),
      );
      for (const { value, row } of best) assert.ok(Object.is(rows[row]![step], value));
      assert.equal(new Set(best.map(({ row }) => row)).size, best.length);
    }
    assert.ok(heaps.room >= Math.max(...Array.from(limits, (_, k) => heaps.best(k).length)));
  }
});
