import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzzQueries } from "./testing/fuzz.ts";

const SECONDS = Number(process.env["SHOAL_FUZZ_SECONDS"] ?? 600);
const SEED = Number(process.env["SHOAL_FUZZ_SEED"] ?? Date.now() % 1_000_000);

test(`damaged queries for ${SECONDS} s`, async (context) => {
  const endMs = performance.now() + SECONDS * 1000;
  const outcome = await fuzzQueries(SEED, () => performance.now() > endMs);
  context.diagnostic(`seed ${SEED}: ${JSON.stringify(outcome)}`);
  assert.ok(outcome.refused > 0 && outcome.evaluated > 0);
});
