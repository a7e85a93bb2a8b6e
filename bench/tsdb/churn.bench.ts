/**
 * Memory of a head of a million series over three hours of simulated time while 10 % of them an hour are replaced by others, a
 * sample a minute, until the first cut and a while after it. Draws docs/images/head-memory.svg.
 * Run: node bench/tsdb/churn.bench.ts [series, default 1000000; another number draws nothing]
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { firstValues, growth, labelsOf, SCRAPE_SAMPLES } from "../support/head-load.ts";
import { drawMemory, type MemoryPoint } from "../support/memory-chart.ts";
import { report } from "../support/report.ts";
import { openTimedDatabase } from "../support/timed-database.ts";

const FULL_SERIES = 1_000_000;
const SERIES = Number(process.argv[2] ?? FULL_SERIES);
const HOUR = 3_600_000;
const STEP_MS = 60_000;
const CUT_MS = 3 * HOUR;
const END_MS = CUT_MS + HOUR / 4;
const CHURN_AN_HOUR = 0.1;
/** Series of one pod go together. */
const POD = 50;
const START = 1_700_006_400_000 - (1_700_006_400_000 % (2 * HOUR));

const folder = mkdtempSync(join(tmpdir(), "shoal-bench-churn-"));
let nowMs = START;
try {
  const db = await openTimedDatabase(folder, () => nowMs);
  const refs = Int32Array.from({ length: SERIES }, (_, i) => db.resolve(labelsOf(i)));
  const values = firstValues(SERIES);
  let made = SERIES;
  let churned = 0;
  const points: MemoryPoint[] = [];
  for (let k = 0; nowMs - START <= END_MS; k++, nowMs += STEP_MS) {
    const due = (SERIES * CHURN_AN_HOUR * (nowMs - START)) / HOUR;
    for (; churned + POD <= due; churned += POD)
      for (let i = 0; i < POD; i++) {
        const slot = (churned + i) % SERIES;
        refs[slot] = db.resolve(labelsOf(made++));
        values[slot] = 0;
      }
    for (let from = 0; from < SERIES; from += SCRAPE_SAMPLES) {
      const to = Math.min(from + SCRAPE_SAMPLES, SERIES);
      for (let i = from; i < to; i++) values[i] = values[i]! + growth(i, k);
      const { appended } = await db.append({
        refs: refs.subarray(from, to),
        times: new Float64Array(to - from).fill(nowMs),
        values: values.slice(from, to),
        count: to - from,
      });
      if (appended !== to - from) throw new Error(`only ${appended} samples were stored`);
    }
    await db.maintain();
    const { seriesCount } = db.head.stats();
    points.push({ atMs: nowMs - START, rssBytes: process.memoryUsage.rss(), seriesCount });
  }
  if (db.blocks().length !== 1) throw new Error("the head was not cut once");
  const most = (from: number, to: number): number =>
    Math.max(
      ...points.filter(({ atMs }) => atMs >= from && atMs <= to).map(({ rssBytes }) => rssBytes),
    );
  await db.close();
  report({
    name: `RSS per series, ${SERIES} at a time, 10 % an hour replaced, at most in 3 h`,
    unit: "B",
    ours: most(0, CUT_MS) / SERIES,
    better: "less",
    gate: "≤ 1,500 B, goal 1,000 B",
  });
  report({
    name: "the same, the cut after 3 h included",
    unit: "B",
    ours: most(0, END_MS) / SERIES,
    better: "less",
  });
  if (SERIES === FULL_SERIES)
    writeFileSync(
      join(import.meta.dirname, "../../docs/images/head-memory.svg"),
      drawMemory("A head of a million series, 10 % an hour replaced by others", points),
    );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
