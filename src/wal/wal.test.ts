import assert from "node:assert/strict";
import { type FileHandle, mkdtemp, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, mock, test } from "node:test";
import fc from "fast-check";
import { sharedPath, skipWithout } from "../../test/shared-data.ts";
import { crc32c } from "../base/crc32c.ts";
import { Labels } from "../model/labels.ts";
import { ByteBuffer } from "./byte-buffer.ts";
import { rewriteDamagedSegment, writeCheckpoint } from "./checkpoint.ts";
import { readSegment, type SegmentReport } from "./reader.ts";
import {
  decodeSamples,
  decodeSeries,
  encodeSamples,
  encodeSeries,
  RECORD_SAMPLES,
  RECORD_SERIES,
  type RecordBytes,
  SampleColumns,
} from "./record.ts";
import { listCheckpoints, listSegments, PAGE_BYTES } from "./segment.ts";
import { decompressSnappy } from "../base/snappy.ts";
import { RecordGroup, type WalCompression, WalWriter } from "./writer.ts";

const root = await mkdtemp(join(tmpdir(), "wal-test-"));
after(() => rm(root, { recursive: true, force: true }));
let folderCount = 0;
const newFolder = (): string => join(root, String(folderCount++));

function groupOf(records: readonly Uint8Array[]): RecordGroup {
  const group = new RecordGroup();
  for (const record of records) {
    group.buffer.putBytes(record);
    group.end();
  }
  return group;
}

/** A record that no decoder knows, with its number inside. */
function filler(number: number, size: number): Uint8Array {
  const bytes = Uint8Array.from({ length: size }, (_, i) => (number * 31 + i * 7) & 255);
  bytes[0] = 200;
  return bytes;
}

async function readAll(
  folder: string,
): Promise<{ records: Uint8Array[]; reports: SegmentReport[] }> {
  const records: Uint8Array[] = [];
  const reports: SegmentReport[] = [];
  for (const file of await listSegments(folder))
    reports.push(await readSegment(file.path, (record) => records.push(copyOf(record))));
  return { records, reports };
}

function copyOf(record: RecordBytes): Uint8Array {
  return Uint8Array.from(record.bytes.subarray(record.start, record.end));
}

async function write(
  folder: string,
  groups: readonly (readonly Uint8Array[])[],
  options: { segmentBytes?: number; compression?: WalCompression } = {},
): Promise<void> {
  const writer = await WalWriter.open({
    folder,
    segmentBytes: options.segmentBytes ?? 4 * PAGE_BYTES,
    compression: options.compression ?? "none",
  });
  for (const records of groups) await writer.write(groupOf(records));
  await writer.close();
}

test("records of any size come back, over pages and segments", async () => {
  const size = fc.oneof(
    fc.integer({ min: 1, max: 100 }),
    fc.integer({ min: PAGE_BYTES - 40, max: PAGE_BYTES + 10 }),
    fc.integer({ min: 1, max: 3 * PAGE_BYTES }),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(size, { minLength: 1, maxLength: 8 }), { minLength: 1, maxLength: 6 }),
      fc.constantFrom<WalCompression>("none", "zstd"),
      async (groups, compression) => {
        const folder = newFolder();
        let number = 0;
        const written = groups.map((sizes) => sizes.map((bytes) => filler(number++, bytes)));
        await write(folder, written, { compression });
        const { records, reports } = await readAll(folder);
        assert.deepEqual(records, written.flat());
        for (const report of reports) {
          assert.deepEqual(report.damages, []);
          assert.ok(report.size <= 4 * PAGE_BYTES && report.size % PAGE_BYTES === 0);
        }
      },
    ),
    { numRuns: 40 },
  );
});

test("each opening starts a segment after the last one", async () => {
  const folder = newFolder();
  await write(folder, [[filler(1, 10)]]);
  await write(folder, []);
  await write(folder, [[filler(2, 10)]]);
  assert.deepEqual(
    (await listSegments(folder)).map((file) => file.index),
    [0, 1],
  );
  await assert.rejects(WalWriter.open({ folder, segmentBytes: 1000, compression: "none" }), {
    code: "bad-data",
  });
});

test("a file cut anywhere gives the records before the cut", async () => {
  const folder = newFolder();
  const written = [20, 3000, PAGE_BYTES, 5, 40_000, 60].map((size, i) => filler(i, size));
  await write(folder, [written], { segmentBytes: 16 * PAGE_BYTES });
  const whole = await readFile(join(folder, "00000000"));
  const path = join(root, "cut");
  for (let size = 0; size < whole.length; size += 997) {
    await writeFile(path, whole.subarray(0, size));
    const records: Uint8Array[] = [];
    const report = await readSegment(path, (record) => records.push(copyOf(record)));
    assert.deepEqual(records, written.slice(0, records.length));
    for (const damage of report.damages) assert.equal(damage.recordsAfter, 0);
    // Cut at `goodSize`, the file is clean and has the same records.
    await writeFile(path, whole.subarray(0, report.goodSize));
    const again = await readSegment(path, () => {});
    assert.deepEqual([again.damages.length, again.recordCount], [0, records.length]);
  }
});

test("a flipped bit costs the rest of its page at most, mostly one record, and is always noticed", async () => {
  const folder = newFolder();
  const written = Array.from({ length: 400 }, (_, i) => filler(i, 700));
  await write(folder, [written], { segmentBytes: 16 * PAGE_BYTES });
  const whole = await readFile(join(folder, "00000000"));
  const path = join(root, "flipped");
  const texts = new Set(written.map((record) => Buffer.from(record).toString("hex")));
  const losses: number[] = [];
  for (let bit = 0; bit < 280_000 * 8; bit += 28_041) {
    const bytes = Buffer.from(whole);
    bytes[bit >> 3]! ^= 1 << (bit & 7);
    await writeFile(path, bytes);
    let count = 0;
    const report = await readSegment(path, (record) => {
      assert.ok(texts.has(Buffer.from(copyOf(record)).toString("hex")), "a wrong record");
      count++;
    });
    assert.ok(report.damages.length > 0 && count < written.length, `bit ${bit}`);
    losses.push(written.length - count);
  }
  losses.sort((a, b) => a - b);
  assert.ok(losses.at(-1)! <= 49, `${losses.at(-1)} records lost`);
  assert.equal(losses[Math.floor(losses.length * 0.9)], 1);
});

test("a damaged segment is written anew without its damage", async () => {
  const folder = newFolder();
  const written = Array.from({ length: 400 }, (_, i) => filler(i, 700));
  await write(folder, [written], { segmentBytes: 16 * PAGE_BYTES });
  const path = join(folder, "00000000");
  const bytes = await readFile(path);
  bytes[100_000]! ^= 4;
  await writeFile(path, bytes);
  const quarantine = join(folder, "aside");
  const options = { quarantine, nowMs: 77 };
  const { keptAs } = await rewriteDamagedSegment({ index: 0, path }, options);
  assert.equal(keptAs, join(quarantine, "wal-00000000-77"));
  assert.deepEqual(await readFile(keptAs), bytes);
  const { records, reports } = await readAll(folder);
  assert.deepEqual(reports[0]!.damages, []);
  assert.ok(records.length >= 350);
});

/** From now on every second write to any file takes 50 bytes, and the others find the disk full; undo with the result. */
async function fillDisk(anyFile: string): Promise<() => void> {
  const handle = await open(anyFile, "r");
  const prototype = Object.getPrototypeOf(handle) as FileHandle;
  await handle.close();
  const real: unknown = Reflect.get(prototype, "write");
  assert.ok(typeof real === "function");
  let calls = 0;
  const mocked = mock.method(prototype, "write", function (this: FileHandle, ...args: unknown[]) {
    if (calls++ % 2 === 0) return Reflect.apply(real, this, [args[0], args[1], 50, args[3]]);
    const error = new Error("ENOSPC: no space left on device, write");
    return Promise.reject(Object.assign(error, { code: "ENOSPC" }));
  });
  return () => mocked.mock.restore();
}

test("a full disk rejects the write and leaves the log as it was", async () => {
  const folder = newFolder();
  const writer = await WalWriter.open({
    folder,
    segmentBytes: 4 * PAGE_BYTES,
    compression: "none",
  });
  await writer.write(groupOf([filler(1, 100)]));
  const restore = await fillDisk(join(folder, "00000000"));
  for (let i = 0; i < 3; i++)
    await assert.rejects(writer.write(groupOf([filler(2, 60_000)])), {
      code: "resource-exhausted",
      message: "cannot write WAL: the disk is full (ENOSPC)",
    });
  restore();
  await writer.write(groupOf([filler(3, 60_000)]));
  await writer.close();
  const { records, reports } = await readAll(folder);
  assert.deepEqual(records, [filler(1, 100), filler(3, 60_000)]);
  assert.deepEqual(
    reports.flatMap((report) => report.damages),
    [],
  );
});

test("snappy blocks and records", async () => {
  const text = Buffer.from("abcabcabcabcabcabc, and a literal");
  // A literal of 3, a copy of 15 at offset 3 that overlaps itself, a literal of 15.
  const block = Buffer.concat([
    Buffer.from([text.length, (3 - 1) << 2]),
    Buffer.from("abc"),
    Buffer.from([((15 - 1) << 2) | 2, 3, 0, (15 - 1) << 2]),
    text.subarray(18),
  ]);
  assert.deepEqual(Buffer.from(decompressSnappy(block, 100)), text);
  assert.throws(() => decompressSnappy(block, 10), { code: "resource-exhausted" });
  for (let size = 0; size < block.length; size++)
    assert.throws(() => decompressSnappy(block.subarray(0, size), 100), { code: "corrupt" });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        decompressSnappy(bytes, 1000);
      } catch (error) {
        assert.match(
          String(error instanceof Error && "code" in error && error.code),
          /^(corrupt|resource-exhausted)$/,
        );
      }
    }),
  );
  const head = Buffer.alloc(7);
  head[0] = 1 | 8;
  head.writeUInt16BE(block.length, 1);
  head.writeUInt32BE(crc32c(block), 3);
  const path = join(root, "snappy");
  await writeFile(path, Buffer.concat([head, block]));
  const records: Uint8Array[] = [];
  await readSegment(path, (record) => records.push(copyOf(record)));
  assert.deepEqual(records, [new Uint8Array(text)]);
});

const golden = "golden/wal/00000000";

test(
  "a real Prometheus's records decode and encode to the same bytes",
  { skip: skipWithout(golden) },
  async () => {
    let series = 0;
    let samples = 0;
    const report = await readSegment(sharedPath(golden)!, (record) => {
      const out = new ByteBuffer();
      if (record.bytes[record.start] === RECORD_SERIES) {
        const known = new Map<number, Labels>();
        decodeSeries(record, (ref, flat) => known.set(ref, Labels.fromSorted(flat)));
        encodeSeries(out, [...known.keys()], (ref) => known.get(ref)!);
        series += known.size;
      } else if (record.bytes[record.start] === RECORD_SAMPLES) {
        const columns = new SampleColumns();
        decodeSamples(record, columns);
        const indices = Uint32Array.from({ length: columns.count }, (_, i) => i);
        const refs = Int32Array.from(columns.refs);
        const { times, values, count } = columns;
        encodeSamples(out, { refs, times, values }, { indices, count });
        samples += columns.count;
      } else return;
      assert.deepEqual(out.bytes.slice(0, out.length), copyOf(record));
    });
    assert.deepEqual(report.damages, []);
    assert.deepEqual([series, samples], [12, 649]);
  },
);

test("malformed records are refused", () => {
  const out = new ByteBuffer();
  encodeSeries(out, [1, 2], () => Labels.fromObject({ __name__: "a", b: "ü" }));
  const recordOf = (size: number): RecordBytes => ({
    bytes: out.bytes,
    view: out.view,
    start: 0,
    end: size,
  });
  let complete = 0;
  for (let size = 1; size <= out.length; size++)
    try {
      decodeSeries(recordOf(size), () => {});
      complete++;
    } catch (error) {
      assert.match(
        String(error instanceof Error && "code" in error && error.code),
        /^(corrupt|resource-exhausted)$/,
      );
    }
  // Only the bare type, one series and both series are complete.
  assert.equal(complete, 3);
  const columns = new SampleColumns();
  out.clear();
  encodeSamples(
    out,
    { refs: Int32Array.of(5), times: Float64Array.of(-1), values: Float64Array.of(2) },
    { indices: Uint32Array.of(0), count: 1 },
  );
  for (let size = 2; size < out.length; size++)
    if (size !== 17)
      assert.throws(() => decodeSamples(recordOf(size), columns), { code: "corrupt" });
  decodeSamples(recordOf(out.length), columns);
  assert.deepEqual([columns.count, columns.refs[0], columns.times[0]], [1, 5, -1]);
});

test("a checkpoint keeps what the filter keeps and replaces its segments", async () => {
  const folder = newFolder();
  const writer = await WalWriter.open({
    folder,
    segmentBytes: 4 * PAGE_BYTES,
    compression: "none",
  });
  const group = new RecordGroup();
  for (let segment = 0; segment < 4; segment++) {
    group.clear();
    encodeSeries(group.buffer, [segment * 2 + 1, segment * 2 + 2], (ref) =>
      Labels.fromObject({ __name__: `m${ref}` }),
    );
    group.end();
    encodeSamples(
      group.buffer,
      {
        refs: Int32Array.of(segment * 2 + 1, segment * 2 + 2),
        times: Float64Array.of(segment * 10, segment * 10 + 5),
        values: Float64Array.of(1, 2),
      },
      { indices: Uint32Array.of(0, 1), count: 2 },
    );
    group.end();
    group.buffer.putBytes(filler(segment, 20));
    group.end();
    await writer.write(group);
    await writer.nextSegment();
  }
  await writer.close();
  const segmentBytes = 4 * PAGE_BYTES;
  // Ref 1 is gone, ref 4 is written as 2.
  const mapRef = (ref: number): number => (ref === 1 ? -1 : ref === 4 ? 2 : ref);
  const filter = { mapRef, minTimeMs: 10, minDeletedTimeMs: 5 };
  await writeCheckpoint(folder, 0, { ...filter, segmentBytes });
  await writeCheckpoint(folder, 1, { ...filter, segmentBytes });
  assert.deepEqual(
    (await listSegments(folder)).map((file) => file.index),
    [2, 3],
  );
  const checkpoints = await listCheckpoints(folder);
  assert.deepEqual(
    checkpoints.map((file) => file.index),
    [1],
  );
  const series: string[] = [];
  const samples: [number, number][] = [];
  let others = 0;
  for (const file of await listSegments(checkpoints[0]!.path))
    await readSegment(file.path, (record) => {
      const columns = new SampleColumns();
      if (record.bytes[record.start] === RECORD_SERIES)
        decodeSeries(record, (ref, flat) => series.push(`${ref} ${flat.join("=")}`));
      else if (record.bytes[record.start] === RECORD_SAMPLES) {
        decodeSamples(record, columns);
        for (let i = 0; i < columns.count; i++) samples.push([columns.refs[i]!, columns.times[i]!]);
      } else others++;
    });
  assert.deepEqual(series, ["2 __name__=m2", "3 __name__=m3"]);
  assert.deepEqual(samples, [
    [3, 10],
    [2, 15],
  ]);
  assert.equal(others, 2);
  assert.equal((await stat(folder)).isDirectory(), true);
});
