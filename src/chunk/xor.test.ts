import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import fc from "fast-check";
import { sharedPath, skipWithout } from "../../test/shared-data.ts";
import { crc32c } from "../base/crc32c.ts";
import { decodeXor, xorSampleCount } from "./xor.ts";
import { encodeXor } from "./xor-encode.ts";

const golden = "golden/block-01M7XGBQ4WVPNEYM4RR5MTCJ96/chunks/000001";

/** The XOR chunks of a chunk segment file. */
function readSegment(bytes: Buffer): Uint8Array[] {
  assert.equal(bytes.readUInt32BE(0), 0x85bd40dd);
  const chunks: Uint8Array[] = [];
  let at = 8;
  while (at < bytes.length) {
    let length = 0;
    let shift = 0;
    let byte = 0;
    do {
      byte = bytes[at++]!;
      length |= (byte & 127) << shift;
      shift += 7;
    } while (byte >= 128);
    assert.equal(
      crc32c(bytes, at, at + 1 + length),
      bytes.readUInt32BE(at + 1 + length),
      "the chunk's checksum",
    );
    if (bytes[at] === 1) chunks.push(new Uint8Array(bytes.subarray(at + 1, at + 1 + length)));
    at += 1 + length + 4;
  }
  return chunks;
}

function decode(data: Uint8Array): { times: Float64Array; values: Float64Array } {
  const count = xorSampleCount(data);
  const columns = { times: new Float64Array(count), values: new Float64Array(count) };
  assert.equal(decodeXor(data, { ...columns, offset: 0 }), count);
  return columns;
}

function bitsOf(values: Float64Array): string[] {
  return Array.from(new BigUint64Array(values.buffer, values.byteOffset, values.length), (word) =>
    word.toString(16),
  );
}

test(
  "chunks of a real block decode, and encode to the same bytes",
  { skip: skipWithout(golden) },
  () => {
    const chunks = readSegment(readFileSync(sharedPath(golden)!));
    assert.ok(chunks.length > 0);
    for (const data of chunks) {
      const { times, values } = decode(data);
      assert.deepEqual(encodeXor(times, values, { start: 0, end: times.length }), data);
    }
  },
);

test(
  "decoded values of a real block equal Prometheus's answers",
  { skip: skipWithout(golden) },
  () => {
    const chunks = readSegment(readFileSync(sharedPath(golden)!));
    const file = join(sharedPath("golden")!, "dump.txt");
    const expected = readFileSync(file, "utf8")
      .split("\n")
      .map((line) => /\} (\S+) (\d+)$/.exec(line))
      .filter((match) => match !== null)
      .map(
        (match) =>
          `${match[2]} ${match[1]!.replace("+Inf", "Infinity").replace("-Inf", "-Infinity")}`,
      );
    const dumped = new Set(
      expected.map((line) => line.replace(/ (\S+)$/, (_, v) => ` ${Number(v)}`)),
    );
    let found = 0;
    for (const data of chunks) {
      const { times, values } = decode(data);
      for (const [i, t] of times.entries()) if (dumped.has(`${t} ${values[i]}`)) found++;
    }
    assert.ok(found >= expected.length, `${found} of ${expected.length} samples`);
  },
);

test("any times and any 64-bit values survive", () => {
  const word = fc.oneof(
    fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    fc.constantFrom(0x7ff0000000000002n, 0x7ff8000000000001n, 0n, 1n << 63n, 0x7ff0000000000000n),
    fc.double().map((v) => new BigUint64Array(new Float64Array([v]).buffer)[0]!),
  );
  const gap = fc.oneof(fc.constant(15_000), fc.nat(20_000), fc.nat(2_000_000), fc.nat(2 ** 31 - 1));
  const sample = fc.record({ gap, word, repeat: fc.integer({ min: 1, max: 20 }) });
  fc.assert(
    fc.property(
      fc.integer({ min: -(2 ** 45), max: 2 ** 45 }),
      fc.array(sample, { minLength: 1, maxLength: 40 }),
      (start, parts) => {
        const all = parts.flatMap((part) => Array.from({ length: part.repeat }, () => part));
        const times = new Float64Array(all.length);
        let t = start;
        for (const [i, part] of all.entries()) times[i] = t += part.gap;
        const words = BigUint64Array.from(all.map((part) => part.word));
        const values = new Float64Array(words.buffer);
        const decoded = decode(encodeXor(times, values, { start: 0, end: all.length }));
        assert.deepEqual(decoded.times, times);
        assert.deepEqual(bitsOf(decoded.values), bitsOf(values));
      },
    ),
    { numRuns: 400 },
  );
});

test("changes of delta at the borders of each field width", () => {
  for (const border of [8192, 65536, 524288])
    for (const change of [-border - 1, -border, 1 - border, border - 1, border, border + 1]) {
      const times = Float64Array.from([0, 1e6, 2e6 + change, 3e6 + 2 * change]);
      const values = Float64Array.from([1, 2, 3, 3]);
      assert.deepEqual(decode(encodeXor(times, values, { start: 0, end: 4 })).times, times);
    }
});

test("decodes into the middle of longer columns", () => {
  const data = encodeXor(Float64Array.of(1, 2), Float64Array.of(5, 6), { start: 0, end: 2 });
  const into = { times: new Float64Array(5), values: new Float64Array(5), offset: 2 };
  decodeXor(data, into);
  assert.deepEqual([...into.times], [0, 0, 1, 2, 0]);
  assert.deepEqual([...into.values], [0, 0, 5, 6, 0]);
  assert.throws(() => decodeXor(data, { ...into, offset: 4 }), /BUG: .*too short/);
});

test("an empty chunk, and refused ones", () => {
  const none = { times: new Float64Array(0), values: new Float64Array(0), offset: 0 };
  assert.equal(decodeXor(new Uint8Array(), none), 0);
  assert.equal(decodeXor(Uint8Array.of(0, 0), none), 0);
  const times = Float64Array.from({ length: 100 }, (_, i) => i * 1000 + (i % 7));
  const values = Float64Array.from({ length: 100 }, (_, i) => Math.sqrt(i));
  const data = encodeXor(times, values, { start: 0, end: 100 });
  const into = { times: new Float64Array(100), values: new Float64Array(100), offset: 0 };
  for (let size = 2; size < data.length; size++)
    assert.throws(() => decodeXor(data.slice(0, size), into), { code: "corrupt" }, `${size} bytes`);
});

test("chunks that share a buffer decode where they are, and are refused when cut short", () => {
  const times = Float64Array.from({ length: 120 }, (_, i) => 1.7e12 + i * 15_000 + (i % 7));
  const values = Float64Array.from(times, (_, i) => (i < 60 ? 5 : Math.sqrt(i)));
  const range = { start: 0, end: 120 };
  const alone = encodeXor(times, values, range).slice();
  // All bits around it are ones: what is read beyond its ends would show.
  for (const slack of [0, 31, 32, 200])
    for (const start of [0, 1, 7, 4096]) {
      const buffer = new Uint8Array(start + alone.length + slack).fill(255);
      buffer.set(alone, start);
      const data = buffer.subarray(start, start + alone.length);
      assert.deepEqual(decode(data), { times, values });
      for (let size = 2; size < data.length; size++)
        assert.throws(() => decode(data.subarray(0, size)), { code: "corrupt" }, `${size} bytes`);
    }
});

test("chunks encoded one after the other do not touch each other", () => {
  const chunks: { data: Uint8Array; times: Float64Array; values: Float64Array }[] = [];
  for (let i = 0; i < 400; i++) {
    const count = i % 97 === 5 ? 3000 : 1 + (i % 130);
    const times = Float64Array.from({ length: count }, (_, k) => k * 15_000 + ((k * i) % 5));
    const values = Float64Array.from(times, (_, k) => (k % (1 + (i % 40)) === 0 ? k * i : 7));
    chunks.push({ data: encodeXor(times, values, { start: 0, end: count }), times, values });
  }
  for (const { data, times, values } of chunks) assert.deepEqual(decode(data), { times, values });
});

test("random bytes never crash the decoder", () => {
  const into = { times: new Float64Array(65536), values: new Float64Array(65536), offset: 0 };
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      try {
        decodeXor(bytes, into);
      } catch (error) {
        assert.equal(error instanceof Error && "code" in error && error.code, "corrupt");
      }
    }),
    { numRuns: 500 },
  );
});

test("crc32c of the standard vectors", () => {
  assert.equal(crc32c(Buffer.from("123456789")), 0xe3069283);
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  const bytes = Uint8Array.from({ length: 1000 }, (_, i) => i * 7);
  for (const cut of [0, 1, 7, 8, 9, 999])
    assert.equal(crc32c(bytes, cut, 1000, crc32c(bytes, 0, cut)), crc32c(bytes));
});
