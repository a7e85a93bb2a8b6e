import assert from "node:assert/strict";
import { describe, it, test } from "node:test";
import { crc32c } from "../base/crc32c.ts";
import { writeStale } from "../base/float.ts";
import { isCompiled } from "../base/testdata/compile-kernel.ts";
import { pick, type Random, randomInt, seededRandom } from "../base/random.ts";
import { encodeXor } from "../chunk/xor-encode.ts";
import { NEWEST_WALK_SOURCE_SHA256 } from "./newest-walk.gen.ts";
import { OTHER_ENCODING, walkNewest } from "./newest-walk.ts";
import { NEWEST_WALK } from "./testdata/newest-walk-kernel.ts";

test("the module was made from the source beside it", async () => {
  const sha256 = NEWEST_WALK_SOURCE_SHA256;
  if (await isCompiled(NEWEST_WALK, { sha256, writer: "newest-walk.test.ts" })) return;
  assert.fail(
    "newest-walk.gen.ts was out of date and has been written anew: look at it, run again",
  );
});

const VALUES = [0, -0, 1, 0.1, NaN, Infinity, 1e300, 7, 8];

interface Floats {
  readonly times: Float64Array;
  readonly values: Float64Array;
}

function floats(random: Random, count: number): Floats {
  let timeMs = randomInt(random, 1e6);
  const times = new Float64Array(count).map(() => (timeMs += 1 + randomInt(random, 30_000)));
  const values = new Float64Array(count).map(() => pick(random, VALUES));
  if (count > 2) writeStale(values, 1);
  return { times, values };
}

function frame(encoding: number, data: Uint8Array): Uint8Array {
  const body = Buffer.concat([Uint8Array.of(encoding), data]);
  const checksum = Buffer.alloc(4);
  checksum.writeUInt32BE(crc32c(body));
  const size: number[] = [];
  let rest = data.length;
  for (; rest > 127; rest = Math.floor(rest / 128)) size.push((rest % 128) | 128);
  return Buffer.concat([Uint8Array.of(...size, rest), body, checksum]);
}

const xor = ({ times, values }: Floats): Uint8Array =>
  times.length === 0
    ? Uint8Array.of(0, 0)
    : encodeXor(times, values, { start: 0, end: times.length });

function lay(frames: readonly Uint8Array[]): { bytes: Uint8Array; starts: Float64Array } {
  const starts = new Float64Array(frames.length);
  for (let i = 1; i < frames.length; i++) starts[i] = starts[i - 1]! + frames[i - 1]!.length;
  return { bytes: Uint8Array.from(Buffer.concat(frames)), starts };
}

/** The bits of the newest sample in the range, or of a stale marker. */
function newestOf(
  { times, values }: Floats,
  { minTimeMs, maxTimeMs }: { minTimeMs: number; maxTimeMs: number },
): Uint32Array {
  let last = times.length - 1;
  while (last >= 0 && times[last]! > maxTimeMs) last--;
  const found = new Float64Array(1);
  writeStale(found, 0);
  if (last < 0 || times[last]! < minTimeMs) return new Uint32Array(found.buffer);
  return new Uint32Array(values.buffer.slice(8 * last, 8 * last + 8));
}

describe("the newest samples of chunks", () => {
  it("are those of the samples, where they are in the range", () => {
    const random = seededRandom(2);
    for (let run = 0; run < 200; run++) {
      const all = Array.from({ length: 1 + randomInt(random, 300) }, () =>
        random.next() < 0.1 ? undefined : floats(random, randomInt(random, 130)),
      );
      const chunks = lay(
        all.map((own) =>
          frame(own === undefined ? 2 : 1, own === undefined ? Uint8Array.of(9) : xor(own)),
        ),
      );
      const range = {
        minTimeMs: pick(random, [-Infinity, 5e5, 1.5e6]),
        maxTimeMs: pick(random, [Infinity, 1e6, 2e6]),
      };
      let stops = 0;
      let byteCount = 0;
      for (let from = 0; from < all.length;) {
        const found = walkNewest(chunks, { from, to: all.length }, range);
        byteCount += found.byteCount;
        for (let i = 0; i < found.count; i++) {
          const own = all[from + i];
          assert.equal(found.counts[i], own === undefined ? OTHER_ENCODING : own.times.length);
          if (own !== undefined)
            assert.deepEqual(found.words.slice(2 * i, 2 * i + 2), newestOf(own, range));
        }
        from += found.count;
        if (from === all.length) break;
        stops++;
        from++;
      }
      // It stops where a piece of 64 KiB ends within a chunk.
      assert.ok(stops <= chunks.bytes.length / 60_000, `${stops} stops`);
      const size = all.reduce((sum, own) => sum + (own === undefined ? 0 : xor(own).length), 0);
      if (stops === 0) assert.equal(byteCount, size);
    }
  });

  it("of chunks that are damaged in any one bit, or uncommonly long, are left to the caller", () => {
    const random = seededRandom(3);
    const range = { minTimeMs: -Infinity, maxTimeMs: Infinity };
    const good = frame(1, xor(floats(random, 5)));
    for (let run = 0; run < 300; run++) {
      const chunks = lay([good, frame(1, xor(floats(random, 20))), good]);
      const size = chunks.starts[2]! - chunks.starts[1]!;
      const at = chunks.starts[1]! + randomInt(random, size);
      chunks.bytes[at] = chunks.bytes[at]! ^ (1 << randomInt(random, 8));
      assert.equal(walkNewest(chunks, { from: 0, to: 3 }, range).count, 1);
    }
    for (const odd of [
      frame(1, xor(floats(random, 2049))),
      frame(1, xor(floats(random, 60_000))),
      frame(1, Uint8Array.of()),
      frame(1, Uint8Array.of(0)),
      // Says that it holds more samples than it does.
      frame(1, Uint8Array.of(0, 200, 1, 2, 3, 4)),
      Uint8Array.of(255, 255, 255, 255, 255, 255),
    ]) {
      const chunks = lay([good, odd, good]);
      assert.equal(walkNewest(chunks, { from: 0, to: 3 }, range).count, 1);
      assert.equal(walkNewest(chunks, { from: 2, to: 3 }, range).count, 1);
    }
    // The last one is cut off.
    const { bytes, starts } = lay([good, good]);
    for (let cut = 1; cut < good.length; cut++) {
      const chunks = { bytes: bytes.subarray(0, bytes.length - cut), starts };
      assert.equal(walkNewest(chunks, { from: 0, to: 2 }, range).count, 1);
    }
  });
});
