import assert from "node:assert/strict";
import { describe, it } from "node:test";
import fc from "fast-check";
import { isStaleWords, writeStale } from "../base/float.ts";
import { compressSnappy, decompressSnappy } from "../base/snappy.ts";
import { decodeXor, xorSampleCount } from "../chunk/xor.ts";
import { encodeXor } from "../chunk/xor-encode.ts";
import { bitsOf, bytesOf, GOLDEN } from "../chunk/testdata/start-times.ts";
import { createMatcher } from "../model/matcher.ts";
import { ProtoWriter } from "../proto/wire.ts";
import type { Series } from "../storage/queryable.ts";
import {
  decodeFrames,
  decodeReadResponse,
  encodeReadRequest,
  FRAME_MAX_BYTES,
} from "./read-answer.ts";
import { frame, varint, writeLabels } from "./read-answer.fixture.ts";

async function* piecesOf(bytes: Uint8Array, sizes: readonly number[]): AsyncGenerator<Uint8Array> {
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const size = sizes[i % sizes.length]!;
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

async function all(body: AsyncIterable<Uint8Array>): Promise<Series[]> {
  const series: Series[] = [];
  for await (const batch of decodeFrames(body)) series.push(...batch);
  return series;
}

const chunk = encodeXor(Float64Array.of(1000, 2000), Float64Array.of(1, 2), { start: 0, end: 2 });

describe("decodeFrames", () => {
  it("reads frames cut anywhere", async () => {
    const stream = Buffer.concat([
      frame({ __name__: "a", x: "1" }, chunk),
      frame({ __name__: "b".repeat(300) }, chunk, 2),
    ]);
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 20 }),
        async (sizes) => {
          const series = await all(piecesOf(stream, sizes));
          assert.deepEqual(
            series.map(({ labels, chunks }) => [
              labels.get("__name__").length,
              labels.get("x"),
              chunks,
            ]),
            [
              [1, "1", [{ encoding: 1, minTimeMs: -5, maxTimeMs: 2000, data: chunk }]],
              [300, "", [{ encoding: 2, minTimeMs: -5, maxTimeMs: 2000, data: chunk }]],
            ],
          );
        },
      ),
      { numRuns: 50 },
    );
    assert.deepEqual(await all(piecesOf(new Uint8Array(0), [1])), []);
  });

  it("gives XOR2 chunks as XOR", async () => {
    const golden = GOLDEN.chunks.find(({ times }) => times.length > 5)!;
    const [series] = await all(piecesOf(frame({ a: "b" }, bytesOf(golden), 4), [7]));
    const read = series!.chunks[0]!;
    assert.equal(read.encoding, 1);
    const count = golden.times.length;
    const into = { times: new Float64Array(count), values: new Float64Array(count), offset: 0 };
    assert.equal(decodeXor(read.data, into), count);
    assert.deepEqual([...into.times], golden.times);
    assert.deepEqual(bitsOf(into.values), golden.bits);
  });

  it("refuses what is broken, cut off, too large or unknown", async () => {
    const good = frame({ a: "b" }, chunk);
    const flipped = Uint8Array.from(good);
    flipped[good.length - 1]! ^= 1;
    const fails = (bytes: Uint8Array, code: string): Promise<void> =>
      assert.rejects(all(piecesOf(bytes, [7])), { code });
    await fails(flipped, "corrupt");
    await fails(good.subarray(0, good.length - 1), "corrupt");
    await fails(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff), "corrupt");
    const size = FRAME_MAX_BYTES + 1;
    await fails(
      Uint8Array.of(
        (size & 127) | 128,
        ((size >> 7) & 127) | 128,
        ((size >> 14) & 127) | 128,
        size >> 21,
      ),
      "resource-exhausted",
    );
    await fails(frame({ a: "b" }, chunk, 9), "unavailable");
  });
});

describe("encodeReadRequest", () => {
  it("asks for streamed chunks first, for samples else", () => {
    const bytes = decompressSnappy(
      encodeReadRequest({
        minTimeMs: 1,
        maxTimeMs: 2,
        matchers: [createMatcher("a", "!~", "b")],
      }),
      1000,
    );
    assert.equal(Buffer.from(bytes).toString("hex"), "0a0e080110021a0808031201611a016212020100");
  });
});

describe("decodeReadResponse", () => {
  it("makes chunks of at most 120 samples, staleness markers untouched", () => {
    const writer = new ProtoWriter();
    const result = writer.size;
    const series = writer.size;
    const values = new Float64Array(130);
    for (let i = 0; i < 130; i++) values[i] = i / 7;
    writeStale(values, 129);
    const bits = new Uint8Array(values.buffer);
    for (let i = 129; i >= 0; i--) {
      const time = Buffer.from(varint(1000 * (i + 1)));
      writer.bytes(
        2,
        Buffer.concat([
          Uint8Array.of(0x09),
          bits.subarray(i * 8, i * 8 + 8),
          Uint8Array.of(0x10),
          time,
        ]),
      );
    }
    writeLabels(writer, { __name__: "m" });
    writer.message(1, series);
    writer.message(1, result);
    const decoded = decodeReadResponse(compressSnappy(writer.finish()));
    assert.equal(decoded.length, 1);
    const { chunks } = decoded[0]!;
    assert.deepEqual(
      chunks.map(({ data, minTimeMs, maxTimeMs }) => [xorSampleCount(data), minTimeMs, maxTimeMs]),
      [
        [120, 1000, 120_000],
        [10, 121_000, 130_000],
      ],
    );
    const times = new Float64Array(10);
    const last = new Float64Array(10);
    decodeXor(chunks[1]!.data, { times, values: last, offset: 0 });
    assert.equal(times[9], 130_000);
    assert.equal(last[0], 120 / 7);
    assert.ok(isStaleWords(new Uint32Array(last.buffer), 9));
  });

  it("refuses what is not one", () => {
    assert.throws(() => decodeReadResponse(Uint8Array.of(1, 2, 3)), { code: "corrupt" });
  });
});
