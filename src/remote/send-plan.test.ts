import assert from "node:assert/strict";
import { test } from "node:test";
import { planShards } from "./send-plan.ts";

const limits = { current: 4, min: 1, max: 50 };
const steady = { inPerSecond: 1000, outPerSecond: 1000, busyPerSecond: 4, behindSeconds: 0 };

test("as many queues as are busy", () => {
  assert.equal(planShards(steady, limits), 4);
  assert.equal(planShards({ ...steady, busyPerSecond: 8 }, limits), 8);
  assert.equal(planShards({ ...steady, busyPerSecond: 0.5 }, limits), 1);
});

test("small changes are not made", () => {
  assert.equal(planShards({ ...steady, busyPerSecond: 5 }, limits), 4);
  assert.equal(planShards({ ...steady, busyPerSecond: 3 }, limits), 4);
});

test("what waits is caught up with, within the limits", () => {
  // 60 s behind: 5 % of 60,000 samples a second more, four times as much as comes.
  assert.equal(planShards({ ...steady, behindSeconds: 60 }, limits), 16);
  assert.equal(planShards({ ...steady, behindSeconds: 3600 }, limits), 50);
});

test("nothing sent says nothing about how many", () => {
  assert.equal(planShards({ ...steady, outPerSecond: 0 }, limits), 4);
  assert.equal(planShards({ ...steady, outPerSecond: 0 }, { current: 9, min: 1, max: 5 }), 5);
});
