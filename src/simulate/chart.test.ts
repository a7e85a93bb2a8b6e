import assert from "node:assert/strict";
import { test } from "node:test";
import { drawChart } from "./chart.ts";
import type { Report } from "./report.ts";
import type { Sample } from "./simulation.ts";
import { element, linePath, niceTicks, steps } from "./svg.ts";

const MINUTE_MS = 60_000;

function sample(i: number, rest: Partial<Sample> = {}): Sample {
  return {
    atMs: (i + 1) * MINUTE_MS,
    targets: 10,
    series: 1000,
    desired: 2,
    running: 2,
    meanUse: 0.5,
    maxUse: 0.8,
    spread: 1.1,
    isSteady: true,
    moves: 0,
    lossGaps: 0,
    gaps: 0,
    overlaps: 0,
    ...rest,
  };
}

function report(timeline: readonly Sample[], events: Report["events"] = []): Report {
  const shards = { first: 1, min: 1, max: 3, last: 2, hours: 1 };
  return {
    scenario: { duration: '1h" <b>', seed: "1" },
    timeline,
    events,
    promises: [],
    figures: { shards, mostTargets: 10 },
  } as unknown as Report;
}

/** Every tag is closed in order, and no attribute or text breaks out. */
function assertWellFormed(svg: string): void {
  const open: string[] = [];
  const rest = svg.replaceAll(
    /<(\/?)([a-z]+)((?: [\w-]+="[^"<]*")*)(\/?)>/g,
    (_, end, name, __, empty) => {
      if (end === "/") assert.equal(open.pop(), name);
      else if (empty === "") open.push(name);
      return "";
    },
  );
  assert.deepEqual(open, []);
  assert.doesNotMatch(rest, /[<>]/);
  assert.doesNotMatch(svg, /NaN|Infinity|undefined/);
}

test("the picture is well-formed, names what it shows, and shows every fault", () => {
  const timeline = Array.from({ length: 90 }, (_, i) =>
    sample(i, { desired: 1 + (i % 3), moves: i, gaps: i % 2, lossGaps: 3, overlaps: 5 }),
  );
  const events = [
    { kind: "shard-loss", atMs: 1000, durationMs: 1, what: "shard-0 <crashed>" },
    { kind: "sd-outage", atMs: 2000, durationMs: 60_000, what: "discovery lists nothing" },
    { kind: "coordinator-restart", atMs: 3000, durationMs: 1, what: "coordinator killed" },
  ] as const;
  const svg = drawChart(report(timeline, events));
  assertWellFormed(svg);
  for (const text of [
    ">1 → 3 → 2 shards for 10 targets<",
    "1h&quot; &lt;b&gt;, seed 1 · 1 shard loss · 1 discovery outage · 1 coordinator restart",
    "<title>00:00:01 shard-0 &lt;crashed&gt;</title>",
    "<title>00:00:02 discovery lists nothing</title>",
    "<title>00:00:03 coordinator killed</title>",
    ">Moves per 1m<",
    ">1h20m<",
    "prefers-color-scheme: dark",
  ])
    assert.ok(svg.includes(text), `no ${text}`);
});

test("a run in which nothing happened, and one of a single sample, have a picture too", () => {
  const nothing = { targets: 0, desired: 0, running: 0, meanUse: 0, maxUse: 0 };
  assertWellFormed(drawChart(report([sample(0, nothing)])));
  assertWellFormed(drawChart(report([])));
});

test("axes end on round numbers at or above the largest value", () => {
  assert.deepEqual(niceTicks(60, 4), [0, 20, 40, 60]);
  assert.deepEqual(niceTicks(61, 4), [0, 20, 40, 60, 80]);
  assert.deepEqual(niceTicks(0, 4), [0, 1]);
  assert.deepEqual(niceTicks(1, 4), [0, 0.25, 0.5, 0.75, 1]);
  assert.deepEqual(niceTicks(10_000, 2), [0, 5000, 10_000]);
  assert.deepEqual(niceTicks(5, 4), [0, 2, 4, 6]);
});

test("paths leave out what changes nothing, and steps hold until the next", () => {
  const points = [0, 1, 1, 1, 2].map((y, x) => ({ x, y }));
  assert.equal(linePath(points), "M0,0 L1,1 L3,1 L4,2");
  assert.deepEqual(steps(points.slice(3)), [
    { x: 3, y: 1 },
    { x: 4, y: 1 },
    { x: 4, y: 2 },
  ]);
  assert.equal(element("rect", { x: 1.26, class: 'a"b' }), '<rect x="1.3" class="a&quot;b"/>');
});
