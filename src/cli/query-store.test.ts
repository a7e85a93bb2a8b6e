import assert from "node:assert/strict";
import { test } from "node:test";
import { Labels } from "../model/labels.ts";
import type { EndpointStatus } from "../query/endpoint-set.ts";
import { labelSetsOf } from "./query-store.ts";

const status = (...labelSets: Record<string, string>[]): EndpointStatus => ({
  address: "a:1",
  strict: false,
  health: "healthy",
  lastError: "",
  lastCheckMs: 0,
  componentType: "sidecar",
  labelSets: labelSets.map((set) => Labels.fromObject(set)),
  minTimeMs: 0,
  maxTimeMs: 1,
});

test("a query announces the labels of all its stores, each set once", () => {
  const shown = (...statuses: EndpointStatus[]): string[] =>
    labelSetsOf(statuses).map((set) => set.toString());
  const eu = { cluster: "eu", replica: "a" };
  assert.deepEqual(shown(status(eu, { cluster: "us" }), status(eu)), [
    '{cluster="eu", replica="a"}',
    '{cluster="us"}',
  ]);
  assert.deepEqual(shown(status(eu), status()), ['{cluster="eu", replica="a"}', "{}"]);
  assert.deepEqual(shown(status(), status()), []);
  assert.deepEqual(shown(), []);
});
