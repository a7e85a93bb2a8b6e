import assert from "node:assert/strict";
import { test } from "node:test";
import { formatTimeText } from "./time-text.ts";

test("times are printed as Go prints them, however far away", () => {
  const f = (seconds: number, want: string): void =>
    assert.equal(formatTimeText(seconds * 1000), want);
  f(0, "1970-01-01T00:00:00.000Z");
  f(1_700_000_000.5, "2023-11-14T22:13:20.500Z");
  f(-0.001, "1969-12-31T23:59:59.999Z");
  // From the query log of Prometheus 3.14.
  f(-62_135_596_800.5, "0000-12-31T23:59:59.500Z");
  f(-1e11, "-1199-02-15T14:13:20.000Z");
  f(1e12, "33658-09-27T01:46:40.000Z");
  f(9e15, "285200616-07-24T16:00:00.000Z");
  f(-9e15, "-285196677-06-10T08:00:00.000Z");
  assert.match(formatTimeText(1e300), /^292278994-08-17T07:12:/);
  assert.match(formatTimeText(-Infinity), /^-292275055-05-16T16:47:/);
});
