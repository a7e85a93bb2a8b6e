import assert from "node:assert/strict";
import { test } from "node:test";
import type { JobStatistics } from "../scrape/job-statistics.ts";
import { addStatistics, decodeStatistics, encodeStatistics, perSecond } from "./statistics.ts";

const statistics: JobStatistics = {
  scrapedTotal: 30,
  total: 60,
  metrics: new Map([
    ["up", { total: 20, scraped: 10 }],
    ["__proto__", { total: 40, scraped: 20 }],
  ]),
};

test("what is sent is what is read, whatever jobs and metrics are called", () => {
  const jobs = new Map([
    ["__proto__", statistics],
    ["node", { scrapedTotal: 0, total: 0, metrics: new Map() }],
  ]);
  assert.deepEqual(decodeStatistics(JSON.parse(JSON.stringify(encodeStatistics(jobs)))), jobs);
});

test("a Kvass sidecar's total, which is always 0, is made good", () => {
  const sent = {
    a: { scrapedTotal: 30, total: 0, metricsTotal: { up: { total: 50, scraped: 30 } } },
    b: { scrapedTotal: 30, total: 0, metricsTotal: null },
  };
  const jobs = decodeStatistics(sent);
  assert.equal(jobs.get("a")?.total, 50);
  assert.equal(jobs.get("b")?.total, 30);
});

test("shards add up, metric by metric, and counts become rates", () => {
  const sum = new Map<string, JobStatistics>();
  addStatistics(sum, new Map([["node", statistics]]));
  addStatistics(
    sum,
    new Map([
      ["node", { scrapedTotal: 5, total: 5, metrics: new Map([["up", { total: 5, scraped: 5 }]]) }],
    ]),
  );
  assert.deepEqual(perSecond(sum.get("node")!, 2.5), {
    scrapedTotal: 14,
    total: 26,
    metrics: new Map([
      ["up", { total: 10, scraped: 6 }],
      ["__proto__", { total: 16, scraped: 8 }],
    ]),
  });
  assert.equal(statistics.metrics.get("up")?.total, 20, "the parts stay as they were");
});

test("what cannot be read is refused with its path", () => {
  assert.throws(() => decodeStatistics([]), /cannot read samples: it must be an object/);
  assert.throws(() => decodeStatistics({ a: 1 }), /cannot read a: it must be an object/);
  assert.throws(
    () => decodeStatistics({ a: { total: "x" } }),
    /cannot read total: it must be a number of at least 0/,
  );
});
