import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  decodeAggregateAnswer,
  decodeAggregateRequest,
  encodeAggregateAnswer,
  encodeAggregateRequest,
  type AggregateAnswerMessage,
} from "./aggregate.ts";
import { MAX_INT64 } from "./wire.ts";

describe("messages of shoal.Aggregate", () => {
  it("a request comes back as it was", () => {
    const request = {
      query: 'sum by (é) (x{a="b"})',
      startMs: -5,
      endMs: 1_700_000_000_000,
      stepMs: 15_000,
      lookbackMs: 300_000,
      subqueryStepMs: 60_000,
      steps: 241,
      features: ["a", "b"],
      without: ["replica"],
      maxSamples: 50_000_000,
      maxSeries: MAX_INT64,
      maxBytes: 2 ** 40,
      maxTimeMs: 120_000,
      isOnly: true,
    };
    assert.deepEqual(decodeAggregateRequest(encodeAggregateRequest(request)), request);
    assert.equal(
      decodeAggregateRequest(encodeAggregateRequest({ ...request, maxBytes: Infinity })).maxBytes,
      MAX_INT64,
    );
  });

  const answer: AggregateAnswerMessage = {
    groups: [
      {
        labels: [["job", "a"]],
        first: [
          ["__name__", "x"],
          ["job", "a"],
        ],
        dropName: true,
      },
      { labels: [], first: [], dropName: false },
    ],
    candidates: [{ labels: [["job", "b"]], first: [], dropName: false }],
    main: Float64Array.of(1, -0, NaN, Infinity, 5e-324),
    side: Float64Array.of(0.1),
    weight: new Float64Array(0),
    counts: Uint32Array.of(1, 2 ** 32 - 1),
    flags: Uint8Array.of(1, 2, 255),
    rows: Uint32Array.of(0),
    seriesHashes: Uint32Array.of(7, 8, 9, 10),
    stats: Float64Array.of(1, 2, 3),
  };

  it("so does an answer", () =>
    assert.deepEqual(decodeAggregateAnswer(encodeAggregateAnswer(answer)), answer));

  it("an answer is never empty, as what says that it is being made", () => {
    const empty = new Float64Array(0);
    const nothing = { ...answer, groups: [], candidates: [], main: empty, side: empty };
    assert.ok(encodeAggregateAnswer(nothing).length > 0);
  });

  it("columns that are cut off are refused", () => {
    const bytes = encodeAggregateAnswer({
      ...answer,
      // Twelve bytes cannot be whole hashes.
      seriesHashes: Uint32Array.of(1, 2, 3),
    });
    assert.throws(() => decodeAggregateAnswer(bytes), /cut off/);
  });
});
