import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_LOAD } from "./load.ts";
import type { ShardFigures } from "./shard-figures.ts";
import { HISTORY_MS, HISTORY_STEP_MS, ShardHistory } from "./shard-history.ts";

const LIMITS = { maxHeadSeries: 100, maxProcessSeries: 200, maxSamplesPerSecond: 0 };

function figures(series: number, rest: Partial<ShardFigures> = {}): ShardFigures {
  return {
    id: "shard-0",
    group: "",
    state: "ready",
    targets: 1,
    leaving: 0,
    used: { ...NO_LOAD, series, rawSeries: 2 * series },
    limits: LIMITS,
    utilisation: series / 100,
    hasConfig: true,
    ...rest,
  };
}

const START_MS = 1_700_000_000_000;
const ALL = { fromMs: 0, pointsMax: 10_000 };

test("cycles within one step leave their largest figures, with the limits of the time", () => {
  const history = new ShardHistory();
  history.record([figures(10)], START_MS);
  history.record([figures(30)], START_MS + 1000);
  history.record([figures(20)], START_MS + 2000);
  history.record([figures(5)], START_MS + HISTORY_STEP_MS);
  const points = history.read("shard-0", ALL);
  assert.deepEqual(points.timesMs, [START_MS, START_MS + HISTORY_STEP_MS]);
  assert.deepEqual(points.headSeries, [30, 5]);
  assert.deepEqual(points.processSeries, [60, 10]);
  assert.deepEqual(points.maxHeadSeries, [100, 100]);
  assert.deepEqual(points.maxSamplesPerSecond, [0, 0]);
});

test("what is older than the window goes, and a lost shard leaves a gap", () => {
  const history = new ShardHistory();
  const steps = HISTORY_MS / HISTORY_STEP_MS;
  for (let i = 0; i < steps + 50; i++) {
    const isLost = i >= steps && i < steps + 10;
    const timeMs = START_MS + i * HISTORY_STEP_MS;
    history.record([figures(i, isLost ? { state: "lost" } : {})], timeMs);
  }
  const { timesMs, headSeries } = history.read("shard-0", ALL);
  assert.equal(timesMs.length, steps);
  assert.equal(headSeries.at(-1), steps + 49);
  assert.equal(headSeries[0], 40);
  const gaps = timesMs.filter((timeMs, i) => i > 0 && timeMs - timesMs[i - 1]! > HISTORY_STEP_MS);
  assert.deepEqual(gaps, [START_MS + (steps + 10) * HISTORY_STEP_MS]);
});

test("fewer points are the largest of every few, from a time on", () => {
  const history = new ShardHistory();
  for (let i = 0; i < 10; i++)
    history.record([figures(i % 2 === 0 ? 50 : i)], START_MS + i * HISTORY_STEP_MS);
  const { timesMs, headSeries } = history.read("shard-0", {
    fromMs: START_MS + HISTORY_STEP_MS,
    pointsMax: 3,
  });
  assert.deepEqual(
    timesMs.map((timeMs) => (timeMs - START_MS) / HISTORY_STEP_MS),
    [3, 6, 9],
  );
  assert.deepEqual(headSeries, [50, 50, 50]);
});

test("a shard that is gone is forgotten, and an unknown one has no points", () => {
  const history = new ShardHistory();
  history.record([figures(1), figures(2, { id: "shard-1" })], START_MS);
  history.record([figures(1)], START_MS + HISTORY_STEP_MS);
  assert.deepEqual(history.read("shard-1", ALL).timesMs, []);
  assert.equal(history.read("shard-0", ALL).timesMs.length, 2);
});
