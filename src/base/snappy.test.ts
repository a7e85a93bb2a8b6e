import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { AppError } from "./errors.ts";
import { crc32c } from "./crc32c.ts";
import {
  compressSnappy,
  compressSnappyFramed,
  decompressSnappy,
  decompressSnappyFramed,
} from "./snappy.ts";

const LIMIT = 1 << 20;
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");

const compressible = fc
  .array(fc.tuple(fc.uint8Array({ maxLength: 20 }), fc.nat({ max: 300 })), { maxLength: 40 })
  .map((runs) =>
    Buffer.concat(runs.flatMap(([bytes, n]) => [bytes, Buffer.alloc(n, bytes[0] ?? 0)])),
  );
const inputs = fc.oneof(fc.uint8Array({ maxLength: 2000 }), compressible);

describe("crc32c", () => {
  it("has the values of RFC 3720, B.4", () => {
    const f = (bytes: Uint8Array, want: number): void => assert.equal(crc32c(bytes), want);
    f(new Uint8Array(32), 0x8a9136aa);
    f(new Uint8Array(32).fill(0xff), 0x62a8ab43);
    f(
      Uint8Array.from({ length: 32 }, (_, i) => i),
      0x46dd794e,
    );
    f(Buffer.from("123456789"), 0xe3069283);
  });
});

describe("snappy", () => {
  it("comes back as it was", () => {
    fc.assert(
      fc.property(inputs, (input) => {
        assert.deepEqual(
          Buffer.from(decompressSnappy(compressSnappy(input), LIMIT)),
          Buffer.from(input),
        );
        assert.deepEqual(
          Buffer.from(decompressSnappyFramed(compressSnappyFramed(input), LIMIT)),
          Buffer.from(input),
        );
      }),
    );
    for (const size of [65_535, 65_536, 65_537, 200_000]) {
      const input = Buffer.from(Array.from({ length: size }, (_, i) => (i * i) >>> 7));
      assert.deepEqual(
        Buffer.from(decompressSnappyFramed(compressSnappyFramed(input), LIMIT)),
        input,
      );
      assert.deepEqual(Buffer.from(decompressSnappy(compressSnappy(input), LIMIT)), input);
    }
  });

  it("gives blocks of their own, larger than what is kept for the next one or not", () => {
    const inputs = [300, 3_000_000, 200].map((size, k) =>
      Buffer.from(Array.from({ length: size }, (_, i) => (i * i) >>> (7 + k))),
    );
    const blocks = inputs.map(compressSnappy);
    for (const [i, block] of blocks.entries())
      assert.ok(inputs[i]!.equals(decompressSnappy(block, 4 << 20)));
  });

  it("reads every kind of element", () => {
    const f = (block: string, want: string): void =>
      assert.equal(Buffer.from(decompressSnappy(hex(block), LIMIT)).toString(), want);
    f("00", "");
    f("03 08 616263", "abc");
    f("03 f002 616263", "abc");
    f("03 f40200 616263", "abc");
    f("09 08 616263 0903", "abcabcabc".slice(0, 9));
    f("09 08 616263 160300", "abcabcabc");
    f("09 08 616263 1703000000", "abcabcabc");
  });

  it("refuses damaged blocks", () => {
    for (const block of [
      "",
      "ff",
      "ffffffffff7f",
      "05 08 616263",
      "03 08 6162",
      "04 0900",
      "04 00 61 0902",
      "02 08 616263",
      "03 f4",
    ])
      assert.throws(() => decompressSnappy(hex(block), LIMIT), { code: "corrupt" }, block);
  });

  it("refuses a large claim before it allocates", () => {
    assert.throws(() => decompressSnappy(hex("ffffffff0f 00"), LIMIT), {
      code: "resource-exhausted",
      message: "cannot decompress snappy data: 4294967295 bytes exceed the limit of 1048576",
    });
    assert.throws(() => decompressSnappy(hex("ffff3f 00 61"), LIMIT), { code: "corrupt" });
  });

  it("writes the framing format", () => {
    // Identifier, then one plain chunk: masked checksum of "abc" and its bytes.
    const framed = Buffer.from(compressSnappyFramed(Buffer.from("abc")));
    assert.equal(framed.subarray(0, 10).toString("latin1"), "\xff\x06\x00\x00sNaPpY");
    assert.deepEqual([...framed.subarray(10, 14)], [1, 7, 0, 0]);
    const crc = crc32c(Buffer.from("abc"));
    assert.equal(framed.readUInt32LE(14), (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0);
  });

  it("reads padding and refuses damaged frames", () => {
    const framed = Buffer.from(compressSnappyFramed(Buffer.alloc(500, "abcd")));
    const padded = Buffer.concat([framed, hex("fe 030000 000000"), hex("81 010000 00")]);
    assert.equal(decompressSnappyFramed(padded, LIMIT).length, 500);
    const changed = (at: number): Buffer => {
      const copy = Buffer.from(framed);
      copy[at]! ^= 1;
      return copy;
    };
    for (const broken of [
      framed.subarray(10),
      framed.subarray(0, -1),
      changed(5),
      changed(14),
      changed(21),
      Buffer.concat([framed, hex("02 000000")]),
    ])
      assert.throws(() => decompressSnappyFramed(broken, LIMIT), { code: "corrupt" });
    assert.throws(() => decompressSnappyFramed(framed, 499), { code: "resource-exhausted" });
  });

  it("never crashes on garbage", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        for (const read of [decompressSnappy, decompressSnappyFramed])
          try {
            read(bytes, LIMIT);
          } catch (error) {
            assert.ok(error instanceof AppError, String(error));
          }
      }),
      { numRuns: 2000 },
    );
  });
});
