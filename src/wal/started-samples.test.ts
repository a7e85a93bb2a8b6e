import assert from "node:assert/strict";
import { test } from "node:test";
import { bitsOf, bytesOf, GOLDEN } from "../chunk/testdata/start-times.ts";
import {
  decodeHistogramRecord,
  isHistogramRecord,
  type LoggedHistogram,
} from "./histogram-record.ts";
import { decodeSamples, isSamplesRecord, type RecordBytes, SampleColumns } from "./record.ts";

function recordOf(bytes: Uint8Array<ArrayBuffer>): RecordBytes {
  return { bytes, view: new DataView(bytes.buffer), start: 0, end: bytes.length };
}

for (const golden of GOLDEN.records)
  test(`floats with start times: ${golden.name}`, () => {
    const record = recordOf(bytesOf(golden));
    assert.ok(isSamplesRecord(record.bytes[0]!));
    const columns = new SampleColumns();
    decodeSamples(record, columns);
    const { count } = columns;
    assert.deepEqual([...columns.refs.subarray(0, count)], golden.refs);
    assert.deepEqual([...columns.times.subarray(0, count)], golden.times);
    assert.deepEqual(bitsOf(columns.values.subarray(0, count)), golden.bits);
    const cut = { ...record, end: record.end - 1 };
    assert.throws(() => decodeSamples(cut, columns), /cannot decode WAL record/);
  });

for (const golden of GOLDEN.histograms)
  test(`histograms with start times: ${golden.name}`, () => {
    const record = recordOf(bytesOf(golden));
    assert.ok(isHistogramRecord(record.bytes[0]!));
    const read: LoggedHistogram[] = [];
    decodeHistogramRecord(record, (sample) => read.push(sample));
    assert.deepEqual(
      read.map(({ ref }) => ref),
      golden.refs,
    );
    assert.deepEqual(
      read.map(({ timeMs }) => timeMs),
      golden.times,
    );
    assert.deepEqual(
      read.map(({ histogram }) => histogram.sum),
      golden.sums,
    );
    assert.deepEqual(
      read.map(({ histogram }) => histogram.schema),
      golden.schemas,
    );
    assert.deepEqual(
      read.map(({ histogram }) => histogram.positiveBuckets.at(-1)),
      golden.lastBuckets,
    );
    const cut = { ...record, end: record.end - 1 };
    assert.throws(() => decodeHistogramRecord(cut, () => {}), /cannot decode WAL record/);
  });
