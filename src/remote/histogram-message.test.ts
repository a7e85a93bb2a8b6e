import assert from "node:assert/strict";
import { test } from "node:test";
import { ProtoReader, ProtoWriter } from "../proto/wire.ts";
import { readHistogram } from "./histogram-message.ts";

/** Deltas 5, -3, 2 of field `field`: packed, one by one, or in two packed parts. `ProtoWriter` writes from the end. */
const DELTAS: Record<string, (writer: ProtoWriter, field: number) => void> = {
  packed: (writer, field) => packDeltas(writer, field, [4, 5, 10]),
  "one by one": (writer, field) => {
    for (const zigzag of [4, 5, 10]) {
      writer.varint(zigzag);
      writer.varint(field << 3);
    }
  },
  "in two parts": (writer, field) => {
    packDeltas(writer, field, [4]);
    packDeltas(writer, field, [5, 10]);
  },
};

function packDeltas(writer: ProtoWriter, field: number, zigzags: readonly number[]): void {
  const before = writer.size;
  for (const zigzag of zigzags) writer.varint(zigzag);
  writer.message(field, before);
}

for (const [name, writeDeltas] of Object.entries(DELTAS))
  test(`bucket deltas ${name}`, () => {
    const writer = new ProtoWriter();
    writeDeltas(writer, 12);
    writeDeltas(writer, 9);
    writer.varint(13);
    writer.varint(1 << 3);
    const { histogram, isFloat } = readHistogram(new ProtoReader(writer.finish()));
    assert.equal(isFloat, false);
    assert.deepEqual(histogram.positiveBuckets, Float64Array.of(5, 2, 4));
    assert.deepEqual(histogram.negativeBuckets, Float64Array.of(5, 2, 4));
  });

test("counts and bounds one by one", () => {
  const writer = new ProtoWriter();
  for (const field of [16, 13, 10])
    for (const value of [2.5, 1.5, 0.5]) writer.double(field, value);
  writer.double(2, 9);
  const { histogram, isFloat } = readHistogram(new ProtoReader(writer.finish()));
  assert.equal(isFloat, true);
  const wanted = Float64Array.of(0.5, 1.5, 2.5);
  assert.deepEqual(histogram.positiveBuckets, wanted);
  assert.deepEqual(histogram.negativeBuckets, wanted);
  assert.deepEqual(histogram.customValues, wanted);
});

test("a packed list of doubles that is cut off is refused", () => {
  const writer = new ProtoWriter();
  writer.bytes(13, new Uint8Array(12));
  assert.throws(() => readHistogram(new ProtoReader(writer.finish())), /cut off/);
});
