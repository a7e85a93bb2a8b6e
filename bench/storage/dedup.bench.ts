/**
 * Deduplication of 2 replicas × 10,000 series × 240 samples, 15 s apart, replicas 7 s from each other: reading all samples
 * with it beside reading both replicas as they are, and beside reading one alone. Once with nothing missing, once with gaps
 * (one scrape in 20 is missing, other ones on each replica), once with copies. Results are checked by their sample counts.
 * Run: node bench/storage/dedup.bench.ts
 */
import { randomInt, seededRandom } from "../../src/base/random.ts";
import { decodeXor, xorSampleCount } from "../../src/chunk/xor.ts";
import { Labels } from "../../src/model/labels.ts";
import { dedupSelect, ofReplica } from "../../src/storage/dedup-select.ts";
import { mergeSelect } from "../../src/storage/merge.ts";
import { MemoryQueryable } from "../../src/storage/memory-queryable.ts";
import type { SeriesBatch } from "../../src/storage/queryable.ts";
import { median, report } from "../support/report.ts";
import { pushXorChunks } from "../../src/storage/xor-chunks.ts";

const SERIES = 10_000;
const SAMPLES = 240;
const ROUNDS = 7;
const ALL = { matchers: [], minTimeMs: 0, maxTimeMs: Number.MAX_SAFE_INTEGER };

function replica(options: { offsetMs: number; missing: number | undefined }): MemoryQueryable {
  const random = seededRandom(options.offsetMs);
  const series = Array.from({ length: SERIES }, (_, i) => {
    const times = new Float64Array(SAMPLES);
    const values = new Float64Array(SAMPLES);
    let count = 0;
    let value = randomInt(random, 1e6);
    for (let k = 0; k < SAMPLES; k++) {
      value += randomInt(random, 100);
      if (options.missing !== undefined && (i + k) % 20 === options.missing) continue;
      times[count] = 1.7e12 + k * 15_000 + options.offsetMs;
      values[count++] = value;
    }
    const chunks = pushXorChunks([], { times, values, count });
    return { labels: Labels.fromObject({ __name__: "x", i: String(i) }), chunks };
  });
  return new MemoryQueryable(series);
}

/** Decodes every sample; how many there were. */
async function read(batches: AsyncIterable<SeriesBatch>): Promise<number> {
  const into = { times: new Float64Array(1024), values: new Float64Array(1024), offset: 0 };
  let samples = 0;
  for await (const { series } of batches)
    for (const { chunks } of series)
      for (const { data } of chunks) {
        samples += xorSampleCount(data);
        decodeXor(data, into);
      }
  return samples;
}

async function time(run: () => Promise<number>, least: number): Promise<number> {
  const spent: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const start = performance.now();
    const samples = await run();
    spent.push(performance.now() - start);
    if (samples < least) throw new Error(`${samples} samples are too few`);
  }
  return median(spent);
}

const WHOLE = SERIES * SAMPLES;
const cases = [
  {
    name: "nothing missing",
    a: replica({ offsetMs: 0, missing: undefined }),
    b: replica({ offsetMs: 7000, missing: undefined }),
  },
  {
    name: "1 scrape in 20 missing",
    a: replica({ offsetMs: 0, missing: 3 }),
    b: replica({ offsetMs: 7000, missing: 13 }),
  },
  {
    name: "copies",
    a: replica({ offsetMs: 0, missing: undefined }),
    b: replica({ offsetMs: 0, missing: undefined }),
  },
];
for (const { name, a, b } of cases) {
  const one = await time(() => read(a.select(ALL)), WHOLE * 0.95);
  const plain = await time(
    () => read(mergeSelect([a.select(ALL), b.select(ALL)])),
    name === "copies" ? WHOLE : WHOLE * 1.9,
  );
  for (const choice of ["gapless", "penalty"] as const) {
    const dedup = await time(
      () =>
        read(
          dedupSelect([ofReplica(a.select(ALL), "a"), ofReplica(b.select(ALL), "b")], {
            choice,
            isCounter: true,
          }),
        ),
      WHOLE * 0.9,
    );
    report({
      name: `dedup, ${choice}, ${name}: read all samples`,
      unit: "ms",
      ours: dedup,
      peer: plain,
      peerName: "both replicas undeduplicated",
      better: "less",
    });
    console.log(`  ${(dedup / one).toFixed(2)} × one replica alone (${one.toFixed(0)} ms)`);
  }
}
