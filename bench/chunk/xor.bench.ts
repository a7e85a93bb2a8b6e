/**
 * XOR chunks: nanoseconds per sample to encode and decode chunks of 120 samples every 15 s, beside Prometheus's own
 * chunkenc on the same columns. Turn by turn; the best round counts, which a busy machine disturbs least. The result is
 * checked, so that nothing is optimised away. Run: node bench/chunk/xor.bench.ts
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { decodeXor } from "../../src/chunk/xor.ts";
import { encodeXor } from "../../src/chunk/xor-encode.ts";
import { randomInt, seededRandom } from "../../src/base/random.ts";
import { report } from "../support/report.ts";
import { runTsdbPeer } from "../support/tsdb-peer.ts";

const CHUNKS = 2000;
const SAMPLES = 120;
const ROUNDS = 15;
const TURNS = 5;
const random = seededRandom(1);

interface Shape {
  readonly name: string;
  jitter(): number;
  next(value: number): number;
}

const SHAPES: readonly Shape[] = [
  { name: "constant", jitter: () => 0, next: (v) => v },
  {
    name: "counter, few jitters",
    jitter: () => (random.next() < 0.05 ? randomInt(random, 3) : 0),
    next: (v) => v + randomInt(random, 100),
  },
  {
    name: "counter, half jittered",
    jitter: () => (random.next() < 0.5 ? randomInt(random, 5) : 0),
    next: (v) => v + randomInt(random, 1000),
  },
  { name: "gauge walk", jitter: () => 0, next: (v) => v + random.next() - 0.5 },
];

interface Figures {
  readonly encodeNs: number;
  readonly decodeNs: number;
  readonly sum: number;
}

const folder = mkdtempSync(join(tmpdir(), "shoal-bench-xor-"));
try {
  for (const shape of SHAPES) {
    const times = new Float64Array(CHUNKS * SAMPLES);
    const values = new Float64Array(CHUNKS * SAMPLES);
    for (let c = 0; c < CHUNKS; c++) {
      let value = randomInt(random, 1e6);
      for (let i = 0; i < SAMPLES; i++) {
        times[c * SAMPLES + i] = 1.7e12 + i * 15_000 + shape.jitter();
        values[c * SAMPLES + i] = value = shape.next(value);
      }
    }
    let expected = 0;
    for (const value of values) expected += value;
    const file = join(folder, "columns");
    writeFileSync(
      file,
      Buffer.concat([new Uint8Array(times.buffer), new Uint8Array(values.buffer)]),
    );
    const ours: Figures[] = [];
    const theirs: Figures[] = [];
    for (let turn = 0; turn < TURNS; turn++) {
      ours.push(measure(times, values));
      const peer = runTsdbPeer<Figures>("xor", file, String(CHUNKS), String(SAMPLES));
      if (peer !== undefined) theirs.push(peer);
    }
    for (const { sum } of [...ours, ...theirs])
      if (Math.abs(sum - expected) > 1e-9 * Math.abs(expected)) throw new Error("decoded wrongly");
    for (const [what, figure, gate] of [
      ["encode", "encodeNs", "≥ 3×, goal 4.5×"],
      ["decode", "decodeNs", "≥ 1.7×, goal 2.5×"],
    ] as const)
      report({
        name: `XOR ${what}, ${shape.name}`,
        unit: "ns/sample",
        ours: Math.min(...ours.map((one) => one[figure])),
        ...(theirs.length === 0 ? {} : { peer: Math.min(...theirs.map((one) => one[figure])) }),
        peerName: "chunkenc",
        better: "less",
        gate,
      });
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function measure(times: Float64Array, values: Float64Array): Figures {
  const chunks: Uint8Array[] = [];
  const into = { times: new Float64Array(SAMPLES), values: new Float64Array(SAMPLES), offset: 0 };
  const encodeNs = perSample(() => {
    chunks.length = 0;
    for (let c = 0; c < CHUNKS; c++)
      chunks.push(encodeXor(times, values, { start: c * SAMPLES, end: (c + 1) * SAMPLES }));
  });
  let sum = 0;
  const decodeNs = perSample(() => {
    let total = 0;
    for (const data of chunks) {
      decodeXor(data, into);
      for (let i = 0; i < SAMPLES; i++) total += into.values[i]!;
    }
    sum = total;
  });
  return { encodeNs, decodeNs, sum };
}

/** The nanoseconds per sample of the best run over all chunks. */
function perSample(run: () => void): number {
  let best = Infinity;
  for (let i = 0; i < ROUNDS; i++) {
    const start = performance.now();
    run();
    best = Math.min(best, performance.now() - start);
  }
  return (best * 1e6) / CHUNKS / SAMPLES;
}
