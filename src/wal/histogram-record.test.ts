import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { AppError } from "../base/errors.ts";
import { newHistogram } from "../model/histogram.ts";
import { arbitraryHistogram } from "../model/histogram.fixture.ts";
import {
  decodeHistogramRecord,
  encodeHistogramRecords,
  type LoggedHistogram,
} from "./histogram-record.ts";
import type { RecordBytes } from "./record.ts";
import { RecordGroup } from "./writer.ts";

function recordsOf(samples: readonly LoggedHistogram[]): RecordBytes[] {
  const group = new RecordGroup();
  encodeHistogramRecords(group, samples);
  const bytes = group.buffer.bytes.slice();
  const view = new DataView(bytes.buffer);
  return group.ends.map((end, i) => ({ bytes, view, start: group.ends[i - 1] ?? 0, end }));
}

function decodeAll(records: readonly RecordBytes[]): LoggedHistogram[] {
  const found: LoggedHistogram[] = [];
  for (const record of records) decodeHistogramRecord(record, (sample) => found.push(sample));
  return found;
}

const sample = fc
  .record({
    ref: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
    timeMs: fc.integer({ min: -(2 ** 45), max: 2 ** 45 }),
    kind: fc.constantFrom("integer" as const, "float" as const),
    custom: fc.boolean(),
  })
  .chain(({ custom, ...rest }) =>
    arbitraryHistogram({ custom, fractions: rest.kind === "float" }).map((histogram) => ({
      ...rest,
      histogram,
    })),
  );
const samples = fc.array(sample, { minLength: 1, maxLength: 8 });
const order = (a: LoggedHistogram, b: LoggedHistogram): number => a.ref - b.ref;

test("histograms come back from their records", () => {
  fc.assert(
    fc.property(samples, (wanted) => {
      const unique = [...new Map(wanted.map((one) => [one.ref, one])).values()];
      assert.deepEqual(decodeAll(recordsOf(unique)).sort(order), unique.sort(order));
    }),
  );
});

test("damaged records are corrupt, and nothing worse", () => {
  let corruptCount = 0;
  fc.assert(
    fc.property(samples, fc.nat(), fc.integer({ min: 1, max: 255 }), (wanted, place, mask) => {
      const [record] = recordsOf(wanted);
      const at = record!.start + 1 + (place % (record!.end - record!.start - 1));
      record!.bytes[at]! ^= mask;
      for (const damaged of [record!, { ...record!, end: at }])
        try {
          decodeAll([damaged]);
        } catch (error) {
          assert.ok(error instanceof AppError && error.code === "corrupt", String(error));
          corruptCount++;
        }
    }),
  );
  assert.ok(corruptCount > 50);
});

test("a histogram of a schema that nobody knows is passed over", () => {
  const one = (schema: number): LoggedHistogram => ({
    ref: 1,
    timeMs: 1,
    kind: "float",
    histogram: newHistogram({ schema }),
  });
  const found = decodeAll(recordsOf([one(0), one(99), one(1)]));
  assert.deepEqual(
    found.map(({ histogram }) => histogram.schema),
    [0, 1],
  );
});
