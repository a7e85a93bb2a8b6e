import assert from "node:assert/strict";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import fc from "fast-check";
import { GZIP_MATCHES_WASM } from "./gzip-matches.gen.ts";
import { gzip } from "./gzip.ts";
import { compileKernel } from "./testdata/compile-kernel.ts";
import { anyPieces } from "./testdata/gzip-inputs.ts";
import { GZIP_MATCHES } from "./testdata/gzip-kernel.ts";

test("the committed module is what its sources compile to", async () => {
  assert.equal(await compileKernel(GZIP_MATCHES), GZIP_MATCHES_WASM);
});

test("zlib reads what comes out, whatever goes in, for longer", () => {
  fc.assert(
    fc.property(anyPieces, (pieces) => {
      assert.deepEqual(gunzipSync(Buffer.concat([...gzip(pieces)])), Buffer.concat(pieces));
    }),
    { numRuns: 20_000 },
  );
});
