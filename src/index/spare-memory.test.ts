import assert from "node:assert/strict";
import { test } from "node:test";
import { type ByteSource, MemorySource, readGroups } from "./byte-source.ts";
import { forEachRead, withRead } from "./spare-memory.ts";

const source = new MemorySource(
  "x",
  Uint8Array.from({ length: 600_000 }, (_, i) => i % 251),
);

test("what is read is right, however many read at a time, and memory serves again", async () => {
  const rooms = new Set<ArrayBufferLike>();
  for (let round = 0; round < 5; round++)
    await Promise.all(
      [0, 1000, 300_000, 599_000].map((start, i) =>
        withRead(source, { start, end: start + 1000 - i }, async (bytes) => {
          rooms.add(bytes.buffer);
          await Promise.resolve();
          assert.equal(bytes.length, 1000 - i);
          assert.ok(bytes.every((byte, at) => byte === (start + at) % 251));
        }),
      ),
    );
  assert.equal(rooms.size, 4);
});

test("memory that was read into in vain, or is very large, is not kept", async () => {
  const seen: ArrayBufferLike[] = [];
  const range = { start: 0, end: 500_000 };
  const large = new MemorySource("large", new Uint8Array(5 * 1024 * 1024));
  const failing = withRead(source, range, (bytes) => {
    seen.push(bytes.buffer);
    throw new Error("no use");
  });
  await assert.rejects(failing, /no use/);
  await withRead(large, { start: 0, end: large.size }, ({ buffer }) => seen.push(buffer));
  for (const one of [source, large])
    await withRead(one, { start: 0, end: one.size }, ({ buffer }) => {
      assert.ok(!seen.includes(buffer));
    });
});

test("small pieces are read at the same time and used in order", async () => {
  let reading = 0;
  let mostReading = 0;
  const slow: ByteSource = {
    name: source.name,
    size: source.size,
    read: (offset, length) => source.read(offset, length),
    async readInto(target, offset) {
      mostReading = Math.max(mostReading, ++reading);
      await new Promise((resolve) => setImmediate(resolve));
      await source.readInto(target, offset);
      reading--;
    },
    close: async () => {},
  };
  const windows = Array.from({ length: 100 }, (_, i) => ({ start: i * 5000, end: i * 5000 + i }));
  const used: number[] = [];
  await forEachRead(slow, windows, async (bytes, { start, end }) => {
    await Promise.resolve();
    assert.deepEqual(Buffer.from(bytes), Buffer.from(source.read(start, end - start)));
    used.push(start);
  });
  assert.deepEqual(
    used,
    windows.map(({ start }) => start),
  );
  assert.equal(mostReading, 32);
});

test("pieces are read at the same time up to a mebibyte", () => {
  const kib = (...sizes: number[]): number[][] =>
    [...readGroups(sizes.map((size) => ({ start: 7, end: 7 + size * 1024 })))].map((group) => {
      const own = group.windows.map(({ start, end }) => (end - start) / 1024);
      assert.equal(
        group.size / 1024,
        own.reduce((sum, size) => sum + size, 0),
      );
      return own;
    });
  assert.deepEqual(kib(), []);
  assert.deepEqual(kib(1000, 24, 1, 5000, 3, 2), [[1000, 24], [1], [5000], [3, 2]]);
});
