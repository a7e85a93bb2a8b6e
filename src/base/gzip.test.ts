import assert from "node:assert/strict";
import { test } from "node:test";
import { constants, gunzipSync, gzipSync } from "node:zlib";
import fc from "fast-check";
import { GZIP_MATCHES_SOURCE_SHA256 } from "./gzip-matches.gen.ts";
import { gzip } from "./gzip.ts";
import { isCompiled } from "./testdata/compile-kernel.ts";
import { anyPieces } from "./testdata/gzip-inputs.ts";
import { GZIP_MATCHES } from "./testdata/gzip-kernel.ts";

// Compiling takes seconds, so it is done when the sources have changed (and in gzip.fuzz.ts).
test("the module was made from the sources beside it", async () => {
  const sha256 = GZIP_MATCHES_SOURCE_SHA256;
  if (await isCompiled(GZIP_MATCHES, { sha256, writer: "gzip.test.ts" })) return;
  assert.fail(
    "gzip-matches.gen.ts was out of date and has been written anew: look at it, run again",
  );
});

function compressed(...pieces: Uint8Array[]): Buffer {
  return Buffer.concat([...gzip(pieces)]);
}

/** A matrix of the HTTP API. */
function matrix(seriesCount: number, pointCount: number, value: (i: number) => number): Buffer {
  const result = Array.from({ length: seriesCount }, (_, series) => ({
    metric: { __name__: "requests_total", instance: `10.0.${series}.1:9100`, job: "api" },
    values: Array.from({ length: pointCount }, (__, k) => [
      1_700_000_000 + 15 * k,
      String(value(series * pointCount + k)),
    ]),
  }));
  return Buffer.from(JSON.stringify({ status: "success", data: { resultType: "matrix", result } }));
}

test("zlib reads what comes out, whatever goes in", () => {
  fc.assert(
    fc.property(anyPieces, (pieces) => {
      assert.deepEqual(gunzipSync(compressed(...pieces)), Buffer.concat(pieces));
    }),
    { numRuns: 300 },
  );
});

test("nothing, little, and matches of all lengths", () => {
  assert.deepEqual(gunzipSync(compressed()), Buffer.alloc(0));
  assert.deepEqual(gunzipSync(compressed(Buffer.alloc(0), Buffer.of(7))), Buffer.of(7));
  // What repeats in it, at most 600 bytes, takes one match to three.
  const text = Buffer.from(Array.from({ length: 600 }, (_, i) => 97 + ((i * i) % 25)));
  for (let length = 1; length <= text.length; length++) {
    const input = Buffer.concat([text, Buffer.from("!"), text.subarray(0, length)]);
    assert.deepEqual(gunzipSync(compressed(input)), input);
  }
});

test("pieces larger than one can be, and as far apart as a match reaches", () => {
  const far = Buffer.concat([
    Buffer.from("a very long sentence, said twice"),
    Buffer.from(Array.from({ length: 32_768 - 32 }, (_, i) => (i * 7919 + (i >> 8)) % 251)),
    Buffer.from("a very long sentence, said twice"),
  ]);
  assert.deepEqual(gunzipSync(compressed(far)), far);
  const large = matrix(200, 500, (i) => i / 7);
  assert.ok(large.length > 3_000_000);
  assert.deepEqual(gunzipSync(compressed(large, far, large)), Buffer.concat([large, far, large]));
});

test("answers take no more bytes than zlib at its fastest makes of them", () => {
  let state = 1;
  const random = (): number => (state = (Math.imul(state, 48_271) >>> 0) % 2_147_483_647);
  for (const value of [() => 1, (i: number) => i, () => random() % 10_000, () => random() / 7]) {
    const answer = matrix(100, 240, value);
    const theirs = gzipSync(answer, { level: constants.Z_BEST_SPEED });
    const ours = compressed(answer);
    assert.ok(ours.length <= theirs.length, `${ours.length} bytes, zlib has ${theirs.length}`);
  }
});

test("what cannot be compressed hardly grows", () => {
  let state = 1;
  const noise = Buffer.from(
    Array.from({ length: 700_000 }, () => (state = Math.imul(state, 1_664_525) + 1) >>> 24),
  );
  const out = compressed(noise);
  assert.deepEqual(gunzipSync(out), noise);
  assert.ok(out.length < noise.length * 1.01, `${out.length} bytes`);
});
