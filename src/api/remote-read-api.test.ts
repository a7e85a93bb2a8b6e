import assert from "node:assert/strict";
import { test } from "node:test";
import { systemClock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { compressSnappy } from "../base/snappy.ts";
import { decodeXor } from "../chunk/xor.ts";
import { formatSeries, Labels } from "../model/labels.ts";
import { createMatcher } from "../model/matcher.ts";
import { newHistogram } from "../model/histogram.ts";
import { decodeReadResponse } from "../remote/read-answer.ts";
import { V2_HEADERS, writeRequestV2 } from "../remote/write-request.fixture.ts";
import { WriteReceiver } from "../remote/write-receiver.ts";
import type { Queryable, Series } from "../storage/queryable.ts";
import type { Database } from "../tsdb/database.ts";
import { columns, samples } from "../tsdb/testing/head-fixture.ts";
import { framesOf, NOW, samplesRequest, streamed, withReader } from "./remote-read.fixture.ts";

const shown = (series: readonly Series[]): string[] =>
  series.map(
    (one) =>
      `${formatSeries(one.labels)} ${samples(one)
        .map(([, v]) => v)
        .join(" ")}`,
  );

function fill(database: Database, names: readonly string[], count = 3): Promise<unknown> {
  const refs = names.map((name) =>
    database.resolve(Labels.fromObject({ __name__: name, zone: name.endsWith("z") ? "own" : "" })),
  );
  return database.append(
    columns(
      refs.flatMap((ref) => Array.from({ length: count }, (_, i) => [ref, NOW + i, i] as const)),
    ),
  );
}

test("external labels are added, matched, and never override", async () => {
  await withReader({ external: { zone: "a", cluster: "c" } }, async (read, database) => {
    await fill(database, ["x", "xz"]);
    const any = createMatcher("__name__", "=~", "x.*");
    assert.deepEqual(shown(await framesOf(await read(streamed(any)))), [
      'x{cluster="c", zone="a"} 0 1 2',
      'xz{cluster="c", zone="own"} 0 1 2',
    ]);
    const only = await framesOf(await read(streamed(createMatcher("cluster", "=", "c"))));
    assert.equal(only.length, 2);
    const other = await framesOf(await read(streamed(any, createMatcher("cluster", "=", "d"))));
    assert.equal(other.length, 0);
  });
});

test("a long series spans frames, each with its labels", async () => {
  await withReader({ maxFrameBytes: 100 }, async (read, database) => {
    await fill(database, ["long"], 1000);
    const series = await framesOf(await read(streamed(createMatcher("__name__", "=", "long"))));
    assert.ok(series.length > 3);
    assert.ok(series.every(({ labels }) => labels.get("__name__") === "long"));
    const values = series.flatMap((one) => samples(one).map(([, v]) => v));
    assert.deepEqual(
      values,
      Array.from({ length: 1000 }, (_, i) => i),
    );
  });
});

test("samples are limited; kinds of answers are chosen as asked for", async () => {
  await withReader({ sampleLimit: 5 }, async (read, database) => {
    await fill(database, ["a", "b"]);
    const one = await read(samplesRequest([createMatcher("__name__", "=", "a")]));
    assert.equal(one.headers.get("content-type"), "application/x-protobuf");
    const series = decodeReadResponse(new Uint8Array(await one.arrayBuffer()));
    assert.deepEqual(shown(series), ["a 0 1 2"]);
    const both = await read(samplesRequest([createMatcher("zone", "=", "")]));
    assert.equal(both.status, 400);
    assert.match(await both.text(), /exceeded sample limit \(5\)/);
    assert.equal((await read(samplesRequest([], [7]))).status, 400);
    const streams = await read(samplesRequest([createMatcher("zone", "=", "")], [7, 1]));
    assert.deepEqual(shown(await framesOf(streams)), ["a 0 1 2", "b 0 1 2"]);
  });
});

test("what is no read request is refused before memory is given to it", async () => {
  await withReader({}, async (read) => {
    for (const body of [
      Buffer.from("nonsense"),
      new Uint8Array(0),
      Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f, 0),
      compressSnappy(Uint8Array.of(0x0a, 5, 1)),
    ])
      assert.equal((await read(body)).status, 400);
  });
});

test("reads beyond the limit wait their turn", async () => {
  const ends: (() => void)[] = [];
  const queryable = {
    async *select() {
      await new Promise<void>((resolve) => ends.push(resolve));
      yield { series: [] };
    },
  } as unknown as Queryable;
  await withReader({ concurrentLimit: 2, queryable }, async (read) => {
    const reads = [0, 1, 2].map(() => read(streamed(createMatcher("a", "=", "b"))));
    while (ends.length < 2) await new Promise(setImmediate);
    await new Promise((resolve) => setTimeout(resolve, 50));
    assert.equal(ends.length, 2);
    ends.shift()!();
    while (ends.length < 2) await new Promise(setImmediate);
    for (const end of ends) end();
    for (const response of await Promise.all(reads)) assert.equal(response.status, 200);
  });
});

test("a histogram comes back as it was written, in both kinds of answers", async () => {
  await withReader({}, async (read, database) => {
    const histogram = newHistogram({
      schema: 2,
      count: 7,
      sum: 3.5,
      zeroThreshold: 0.001,
      zeroCount: 1,
      positiveSpans: Int32Array.of(0, 2, 3, 1),
      positiveBuckets: Float64Array.of(3, 1, 2),
    });
    const ref = database.resolve(Labels.fromObject({ __name__: "h" }));
    await database.append({
      ...columns([]),
      histograms: {
        refs: Int32Array.of(ref),
        times: Float64Array.of(NOW),
        histograms: [histogram],
        isFloat: Uint8Array.of(0),
        count: 1,
      },
    });
    const matcher = createMatcher("__name__", "=", "h");
    const [series] = await framesOf(await read(streamed(matcher)));
    assert.equal(series?.chunks[0]?.encoding, 2);
    const answer = await read(samplesRequest([matcher]));
    const [sampled] = decodeReadResponse(new Uint8Array(await answer.arrayBuffer()));
    assert.deepEqual(sampled?.chunks, series.chunks);
  });
});

test("NaNs keep every bit from remote write through the head to remote read", async () => {
  const count = 100_000;
  const words = new Int32Array(2 * count);
  let state = 12_345;
  for (let i = 0; i < words.length; i++)
    words[i] = state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
  // NaNs of both signs and of every payload; the staleness marker among them.
  for (let i = 1; i < words.length; i += 2) words[i] = words[i]! | 0x7ff00000;
  words[0] = 2;
  words[1] = 0x7ff00000;
  await withReader({}, async (read, database) => {
    const receiver = new WriteReceiver({
      appendable: database,
      clock: systemClock,
      logger: silentLogger,
      registry: new Registry(),
    });
    const answer = await receiver.receive({
      contentType: V2_HEADERS["content-type"],
      contentEncoding: "snappy",
      body: compressSnappy(
        writeRequestV2([
          {
            labels: [["__name__", "nan"]],
            samples: Array.from({ length: count }, (_, i) => [
              NOW + i,
              { low: words[2 * i]!, high: words[2 * i + 1]! },
            ]),
          },
        ]),
      ),
    });
    assert.equal(answer.written?.samples, count);
    const matcher = createMatcher("__name__", "=", "nan");
    const inSamples = decodeReadResponse(
      new Uint8Array(await (await read(samplesRequest([matcher]))).arrayBuffer()),
    );
    for (const series of [await framesOf(await read(streamed(matcher))), inSamples]) {
      const got = new Int32Array(2 * count);
      let at = 0;
      for (const { chunks } of series)
        for (const { data } of chunks) {
          const values = new Float64Array(got.buffer);
          at += decodeXor(data, { times: new Float64Array(count), values, offset: at });
        }
      assert.equal(at, count);
      assert.equal(Buffer.compare(Buffer.from(got.buffer), Buffer.from(words.buffer)), 0);
    }
  });
});
