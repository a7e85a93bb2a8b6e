import assert from "node:assert/strict";
import { test } from "node:test";
import { cutAfter, FormerSeries, headStart } from "./head-model.ts";
import { HOUR_MS } from "./sim-target.ts";

test("series outlive their target by one to three hours, until the cut that ends after them", () => {
  assert.equal(cutAfter(0), 3 * HOUR_MS);
  assert.equal(cutAfter(2 * HOUR_MS - 1), 3 * HOUR_MS);
  assert.equal(cutAfter(2 * HOUR_MS), 5 * HOUR_MS);
  assert.equal(headStart(3 * HOUR_MS - 1), 0);
  assert.equal(headStart(3 * HOUR_MS), 2 * HOUR_MS);
});

test("former series count until they are cut or their target is back", () => {
  const former = new FormerSeries();
  former.add("a", 10, HOUR_MS);
  former.add("b", 20, 2.5 * HOUR_MS);
  former.add("c", 40, HOUR_MS);
  assert.equal(former.sum(2 * HOUR_MS), 70);
  former.take("c");
  former.take("never there");
  assert.equal(former.sum(3 * HOUR_MS - 1), 30);
  assert.equal(former.sum(3 * HOUR_MS), 20);
  former.add("b", 25, 4.5 * HOUR_MS);
  assert.equal(former.sum(5 * HOUR_MS), 25);
  assert.equal(former.sum(7 * HOUR_MS), 0);
});
