import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { writeStale } from "../base/float.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { createMatcher } from "../model/matcher.ts";
import { Engine } from "../promql/engine.ts";
import type { Queryable, SelectHints } from "../storage/queryable.ts";
import type { Head } from "./head.ts";
import { openHead } from "./open-head.ts";
import { columns, labels, read, samples, stoppedClock } from "./testing/head-fixture.ts";

const START = 1_700_000_000_000;
const STEP_MS = 15_000;
const SERIES = 30;
const NEWEST: SelectHints = {
  stepMs: 0,
  func: "",
  rangeMs: 0,
  grouping: [],
  by: false,
  newestOnly: true,
};
const any = [createMatcher("__name__", "=~", ".+")];
const folder = await mkdtemp(join(tmpdir(), "newest-test-"));
let head: Head;

/** Series i has samples up to step 200 + i, so some have just begun a chunk; every seventh one ends as stale. */
before(async () => {
  head = await openHead({
    folder: join(folder, "head"),
    logger: silentLogger,
    clock: stoppedClock(START),
    registry: new Registry(),
    retentionMs: 86_400_000,
  });
  for (let i = 0; i < SERIES; i++) {
    const ref = head.resolve(labels({ __name__: "x", i: String(i) }));
    const count = 200 + i;
    const rows = columns(
      Array.from({ length: count }, (_, k) => [ref, START + k * STEP_MS, Math.sin(k) * i] as const),
    );
    if (i % 7 === 3) writeStale(rows.values, count - 1);
    await head.append(rows);
  }
});

after(async () => {
  await head.close();
  await rm(folder, { recursive: true, force: true });
});

test("a reader of the newest sample gets it alone, while it is in the range", async () => {
  const all = await read(head, any);
  const newest = await read(head, any, { hints: NEWEST });
  assert.equal(newest.length, SERIES);
  for (const [i, series] of newest.entries()) {
    const [only, ...others] = samples(series);
    assert.equal(others.length, 0);
    assert.deepEqual(only, samples(all[i]!).at(-1));
  }
  // The newest sample of most series lies after the range: what is in it comes whole.
  const maxTimeMs = START + 200 * STEP_MS;
  for (const series of await read(head, any, { hints: NEWEST, maxTimeMs }))
    assert.ok(samples(series).some(([t]) => t <= maxTimeMs));
  const late = { minTimeMs: START + 1e9, maxTimeMs: START + 2e9 };
  assert.deepEqual(await read(head, any, { hints: NEWEST, ...late }), []);
  const bare = await read(head, any, { hints: NEWEST, skipChunks: true });
  assert.ok(bare.every(({ chunks }) => chunks.length === 0));
});

test("a running query sees nothing of later appends", async () => {
  const ref = head.resolve(labels({ __name__: "later", i: "0" }));
  await head.append(columns([[ref, START, 1]]));
  const matchers = [createMatcher("__name__", "=", "later")];
  const reading = head
    .select({ matchers, minTimeMs: 0, maxTimeMs: Infinity, hints: NEWEST })
    [Symbol.asyncIterator]();
  const first = reading.next();
  await head.append(columns([[ref, START + 1, 2]]));
  const { value } = await first;
  assert.deepEqual(samples(value.series[0]), [[START, 1]]);
  await reading.return?.();
});

test("instant queries have the same results with the hint as without any", async () => {
  const unhinted: Queryable = {
    select: (request) => head.select({ ...request, hints: { ...NEWEST, newestOnly: false } }),
    labelNames: async (request) => head.labelNames(request),
    labelValues: async (name, request) => head.labelValues(name, request),
  };
  const engine = new Engine();
  const queries = [
    "x",
    "x offset 1m",
    "timestamp(x)",
    "sum(x)",
    "x + sum_over_time(x[5m])",
    "sum_over_time(x[5m]) + x",
    "max_over_time(x[3m:1m])",
    "max_over_time(x[1m:1m]) + x",
    "rate(x[5m])",
    "topk(3, x @ end())",
    "absent(x)",
  ];
  for (const query of queries)
    for (const step of [100, 199, 205.5, 215, 230, 240, 260]) {
      const instant = { query, timeMs: START + step * STEP_MS };
      const expected = await engine.instant(unhinted, instant);
      assert.deepEqual((await engine.instant(head, instant)).value, expected.value, query);
      // A range query of one step is asked for the newest sample as well.
      const range = { query, startMs: instant.timeMs, endMs: instant.timeMs, stepMs: 1000 };
      const series = await engine.range(unhinted, range);
      assert.deepEqual((await engine.range(head, range)).value, series.value, query);
    }
});
