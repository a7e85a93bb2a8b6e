/** Zeros in front of samples that tell when their series were created. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { compressSnappy } from "../base/snappy.ts";
import { newHistogram, zeroBefore } from "../model/histogram.ts";
import { FakeStorage, NOW, receiverOf, series } from "./write-receiver.fixture.ts";
import type { WriteReceiver } from "./write-receiver.ts";
import { type RequestSeries, V2_HEADERS, writeRequestV2 } from "./write-request.fixture.ts";

/** One series of each kind that tells when it was created. */
const CREATED: readonly RequestSeries[] = [
  { ...series("one", [0, 1]), createdMs: NOW - 5 },
  { ...series("many", [0, 1], [1, 2]), createdMs: NOW - 5 },
  { labels: series("own").labels, samples: [[NOW, 1, NOW - 7]], createdMs: NOW - 5 },
  {
    labels: series("several").labels,
    samples: [
      [NOW, 1, NOW - 7],
      [NOW + 1, 2],
      [NOW + 9, 3, NOW + 8],
    ],
  },
  { ...series("late", [0, 1]), createdMs: NOW },
  {
    ...series("described", [0, 1]),
    createdMs: NOW - 5,
    metadata: { type: 1, help: "h", unit: "" },
  },
  { ...series("never", [0, 1]) },
];

async function sendCreated(receiver: WriteReceiver): Promise<void> {
  const answer = await receiver.receive({
    contentType: V2_HEADERS["content-type"],
    contentEncoding: "snappy",
    body: compressSnappy(writeRequestV2(CREATED)),
  });
  assert.equal(answer.status, 204);
}

test("2.0: samples that tell when their series was created get a zero in front", async () => {
  const storage = new FakeStorage();
  const receiver = receiverOf(storage, { takesCreated: true });
  const stored = `
    one zero@-5, one 1@0, many zero@-5, many 1@0, many 2@1, own zero@-7, own 1@0,
    several zero@-7, several 1@0, several 2@1, several zero@8, several 3@9, late 1@0,
    described zero@-5, described 1@0, never 1@0`
    .split(",")
    .map((row) => row.trim().replace(" ", '{job="j"} '));
  await sendCreated(receiver);
  assert.deepEqual(storage.stored, stored);
  assert.equal(storage.batches[0]!.zeros?.beforeMs, NOW);
  // Now that they are known, most are read in another way.
  await sendCreated(receiver);
  assert.deepEqual(storage.stored.slice(stored.length), stored);
  storage.forget();
  await sendCreated(receiver);
  assert.deepEqual(storage.stored.slice(2 * stored.length), stored);
});

test("2.0: when series were created is passed over unless it is asked for", async () => {
  const storage = new FakeStorage();
  await sendCreated(receiverOf(storage));
  assert.equal(storage.stored.length, 10);
  assert.equal(storage.batches[0]!.zeros, undefined);
});

test("2.0: histograms that tell when their series was created get a zero of their layout in front", async () => {
  const storage = new FakeStorage();
  const { labels } = series("h");
  const histogram = newHistogram({ schema: 3, zeroThreshold: 0.5, count: 2, zeroCount: 2 });
  const at = (timeMs: number, startMs = 0, isFloat = false) => ({
    timeMs: NOW + timeMs,
    histogram,
    isFloat,
    ...(startMs !== 0 && { startMs: NOW + startMs }),
  });
  const answer = await receiverOf(storage, { takesCreated: true }).receive({
    contentType: V2_HEADERS["content-type"],
    contentEncoding: "snappy",
    body: compressSnappy(
      writeRequestV2([
        { labels, histograms: [at(0, 0, true), at(10, 5)], createdMs: NOW - 5 },
        { labels, histograms: [at(20), at(30, 31)] },
      ]),
    ),
  });
  assert.equal(answer.status, 204);
  const { histograms, zeros } = storage.batches[0]!;
  assert.deepEqual(
    [...histograms!.times].map((t) => t - NOW),
    [-5, 0, 5, 10, 20, 30],
  );
  assert.deepEqual([...histograms!.isFloat], [1, 1, 0, 0, 0, 0]);
  assert.deepEqual(histograms!.histograms[2], zeroBefore(histogram));
  assert.deepEqual([...zeros!.histograms], [0, 2]);
  assert.equal(new Set(histograms!.refs).size, 1);
});

test("2.0: a zero that lies ahead of the clock goes with its sample, and is not told", async () => {
  const storage = new FakeStorage();
  const far = 20 * 60_000;
  const answer = await receiverOf(storage, { takesCreated: true }).receive({
    contentType: V2_HEADERS["content-type"],
    contentEncoding: "snappy",
    body: compressSnappy(
      writeRequestV2([
        { ...series("far", [far, 1]), createdMs: NOW + far - 1 },
        { ...series("near", [1, 1]), createdMs: NOW },
      ]),
    ),
  });
  assert.equal(answer.status, 400);
  assert.equal(answer.text.split("\n").length, 1);
  assert.deepEqual(storage.stored, ['near{job="j"} zero@0', 'near{job="j"} 1@1']);
});
