import fc from "fast-check";

const number = fc.oneof(fc.double().map(String), fc.integer().map(String), fc.constant("0.25"));

/** Few words, as labels and punctuation are, between numbers and anything else. */
const words = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: number },
    { weight: 4, arbitrary: fc.constantFrom('"],[1700000000,"', '"},"metric":{"job":"', '":"') },
    { weight: 2, arbitrary: fc.string({ unit: "binary", maxLength: 40 }) },
    { weight: 1, arbitrary: fc.nat(700).map((count) => "0".repeat(count)) },
  ),
  { maxLength: 200, size: "max" },
);

/** Bytes of which each is half as frequent as the one before: their codes are as long as may be. */
const skewed = fc
  .array(fc.nat(0xffff_ffff), { maxLength: 2000, size: "max" })
  .map((draws) => Buffer.from(draws.map((draw) => 97 + Math.clz32(draw))));

const piece = fc.oneof(
  words.map((texts) => Buffer.from(texts.join(""))),
  skewed,
  fc.uint8Array({ maxLength: 3000, size: "max" }).map((bytes) => Buffer.from(bytes)),
);

/** Pieces of a stream of bytes. */
export const anyPieces = fc.array(piece, { maxLength: 4 });
