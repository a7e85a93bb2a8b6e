/**
 * Opening a block and what an open block holds in memory, beside Prometheus's engine on the same block, turn by turn; and
 * the first questions to it. Run: node --expose-gc bench/block/open.bench.ts [series, default 1000000]
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { seededRandom } from "../../src/base/random.ts";
import { type Block, openBlock } from "../../src/block/block.ts";
import { newUlid } from "../../src/block/ulid.ts";
import { BlockWriter } from "../../src/block/writer.ts";
import { encodeXor } from "../../src/chunk/xor-encode.ts";
import { symbolBytes } from "../../src/index/writer.ts";
import { createMatcher } from "../../src/model/matcher.ts";
import { firstValues, growth, labelsOf } from "../support/head-load.ts";
import { median, report } from "../support/report.ts";
import { runTsdbPeer } from "../support/tsdb-peer.ts";

const SERIES = Number(process.argv[2] ?? 1_000_000);
const OPENS = 9;
const TURNS = 5;
const HELD = 30;
const SAMPLES = 120;
const STEP_MS = 60_000;
const START = 1_700_006_400_000;

const folder = mkdtempSync(join(tmpdir(), "shoal-bench-open-"));
try {
  const path = await writeBlock();
  // What writing the block left behind is not what is measured.
  globalThis.gc?.();
  const ours: number[] = [];
  const theirs: number[] = [];
  let heldByThem: number | undefined;
  for (let turn = 0; turn < TURNS; turn++) {
    const opens: number[] = [];
    for (let i = 0; i < OPENS; i++) {
      const started = performance.now();
      const block = await openBlock(path);
      opens.push(performance.now() - started);
      await block.close();
    }
    ours.push(median(opens));
    const peer = runTsdbPeer<{ openMs: number; heldBytes: number }>(
      "open",
      path,
      String(OPENS),
      String(HELD),
    );
    if (peer === undefined) continue;
    theirs.push(peer.openMs);
    heldByThem = peer.heldBytes;
  }
  report({
    name: `block open, ${SERIES} series`,
    unit: "ms",
    ours: median(ours),
    ...(theirs.length === 0 ? {} : { peer: median(theirs) }),
    better: "less",
    gate: "≥ 1×",
  });
  const helper = join(import.meta.dirname, "../support/held-blocks.ts");
  const held = execFileSync(process.execPath, ["--expose-gc", helper, path, String(HELD)]);
  report({
    name: `RSS of an open block, ${SERIES} series`,
    unit: "MB",
    ours: Number(held) / 2 ** 20,
    ...(heldByThem === undefined ? {} : { peer: heldByThem / 2 ** 20 }),
    better: "less",
    gate: "≥ 1×",
  });
  await reportFirst(path, "select of one pod", async (block) => {
    const matchers = [createMatcher("instance", "=", "10.0.0.7:10250")];
    let found = 0;
    for await (const { series } of block.select({ matchers, minTimeMs: 0, maxTimeMs: Infinity }))
      found += series.length;
    if (found !== 50) throw new Error(`${found} series instead of 50`);
  });
  await reportFirst(path, "values of a label", async (block) => {
    const { values } = await block.labelValues("pod", {
      matchers: [],
      minTimeMs: 0,
      maxTimeMs: Infinity,
    });
    if (values.length !== SERIES / 50) throw new Error(`${values.length} values`);
  });
} finally {
  rmSync(folder, { recursive: true, force: true });
}

/** A block with a chunk a series, written in label order: by what `labelsOf` varies. */
async function writeBlock(): Promise<string> {
  const random = seededRandom(1);
  const ulid = newUlid({ clock: systemClock, random });
  const writer = await BlockWriter.create({ parent: folder, ulid });
  const texts = Array.from({ length: SERIES }, (_, i) => [...labelsOf(i)].flat());
  const symbols = symbolBytes(texts.flat());
  await writer.addSymbols(symbols);
  const numbers = new Map(symbols.map((bytes, i) => [Buffer.from(bytes).toString(), i]));
  const rows = texts.map((flat) => Uint32Array.from(flat, (text) => numbers.get(text)!));
  rows.sort((a, b) => {
    const i = a.findIndex((symbol, k) => symbol !== b[k]);
    return a[i]! - b[i]!;
  });
  const times = Float64Array.from({ length: SAMPLES }, (_, k) => START + k * STEP_MS);
  const first = firstValues(SERIES);
  for (const [i, row] of rows.entries()) {
    let value = first[i]!;
    const values = Float64Array.from(times, (_, k) => (value += growth(i, k)));
    await writer.addChunk({
      encoding: 1,
      minTimeMs: START,
      maxTimeMs: times.at(-1)!,
      data: encodeXor(times, values, { start: 0, end: SAMPLES }),
    });
    await writer.endSeries({ symbols: row, labelCount: row.length / 2 });
  }
  return writer.finish({
    minTime: START,
    maxTime: times.at(-1)! + 1,
    compaction: { level: 1, sources: [ulid] },
  });
}

/** The first question to a block just opened, which has nothing at hand yet. */
async function reportFirst(
  path: string,
  name: string,
  ask: (block: Block) => Promise<void>,
): Promise<void> {
  const spent: number[] = [];
  for (let i = 0; i < OPENS; i++) {
    const block = await openBlock(path);
    const started = performance.now();
    await ask(block);
    spent.push(performance.now() - started);
    await block.close();
  }
  report({ name: `first ${name} after opening`, unit: "ms", ours: median(spent), better: "less" });
}
