import assert from "node:assert/strict";
import { test } from "node:test";
import { killLeaders } from "./support/leader-deaths.ts";

/** Pairs of coordinators at a time: each spends its time waiting for a lease to end. */
const PAIRS = 4;
const ROUNDS = 200;
const FAILOVER_MS = 20_000;
/** Shards go on by themselves, so a leader's death costs no scrape; on a busy machine one starts late. */
const SCRAPE_GAP_MS = 3_000;

test("200 kills and pauses of the leading coordinator", async () => {
  const all = await Promise.all(
    Array.from({ length: PAIRS }, (_, seed) => killLeaders({ rounds: ROUNDS / PAIRS, seed })),
  );
  for (const figures of all) console.log(JSON.stringify(figures));
  for (const figures of all) {
    assert.equal(figures.kills + figures.pauses, ROUNDS / PAIRS);
    assert.ok(figures.epochs > ROUNDS / PAIRS);
    assert.equal(figures.sharedEpochs, 0);
    assert.equal(figures.lateCalls, 0);
    assert.ok(figures.longestFailoverMs <= FAILOVER_MS);
    assert.ok(figures.longestScrapeGapMs <= SCRAPE_GAP_MS);
  }
});
