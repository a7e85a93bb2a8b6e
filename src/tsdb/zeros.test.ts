import assert from "node:assert/strict";
import { test } from "node:test";
import { temporaryFolder } from "../../test/support/processes.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { newHistogram, zeroBefore } from "../model/histogram.ts";
import { createMatcher } from "../model/matcher.ts";
import { type AppendBatch, NOTHING_APPENDED } from "../storage/appender.ts";
import { decodeHistogramChunk } from "../storage/chunk-encodings.ts";
import { openHead } from "./open-head.ts";
import { columns, labels, read, samples, stoppedClock } from "./testing/head-fixture.ts";

const START = 1_700_000_000_000;
const HOUR = 3_600_000;

const options = (registry = new Registry()): Parameters<typeof openHead>[0] => ({
  folder: temporaryFolder("zeros"),
  logger: silentLogger,
  clock: stoppedClock(START),
  registry,
  retentionMs: 24 * HOUR,
  outOfOrderTimeWindowMs: 12 * HOUR,
});

test("zeros are put in front of samples, never out of order, and nobody counts them", async () => {
  const registry = new Registry();
  const head = await openHead(options(registry));
  const [a, b] = [head.resolve(labels({ x: "a" })), head.resolve(labels({ x: "b" }))];
  const places = (...list: number[]): Int32Array => Int32Array.from(list);
  const zeros = { histograms: places(), beforeMs: START };
  // Older than half a chunk range before what comes, though there is nothing yet.
  const old = columns([
    [a, START - HOUR - 1, 0],
    [b, START - HOUR, 0],
  ]);
  await head.append({ ...old, zeros: { ...zeros, floats: places(0, 1) } });
  const mixed = columns([
    [a, START, 5],
    [a, START - 1000, 0],
    [a, START + 1000, 0],
    [4711, START, 0],
    [a, START + 2000, 7],
    // The same once more, and one that comes too late when it is its turn.
    [a, START + 1000, 0],
    [a, START + 1500, 0],
    [a, START + 3000, 9],
    [b, START - 2000, 0],
    [b, NaN, 0],
  ]);
  const result = await head.append({
    ...mixed,
    zeros: { ...zeros, floats: places(1, 2, 3, 5, 6, 8, 9) },
    listRefused: true,
  });
  assert.deepEqual(result, {
    ...NOTHING_APPENDED,
    appended: 3,
    unknownRef: 1,
    refused: [{ part: "float", index: 3, reason: "unknown-ref" }],
  });
  const all = await read(head, [createMatcher("x", "=~", ".+")]);
  assert.deepEqual(all.map(samples), [
    [
      [START, 5],
      [START + 1000, 0],
      [START + 2000, 7],
      [START + 3000, 9],
    ],
    [
      [START - HOUR, 0],
      [START - 2000, 0],
    ],
  ]);
  const counted = registry.expose().match(/^prometheus_tsdb_(?:out_of|too_old).*$/gm) ?? [];
  assert.ok(counted.length > 0);
  for (const line of counted) assert.match(line, / 0$/);
  await head.close();
});

test("zeros of histograms are put in front of them", async () => {
  const head = await openHead(options());
  const ref = head.resolve(labels({ x: "a" }));
  const one = newHistogram({ count: 2, zeroCount: 2, zeroThreshold: 0.5 });
  const histograms = [zeroBefore(one), one, zeroBefore(one), zeroBefore(one), one];
  const batch: AppendBatch = {
    ...columns([]),
    histograms: {
      refs: Int32Array.from(histograms, () => ref),
      times: Float64Array.of(START - 1000, START, START - 1000, START + 10, START + 20),
      histograms,
      isFloat: new Uint8Array(5),
      count: 5,
    },
    zeros: { floats: new Int32Array(0), histograms: Int32Array.of(0, 2, 3), beforeMs: START },
  };
  assert.deepEqual(await head.append(batch), { ...NOTHING_APPENDED, appendedHistograms: 2 });
  const [series] = await read(head, [createMatcher("x", "=", "a")]);
  const found = series!.chunks.flatMap((chunk) => {
    const { times, histograms: decoded } = decodeHistogramChunk(chunk);
    return decoded.map(({ count, zeroThreshold }, i) => [times[i]! - START, count, zeroThreshold]);
  });
  assert.deepEqual(found, [
    [-1000, 0, 0.5],
    [0, 2, 0.5],
    [10, 0, 0.5],
    [20, 2, 0.5],
  ]);
  await head.close();
});
