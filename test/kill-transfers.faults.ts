import assert from "node:assert/strict";
import { test } from "node:test";
import { killTransfers } from "./support/kill-transfers.ts";

test("50 deaths of the coordinator at each of six steps of a transfer", async () => {
  const figures = await killTransfers({ killsPerPhase: 50, seed: 2 });
  console.log(JSON.stringify(figures));
  assert.equal(figures.kills, 300);
  assert.equal(figures.gapIntervals, 0);
  assert.ok(figures.overlapIntervals <= 5);
  assert.ok(figures.worstRateError <= 0.01);
});
