import assert from "node:assert/strict";
import { test } from "node:test";
import { MemorySource } from "./byte-source.ts";
import { withRead } from "./spare-memory.ts";

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
