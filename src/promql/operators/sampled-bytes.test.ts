import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MemorySource } from "../../../bench/promql/memory-source.ts";
import { messageOf } from "../../base/errors.ts";
import { seededRandom } from "../../base/random.ts";
import { Labels } from "../../model/labels.ts";
import { ENCODING_XOR } from "../../storage/queryable.ts";
import { encodeXor } from "../../chunk/xor-encode.ts";
import { Engine } from "../engine.ts";

const SERIES = 2000;

/** Series of one chunk each, a few of them or all of them long. */
function source(seed: number, options: { share: number; samples: boolean }): MemorySource {
  const random = seededRandom(seed);
  const memory = new MemorySource({ batchSize: 100, samples: options.samples });
  const columns = Array.from({ length: 120 }, () => random.next());
  const chunkOf = (count: number): Uint8Array =>
    encodeXor(
      Float64Array.from({ length: count }, (_, k) => k * 1000),
      Float64Array.from(columns.slice(0, count)),
      { start: 0, end: count },
    );
  const [long, short] = [chunkOf(120), chunkOf(1)];
  for (let i = 0; i < SERIES; i++) {
    const isLong = random.next() < options.share;
    const [data, maxTimeMs] = isLong ? [long, 119_000] : [short, 0];
    memory.addChunks(Labels.fromObject({ __name__: "x", i: String(i) }), [
      { encoding: ENCODING_XOR, minTimeMs: 0, maxTimeMs, data },
    ]);
  }
  return memory;
}

describe("chunks of too many bytes are refused exactly if all of them are read otherwise", () => {
  for (const [seed, share] of [0.003, 0.1, 0.5, 1].entries())
    test(`${share} of the series are long`, async () => {
      const sampling = source(seed, { share, samples: true });
      const range = { query: "sum(x)", startMs: 0, endMs: 119_000, stepMs: 1000 };
      const { stats } = await new Engine().range(sampling, range);
      let sampled = 0;
      for (const part of [1, 0.999, 0.5, 0.2, 0.02]) {
        const maxBytes = Math.floor(stats.bytesRead * part);
        for (const one of [sampling, source(seed, { share, samples: false })]) {
          one.batchCount = 0;
          const outcome = await new Engine({ maxBytes }).range(one, range).then(
            () => "answered",
            (error: unknown) => messageOf(error),
          );
          if (part === 1) assert.equal(outcome, "answered");
          else
            assert.match(
              outcome,
              new RegExp(
                `^query processing would read too many bytes of chunks in query execution: (\\d+ so far|about \\d+ by 128 of ${SERIES} series), the limit is ${maxBytes} \\(--query\\.max-chunk-bytes\\)\\. `,
              ),
            );
          if (!outcome.includes("about")) continue;
          sampled++;
          assert.ok(one.batchCount <= 2, "nothing else is read");
        }
      }
      if (share === 1) assert.equal(sampled, 2);
    });
});
