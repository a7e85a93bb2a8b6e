import assert from "node:assert/strict";
import { after, test } from "node:test";
import { gunzipSync } from "node:zlib";
import Fastify from "fastify";
import { request } from "undici";
import { sendPieces } from "./send.ts";

const SMALL = ['{"status":"success","data":[]}'];
const WHOLE = [`["${"a long label value, ".repeat(200)}"]`];
const LARGE = Array.from({ length: 4 }, (_, piece) =>
  JSON.stringify(Array.from({ length: 30_000 }, (__, i) => [i, String(i / (piece + 7))])),
);

/** Pieces are good only until the next one is asked for. */
const lent = Buffer.alloc(1 << 20);
const app = Fastify();
app.get("/:size", (asked, reply) => {
  const { size } = asked.params as { size: string };
  const texts = size === "small" ? SMALL : size === "whole" ? WHOLE : LARGE;
  return sendPieces(
    asked,
    reply,
    (function* () {
      for (const text of texts) yield lent.subarray(0, lent.fill(0).write(text));
    })(),
  );
});
const url = await app.listen({ port: 0, host: "127.0.0.1" });
after(() => app.close());

for (const [size, texts] of Object.entries({ small: SMALL, whole: WHOLE, large: LARGE }))
  for (const encoding of ["gzip, deflate", "identity", "gzip;q=0"])
    test(`${size}, asked for as ${encoding}`, async () => {
      const { headers, body } = await request(`${url}/${size}`, {
        headers: { "accept-encoding": encoding },
      });
      const bytes = Buffer.from(await body.arrayBuffer());
      const isGzipped = size !== "small" && encoding === "gzip, deflate";
      assert.equal(headers["content-encoding"], isGzipped ? "gzip" : undefined);
      assert.equal(headers["vary"], isGzipped ? "Accept-Encoding" : undefined);
      assert.equal(headers["content-type"], "application/json");
      // One that is whole says its length, one that is sent as it is made cannot.
      assert.equal(headers["content-length"], size === "large" ? undefined : String(bytes.length));
      assert.equal((isGzipped ? gunzipSync(bytes) : bytes).toString(), texts.join(""));
    });
