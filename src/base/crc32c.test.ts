import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { crc32c, firstWrong } from "./crc32c.ts";
import { CRC32C_SOURCE_SHA256 } from "./crc32c.gen.ts";
import { isCompiled } from "./testdata/compile-kernel.ts";
import { CRC32C } from "./testdata/crc32c-kernel.ts";

test("the module was made from the source beside it", async () => {
  const sha256 = CRC32C_SOURCE_SHA256;
  if (await isCompiled(CRC32C, { sha256, writer: "crc32c.test.ts" })) return;
  assert.fail("crc32c.gen.ts was out of date and has been written anew: look at it, run again");
});

/** By the definition, a bit at a time. */
function slowly(bytes: Uint8Array): number {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  }
  return ~crc >>> 0;
}

test("known checksums", () => {
  assert.equal(crc32c(Buffer.from("123456789")), 0xe3069283);
  // RFC 3720, section B.4.
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(255)), 0x62a8ab43);
});

test("any range, in one piece or continued, is as the definition has it", () => {
  const bytes = new Uint8Array(200_000);
  for (let i = 0, state = 1; i < bytes.length; i++) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
    bytes[i] = state >>> 24;
  }
  const size = fc.oneof(fc.nat(400), fc.integer({ min: 65_000, max: 140_000 }));
  fc.assert(
    fc.property(fc.nat(50_000), size, fc.double({ min: 0, max: 1, noNaN: true }), (at, n, part) => {
      const end = at + n;
      const middle = at + Math.floor(n * part);
      const wanted = slowly(bytes.subarray(at, end));
      assert.equal(crc32c(bytes, at, end), wanted);
      assert.equal(crc32c(bytes, middle, end, crc32c(bytes, at, middle)), wanted);
    }),
  );
});

test("the first wrong record is found, whatever their sizes, distances and order are", () => {
  const bodySize = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 1, max: 40 }) },
    { weight: 8, arbitrary: fc.integer({ min: 41, max: 1100 }) },
    fc.integer({ min: 60_000, max: 70_000 }),
  );
  const gap = fc.oneof({ weight: 9, arbitrary: fc.nat(20) }, fc.nat(2000));
  const record = fc.record({ bodySize, gap, wrongBit: fc.option(fc.nat(), { freq: 6 }) });
  const list = fc.array(record, { minLength: 1, maxLength: 60, size: "max" });
  fc.assert(
    fc.property(list, fc.boolean(), fc.nat(), (records, isReversed, seed) => {
      const size = records.reduce((sum, { bodySize, gap }) => sum + gap + bodySize + 4, 0);
      const bytes = Uint8Array.from({ length: size }, (_, i) => Math.imul(i + seed, i) >>> 5);
      const places: { start: number; end: number; isWrong: boolean }[] = [];
      let at = 0;
      for (const { bodySize, gap, wrongBit } of records) {
        const start = at + gap;
        const end = start + bodySize + 4;
        new DataView(bytes.buffer).setUint32(end - 4, slowly(bytes.subarray(start, end - 4)));
        const bit = wrongBit === null ? undefined : wrongBit % ((bodySize + 4) * 8);
        if (bit !== undefined) bytes[start + (bit >>> 3)]! ^= 1 << (bit & 7);
        places.push({ start, end, isWrong: bit !== undefined });
        at = end;
      }
      if (isReversed) places.reverse();
      const starts = Uint32Array.from(places, ({ start }) => start);
      const ends = Uint32Array.from(places, ({ end }) => end);
      const wrong: number[] = [];
      for (let from = 0; from < places.length;) {
        const found = firstWrong({ bytes, starts, ends }, { from, to: places.length });
        if (found < places.length) wrong.push(found);
        from = found + 1;
      }
      assert.deepEqual(
        wrong,
        places.flatMap(({ isWrong }, i) => (isWrong ? [i] : [])),
      );
    }),
  );
});
