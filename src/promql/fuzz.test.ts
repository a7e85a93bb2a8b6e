import assert from "node:assert/strict";
import { test } from "node:test";
import { fuzzQueries } from "./testing/fuzz.ts";

test("damaged queries are refused or answered, and do no harm (short form of promql.fuzz.ts)", async () => {
  const outcome = await fuzzQueries(1, (tried) => tried === 1_500);
  assert.ok(outcome.refused > 200 && outcome.evaluated > 200, JSON.stringify(outcome));
});
