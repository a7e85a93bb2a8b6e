import assert from "node:assert/strict";
import { test } from "node:test";
import type { WhyAnswer } from "../api/coordinator/why-answer.ts";
import { explainText } from "./explain-text.ts";

const load = {
  series: 10_045,
  totalSeries: 12_000,
  samplesPerSecond: 669.67,
  bodyBytesPerSecond: 0.254,
  newSeriesPerHour: 0,
};
const limits = { maxHeadSeries: 30_000, maxProcessSeries: 1_000_000, maxSamplesPerSecond: 0 };

const moving: WhyAnswer = {
  situation: "moving",
  summary: "It moves from shard-0 to shard-1.",
  hash: "1241054366830102733",
  job: "node",
  url: "http://a:9100/metrics",
  labels: { instance: "a:9100", job: 'no"de' },
  discoveredLabels: { __address__: "a:9100" },
  shard: "shard-1",
  since: "2026-01-02T03:04:05.678Z",
  health: "down",
  lastError: "connection refused",
  load,
  cost: { ...load, series: 10_050 },
  conditions: [{ kind: "too-big", reason: "it is large" }],
  replicas: [
    { replica: "", situation: "moving", shard: "shard-1", since: "2026-01-02T03:04:05.678Z" },
  ],
  scrapers: [],
  decisions: [
    {
      id: 8,
      time: "2026-01-02T03:04:05.678Z",
      kind: "move",
      from: "shard-0",
      to: "shard-1",
      reason: "shard-0 is at 120% of its limit",
    },
    { id: 1, time: "2026-01-02T01:00:00.000Z", kind: "assign", to: "shard-0", reason: "room" },
  ],
  candidates: [
    {
      replica: "",
      shard: "shard-0",
      state: "ready",
      targets: 12,
      used: { ...load, series: 29_000 },
      limits,
      utilisation: 0.967,
      utilisationWith: 1.3,
      owner: true,
      fits: true,
      verdict: "has it",
    },
    {
      replica: "",
      shard: "shard-1",
      state: "lost",
      targets: 0,
      used: { ...load, series: 0, totalSeries: 0 },
      limits: { ...limits, maxHeadSeries: 0 },
      utilisation: 0,
      utilisationWith: 0.01,
      owner: false,
      fits: false,
      verdict: "counts as lost",
    },
  ],
  planned: "2026-01-02T03:04:05.678Z",
};

const NOW_MS = Date.parse("2026-01-02T03:04:35.678Z");

test("a target is explained in paragraphs and columns", () => {
  assert.equal(
    explainText({ total: 1, matches: [], why: moving }, NOW_MS),
    `http://a:9100/metrics (job node)
It moves from shard-0 to shard-1.

  hash      1241054366830102733
  labels    {instance="a:9100", job="no\\"de"}
  shard     shard-1, since 2026-01-02T03:04:05Z (30s)
  health    down: connection refused
  load      10045 series (12000 before relabelling), 670 samples/s, 0.25 bytes/s, 0 new series/h
  takes up  10050 series

What stands
  too-big  it is large

What was decided, newest first
  2026-01-02T03:04:05Z  move    shard-0 → shard-1  shard-0 is at 120% of its limit
  2026-01-02T01:00:00Z  assign  shard-0            room

What else was possible
  shard      state  targets  head series     before relabelling  full → with it
  shard-0 *  ready  12       29000 of 30000  12000 of 1000000    97 % → 130 %    has it
  shard-1    lost   0        0               0 of 1000000        0 % → 1 %       counts as lost
`,
  );
});

test("several matches are listed with what tells them apart", () => {
  const matches = [
    { hash: "1", job: "a", url: "http://a/" },
    { job: "longer", discoveredLabels: { __address__: "b" } },
  ];
  assert.equal(
    explainText({ total: 5, matches }, NOW_MS),
    `5 targets are meant. Name one by its hash or URL:
  1        job a       http://a/
  dropped  job longer  {__address__="b"}
  and 3 more
`,
  );
});

test("a target that relabelling dropped shows its labels before it", () => {
  const { summary, planned } = moving;
  const nothing = { conditions: [], replicas: [], scrapers: [], decisions: [], candidates: [] };
  const why: WhyAnswer = {
    ...nothing,
    situation: "dropped",
    summary,
    planned,
    job: "node",
    discoveredLabels: { __address__: "b:1" },
  };
  assert.equal(
    explainText({ total: 1, matches: [], why }, NOW_MS),
    `b:1 (job node)
It moves from shard-0 to shard-1.

  discovered  {__address__="b:1"}
`,
  );
});
