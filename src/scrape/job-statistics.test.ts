import assert from "node:assert/strict";
import { test } from "node:test";
import { countMetrics, type MetricCount } from "./job-statistics.ts";
import { LineCacheHarness } from "./line-cache.fixture.ts";

function counts(harness: LineCacheHarness): Record<string, MetricCount> {
  const into = new Map<string, MetricCount>();
  countMetrics(harness.cache, into);
  return Object.fromEntries(into);
}

test("samples are counted by metric name, before and after relabelling", () => {
  const harness = new LineCacheHarness();
  harness.scrape(`# TYPE a counter
a{x="1"} 1
a{x="2"} 1
ab 2
ab{x="{"} 2
a {x="3"} 1
drop_me{x="1"} 1
drop_me{x="2"} 1
{"a",x="4"} 1
{x="5","drop.it"} 1
a{x="1"} 1
drop_me{x="1"} 1
`);
  assert.deepEqual(counts(harness), {
    a: { total: 5, scraped: 5 },
    ab: { total: 2, scraped: 2 },
    drop_me: { total: 3, scraped: 0 },
    "drop.it": { total: 1, scraped: 0 },
  });
});

test("only the last good body counts, and counts of targets add up", () => {
  const first = new LineCacheHarness();
  assert.deepEqual(counts(first), {});
  first.scrape("a 1\nb 1\n");
  first.scrape("a 1\n");
  first.scrape("broken\n");
  assert.deepEqual(counts(first), { a: { total: 1, scraped: 1 } });
  const into = new Map<string, MetricCount>();
  const second = new LineCacheHarness();
  second.scrape('a{x="1"} 1\nc 1\n');
  for (const { cache } of [first, second]) countMetrics(cache, into);
  assert.deepEqual(Object.fromEntries(into), {
    a: { total: 2, scraped: 2 },
    c: { total: 1, scraped: 1 },
  });
});
