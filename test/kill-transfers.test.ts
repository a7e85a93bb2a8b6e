import assert from "node:assert/strict";
import { test } from "node:test";
import { killTransfers } from "./support/kill-transfers.ts";

test("a coordinator that dies at any step of a transfer costs no scrape", async () => {
  const figures = await killTransfers({ killsPerPhase: 1, seed: 1 });
  assert.equal(figures.kills, 6);
  assert.equal(figures.gapIntervals, 0, JSON.stringify(figures));
  assert.ok(figures.overlapIntervals <= 5, JSON.stringify(figures));
  assert.ok(figures.worstRateError <= 0.01, JSON.stringify(figures));
});
