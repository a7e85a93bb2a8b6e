import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { temporaryFolder } from "../../test/support/processes.ts";
import { systemClock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { decodeSamples, encodeSamples, SampleColumns } from "../wal/record.ts";
import { segmentName } from "../wal/segment.ts";
import { RecordGroup, WalWriter } from "../wal/writer.ts";
import { WalTail } from "./wal-tail.ts";

/** One record of `count` samples whose values count on from `first`. */
function recordOf(first: number, count: number): RecordGroup {
  const group = new RecordGroup();
  const columns = {
    refs: new Int32Array(count).fill(1),
    times: Float64Array.from({ length: count }, (_, i) => first + i),
    values: Float64Array.from({ length: count }, (_, i) => first + i),
  };
  encodeSamples(group.buffer, columns, {
    indices: Uint32Array.from({ length: count }, (_, i) => i),
    count,
  });
  group.end();
  return group;
}

async function withTail(
  act: (parts: {
    writer: WalWriter;
    tail: WalTail;
    values: number[];
    folder: string;
  }) => Promise<void>,
): Promise<void> {
  const folder = temporaryFolder("tail");
  const writer = await WalWriter.open({ folder, segmentBytes: 1 << 20, compression: "none" });
  const values: number[] = [];
  const columns = new SampleColumns();
  const tail = new WalTail({
    folder,
    end: () => ({ segment: writer.segmentIndex, size: writer.segmentSize }),
    clock: systemClock,
    logger: silentLogger,
    onRecord(record) {
      decodeSamples(record, columns);
      values.push(...columns.values.subarray(0, columns.count));
    },
  });
  try {
    await tail.begin(-1);
    await act({ writer, tail, values, folder });
  } finally {
    await writer.close();
  }
}

const { signal } = new AbortController();

test("follows the writer through small and large records and over segments", async () => {
  await withTail(async ({ writer, tail, values }) => {
    let written = 0;
    // Records of more than a page, more than a step, and such that end right before a page does.
    for (const count of [1, 3, 3000, 40_000, 1, 2727, 1, 30_000, 7, 40_000, 1]) {
      await writer.write(recordOf(written, count));
      written += count;
      for (let steps = 0; values.length < written; steps++) {
        assert.ok(steps < 20, `it stops at ${values.length} of ${written}`);
        await tail.step(signal);
      }
    }
    assert.ok(writer.segmentIndex > 0);
    assert.deepEqual(
      values,
      Array.from({ length: written }, (_, i) => i),
    );
  });
});

test("a segment that is gone is passed over", async () => {
  await withTail(async ({ writer, tail, values, folder }) => {
    await writer.write(recordOf(0, 10));
    await writer.nextSegment();
    await writer.write(recordOf(100, 2));
    await rm(join(folder, segmentName(0)));
    while (values.length < 2) await tail.step(signal);
    assert.deepEqual(values, [100, 101]);
  });
});

test("waits for more, and ends when told to", async () => {
  await withTail(async ({ tail }) => {
    const abort = new AbortController();
    const step = tail.step(abort.signal);
    abort.abort();
    await assert.rejects(step, { name: "AbortError" });
  });
});
