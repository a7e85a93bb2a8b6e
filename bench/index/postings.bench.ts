/**
 * Postings: what two lists of refs have in common, beside Prometheus's own `index.Intersect` over the same refs. Turn by turn;
 * the best round counts, which a busy machine disturbs least. Run: npm run bench -- index/postings
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { randomInt, seededRandom } from "../../src/base/random.ts";
import { intersect } from "../../src/index/postings-math.ts";
import { report } from "../support/report.ts";
import { runTsdbPeer } from "../support/tsdb-peer.ts";

const ROUNDS = 15;
const TURNS = 3;
const random = seededRandom(1);

interface Figures {
  readonly ms: number;
  readonly common: number;
}

/** `count` refs, each higher than the one before by 1 to `gap`. */
function refsOf(count: number, gap: number): Int32Array {
  const refs = new Int32Array(count);
  let ref = 0;
  for (let i = 0; i < count; i++) refs[i] = ref += 1 + randomInt(random, gap);
  return refs;
}

/** Every `step`-th ref. */
const every = (step: number, count: number): Int32Array =>
  Int32Array.from({ length: count }, (_, i) => 1 + i * step);

const SHAPES: readonly (readonly [name: string, a: Int32Array, b: Int32Array, gate: string])[] = [
  ["1 M and 1 M refs, every second and every third", every(2, 1e6), every(3, 1e6), "≥ 2×, goal 4×"],
  ["1 M and 1 M refs with random gaps", refsOf(1e6, 5), refsOf(1e6, 5), "≥ 2×, goal 4×"],
  ["10,000 and 1 M refs with random gaps", refsOf(1e4, 500), refsOf(1e6, 5), "≥ 2×"],
];

const folder = mkdtempSync(join(tmpdir(), "shoal-bench-postings-"));
try {
  for (const [name, a, b, gate] of SHAPES) {
    const files = [a, b].map((refs, i) => {
      const path = join(folder, String(i));
      writeFileSync(path, new Uint8Array(refs.buffer));
      return path;
    });
    const ours: Figures[] = [];
    const theirs: Figures[] = [];
    for (let turn = 0; turn < TURNS; turn++) {
      ours.push(measure(a, b));
      const peer = runTsdbPeer<Figures>("postings", ...files);
      if (peer !== undefined) theirs.push(peer);
    }
    for (const { common } of theirs)
      if (common !== ours[0]!.common)
        throw new Error(`${name}: ${ours[0]!.common} refs, Prometheus has ${common}`);
    report({
      name,
      unit: "ms",
      ours: Math.min(...ours.map(({ ms }) => ms)),
      ...(theirs.length > 0 && { peer: Math.min(...theirs.map(({ ms }) => ms)) }),
      better: "less",
      gate,
    });
  }
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function measure(a: Int32Array, b: Int32Array): Figures {
  let ms = Infinity;
  let common = 0;
  for (let round = 0; round < ROUNDS; round++) {
    const startedMs = performance.now();
    common = intersect(a, b).length;
    ms = Math.min(ms, performance.now() - startedMs);
  }
  return { ms, common };
}
