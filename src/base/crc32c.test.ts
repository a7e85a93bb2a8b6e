import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { crc32c, Crc32cWalk } from "./crc32c.ts";
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

test("ranges of walks, in any order and of any size, are as by themselves, whatever is summed between", () => {
  const bytes = Uint8Array.from({ length: 200_000 }, (_, i) => (i * i) >>> 5);
  const size = fc.oneof(fc.nat(400), fc.integer({ min: 65_000, max: 70_000 }));
  const at = fc.oneof(fc.nat(120_000), fc.nat(60_000));
  const ranges = fc.array(fc.tuple(at, size), { minLength: 1, maxLength: 20 });
  const inOnePiece: [number, number][] = [
    [0, 1],
    [1, 160],
    [0, 65_000],
  ];
  const overwritten = inOnePiece.flatMap((range) => [range, range]);
  fc.assert(
    fc.property(ranges, fc.nat(200_000), (list, limit) => {
      const walks = [new Crc32cWalk(bytes, limit), new Crc32cWalk(bytes, 200_000)];
      list.forEach(([at, n], i) =>
        assert.equal(walks[i % 2]!.checksum(at, at + n), crc32c(bytes, at, at + n)),
      );
    }),
    { examples: [[overwritten, 65_000]] },
  );
});
