import assert from "node:assert/strict";
import { test } from "node:test";
import { FirstScrapes } from "./first-scrapes.ts";
import type { ScrapeView } from "./prometheus-view.ts";

const scrape = (atMs: number, series: number, added: number | undefined): ScrapeView => ({
  health: "up",
  lastError: "",
  lastScrapeMs: atMs,
  lastDurationMs: 1,
  seriesScraped: series,
  seriesPostRelabel: series,
  seriesAdded: added,
});

/** What is told of each scrape, one after the other. */
function told(scrapes: readonly ScrapeView[]): (number | undefined)[] {
  const first = new FirstScrapes();
  return scrapes.map((target) => {
    const view = { targets: new Map([["1", target]]), headSeries: 7 };
    return first.correct(view).targets.get("1")!.seriesAdded;
  });
}

test("a scrape that finds every series new says nothing, also when it is looked at twice", () => {
  const scrapes = [scrape(1, 9, 9), scrape(1, 9, 9), scrape(2, 9, 0), scrape(3, 10, 2)];
  assert.deepEqual(told(scrapes), [0, 0, 0, 2]);
  // Prometheus starts again.
  assert.deepEqual(told([scrape(1, 9, 1), scrape(2, 9, 9), scrape(3, 9, 1)]), [1, 0, 1]);
  assert.deepEqual(told([scrape(1, 9, undefined), scrape(2, 9, 9)]), [undefined, 0]);
});

test("a target whose series are new every time is like that", () => {
  const scrapes = [scrape(1, 9, 9), scrape(2, 9, 9), scrape(3, 8, 8), scrape(4, 9, 0)];
  assert.deepEqual(told([...scrapes, scrape(5, 9, 9)]), [0, 9, 8, 0, 0]);
});
