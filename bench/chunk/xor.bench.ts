/**
 * XOR chunks: nanoseconds per sample to encode and decode chunks of 120 samples every 15 s. The result is checked, so
 * that nothing is optimised away. Run: node bench/chunk/xor.bench.ts
 */
import { decodeXor, encodeXor } from "../../src/chunk/xor.ts";
import { randomInt, seededRandom } from "../../src/base/random.ts";

const CHUNKS = 2000;
const SAMPLES = 120;
const ROUNDS = 15;
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
  const chunks: Uint8Array[] = [];
  const into = { times: new Float64Array(SAMPLES), values: new Float64Array(SAMPLES), offset: 0 };
  const encode = median(() => {
    chunks.length = 0;
    for (let c = 0; c < CHUNKS; c++)
      chunks.push(encodeXor(times, values, { start: c * SAMPLES, end: (c + 1) * SAMPLES }));
  });
  let sum = 0;
  const decode = median(() => {
    sum = 0;
    for (const data of chunks) {
      decodeXor(data, into);
      for (let i = 0; i < SAMPLES; i++) sum += into.values[i]!;
    }
  });
  let expected = 0;
  for (const value of values) expected += value;
  if (Math.abs(sum - expected) > 1e-9 * Math.abs(expected)) throw new Error("decoded wrongly");
  const size = chunks.reduce((total, data) => total + data.length, 0) / CHUNKS / SAMPLES;
  console.log(
    `${shape.name.padEnd(24)} encode ${encode.toFixed(1)} ns  decode ${decode.toFixed(1)} ns  ${size.toFixed(2)} B/sample`,
  );
}

/** The median nanoseconds per sample of a run over all chunks. */
function median(run: () => void): number {
  const spent: number[] = [];
  for (let i = 0; i < ROUNDS; i++) {
    const start = performance.now();
    run();
    spent.push(performance.now() - start);
  }
  spent.sort((a, b) => a - b);
  return (spent[ROUNDS >> 1]! * 1e6) / CHUNKS / SAMPLES;
}
