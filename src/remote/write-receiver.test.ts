import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { compressSnappy } from "../base/snappy.ts";
import { newHistogram } from "../model/histogram.ts";
import { stoppedClock } from "../tsdb/testing/head-fixture.ts";
import { FakeStorage, NOW, receiverOf, series } from "./write-receiver.fixture.ts";
import { messageTypeOf, WRITE_V1, WRITE_V2, WriteReceiver } from "./write-receiver.ts";
import {
  type RequestSeries,
  V1_HEADERS,
  V2_HEADERS,
  writeRequestV1,
  writeRequestV2,
} from "./write-request.fixture.ts";

const VERSIONS = [
  ["1.0", writeRequestV1, V1_HEADERS["content-type"]],
  ["2.0", writeRequestV2, V2_HEADERS["content-type"]],
] as const;

for (const [version, encode, contentType] of VERSIONS) {
  const send = (
    receiver: WriteReceiver,
    list: readonly RequestSeries[],
  ): ReturnType<WriteReceiver["receive"]> =>
    receiver.receive({
      contentType,
      contentEncoding: "snappy",
      body: compressSnappy(encode(list)),
    });

  test(`${version}: known series are found without asking the storage`, async () => {
    const storage = new FakeStorage();
    const receiver = receiverOf(storage);
    for (let i = 0; i < 3; i++)
      assert.equal((await send(receiver, [series("a", [i, i]), series("b", [i, -i])])).status, 204);
    assert.equal(storage.resolved, 2);
    assert.equal(storage.stored.length, 6);
    assert.equal(storage.stored[5], 'b{job="j"} -2@2');
  });

  test(`${version}: series that the storage has forgotten are resolved again, nothing is lost or doubled`, async () => {
    const storage = new FakeStorage();
    const receiver = receiverOf(storage);
    await send(receiver, [series("a", [0, 1]), series("b", [0, 2])]);
    storage.forget();
    const answer = await send(receiver, [series("a", [1, 3], [2, 4]), series("new", [1, 5])]);
    assert.equal(answer.status, 204);
    assert.deepEqual(storage.stored.slice(2).sort(), [
      'a{job="j"} 3@1',
      'a{job="j"} 4@2',
      'new{job="j"} 5@1',
    ]);
    if (version === "2.0") assert.equal(answer.written?.samples, 3);
  });

  test(`${version}: a full storage is not the sender's fault`, async () => {
    const storage = new FakeStorage();
    storage.full = true;
    await assert.rejects(send(receiverOf(storage), [series("a", [0, 1])]), {
      code: "unavailable",
    });
  });

  test(`${version}: a request with too many series is refused`, async () => {
    const storage = new FakeStorage();
    const receiver = receiverOf(storage, { maxSeries: 2 });
    assert.equal((await send(receiver, [series("a", [0, 1]), series("b", [0, 1])])).status, 204);
    const answer = await send(
      receiver,
      ["a", "b", "c"].map((name) => series(name, [0, 1])),
    );
    assert.equal(answer.status, 400);
    assert.match(answer.text, /more than 2 series.*--web.remote-write-receiver.max-series/);
    assert.equal(storage.stored.length, 2);
  });

  test(`${version}: histograms reach the storage as they were sent`, async () => {
    const storage = new FakeStorage();
    const histogram = newHistogram({
      schema: -3,
      count: 9,
      sum: 0.1,
      zeroThreshold: 1e-9,
      zeroCount: 2,
      counterResetHint: "gauge",
      positiveSpans: Int32Array.of(-4, 2, 300, 1),
      positiveBuckets: Float64Array.of(4, 1, 2),
    });
    const custom = newHistogram({
      schema: -53,
      count: 1.5,
      positiveSpans: Int32Array.of(1, 1),
      positiveBuckets: Float64Array.of(1.5),
      customValues: Float64Array.of(-1, 0.5),
    });
    const labels = series("h").labels;
    const answer = await send(receiverOf(storage), [
      { labels, histograms: [{ timeMs: NOW, histogram, isFloat: false }] },
      { labels, histograms: [{ timeMs: NOW + 1, histogram: custom, isFloat: true }] },
    ]);
    assert.equal(answer.status, 204);
    const { histograms } = storage.batches[0]!;
    assert.ok(histograms !== undefined);
    assert.deepEqual(histograms.histograms, [histogram, custom]);
    assert.deepEqual([...histograms.isFloat], [0, 1]);
    assert.deepEqual([...histograms.times], [NOW, NOW + 1]);
  });

  test(`${version}: every bit of a value arrives`, async () => {
    const storage = new FakeStorage();
    const receiver = receiverOf(storage);
    const words = new Int32Array(2000);
    let state = 1;
    for (let i = 0; i < words.length; i++) words[i] = state = Math.imul(state, 0x5bd1e995) + 1;
    // Every other one is a NaN.
    for (let i = 1; i < words.length; i += 4) words[i] = words[i]! | 0x7ff00000;
    await send(
      receiver,
      Array.from({ length: words.length / 2 }, (_, i) => ({
        labels: [["__name__", "x"]],
        samples: [[NOW + i, { low: words[2 * i]!, high: words[2 * i + 1]! }]],
      })),
    );
    const got = storage.batches[0]!;
    assert.deepEqual(new Int32Array(got.values.buffer, 0, 2000), words);
  });

  test(`${version}: cut or changed bytes are refused or read, never more`, async () => {
    const good = encode([
      series("a", [0, 1], [1, 2]),
      {
        ...series("h"),
        histograms: [{ timeMs: NOW, histogram: newHistogram({}), isFloat: false }],
      },
      { ...series("e", [0, 1]), exemplars: [{ labels: [["t", "1"]], value: 1, timeMs: NOW }] },
    ]);
    await fc.assert(
      fc.asyncProperty(
        fc.nat(good.length - 1),
        fc.nat(255),
        fc.boolean(),
        async (at, byte, isCut) => {
          const bytes = isCut ? good.slice(0, at) : good.slice();
          if (!isCut) bytes[at] = byte;
          const answer = await receiverOf(new FakeStorage()).receive({
            contentType,
            contentEncoding: "snappy",
            body: compressSnappy(bytes),
          });
          assert.ok(answer.status === 204 || answer.status === 400);
        },
      ),
      { numRuns: 2000 },
    );
  });
}

test("2.0: references beyond the symbols, and half a pair, cost their series alone", async () => {
  const storage = new FakeStorage();
  const answer = await receiverOf(storage).receive({
    contentType: V2_HEADERS["content-type"],
    contentEncoding: "snappy",
    body: compressSnappy(
      writeRequestV2([
        series("good", [0, 1]),
        { ...series("x", [0, 1]), labelRefs: [1, 99] },
        { ...series("y", [0, 1]), labelRefs: [1, 2, 3] },
        series("better", [0, 1]),
      ]),
    ),
  });
  assert.equal(answer.status, 400);
  assert.match(answer.text, /symbol 99 of \d+\n.*3 references/);
  assert.deepEqual(answer.written, { samples: 2, histograms: 0, exemplars: 0 });
  assert.deepEqual(storage.stored, ['good{job="j"} 1@0', 'better{job="j"} 1@0']);
});

test("a series without labels is nobody's, even as the first of all", async () => {
  for (const [, encode, contentType] of VERSIONS) {
    const storage = new FakeStorage();
    const answer = await receiverOf(storage).receive({
      contentType,
      contentEncoding: "snappy",
      body: compressSnappy(encode([{ labels: [], samples: [[NOW, 1]] }])),
    });
    if (contentType === V2_HEADERS["content-type"]) assert.match(answer.text, /has no name/);
    assert.deepEqual(
      storage.batches.map(({ count }) => count),
      [0],
    );
  }
});

test("2.0: a request full of problems is told in a few lines", async () => {
  const answer = await receiverOf(new FakeStorage()).receive({
    contentType: V2_HEADERS["content-type"],
    contentEncoding: "snappy",
    body: compressSnappy(
      writeRequestV2(
        Array.from({ length: 500 }, () => ({ ...series("x", [0, 1]), labelRefs: [0, 0] })),
      ),
    ),
  });
  assert.equal(answer.text.split("\n").length, 21);
  assert.match(answer.text, /\nand 480 more$/);
});

test("media types", () => {
  const types: readonly [string | undefined, string][] = [
    [undefined, WRITE_V1],
    ["application/x-protobuf", WRITE_V1],
    ["application/x-protobuf;proto=prometheus.WriteRequest", WRITE_V1],
    ["application/x-protobuf;proto=io.prometheus.write.v2.Request", WRITE_V2],
    // The standard allows blanks, which Prometheus 3.5 takes for 1.0.
    ["application/x-protobuf; proto=io.prometheus.write.v2.Request", WRITE_V2],
  ];
  for (const [type, message] of types) assert.equal(messageTypeOf(type), message);
  for (const type of ["text/plain", "application/x-protobuf;proto=x", "application/x-protobuf;a"])
    assert.throws(() => messageTypeOf(type), { code: "bad-data" });
});

test("a message that is switched off is refused with 415", async () => {
  const receiver = new WriteReceiver({
    appendable: new FakeStorage(),
    clock: stoppedClock(NOW),
    logger: silentLogger,
    registry: new Registry(),
    accepted: [WRITE_V2],
  });
  const answer = await receiver.receive({
    contentType: "application/x-protobuf",
    contentEncoding: "snappy",
    body: compressSnappy(new Uint8Array(0)),
  });
  assert.equal(answer.status, 415);
});
