import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { AppError } from "../base/errors.ts";
import { writeStale } from "../base/float.ts";
import { type FloatHistogram, isStaleHistogram, withCounterResetHint } from "../model/histogram.ts";
import { compactHistogram, multiplyHistogram } from "../model/histogram-arithmetic.ts";
import { histogramsEqual } from "../model/histogram-equal.ts";
import { arbitraryHistogram, histogramOf } from "../model/histogram.fixture.ts";
import { decodeFloatHistogram } from "./float-histogram.ts";
import { decodeHistogram } from "./histogram.ts";
import { HistogramAppender, type HistogramKind } from "./histogram-appender.ts";
import { encodeHistograms } from "./histogram-encode.ts";
import { chunkResetHeader, histogramSampleCount } from "./histogram-layout.ts";
import type { HistogramSamples } from "./histogram-samples.ts";

const KINDS: readonly HistogramKind[] = ["integer", "float"];

function decode(kind: HistogramKind, data: Uint8Array): HistogramSamples {
  return kind === "integer" ? decodeHistogram(data) : decodeFloatHistogram(data);
}

function staleMarker(): FloatHistogram {
  const sums = new Float64Array(1);
  writeStale(sums, 0);
  return histogramOf({ sum: sums[0]! });
}

/** Chunks of the samples at 15 s intervals, as hint headers and sample counts. */
function chunksOf(kind: HistogramKind, histograms: readonly FloatHistogram[]): string[] {
  const times = Float64Array.from(histograms, (_, k) => 15_000 * k);
  return encodeHistograms(kind, { times, histograms }).map(
    ({ data }) => `${chunkResetHeader(data)} ${histogramSampleCount(data)}`,
  );
}

const base = { count: 6, sum: 5, spans: [0, 3], buckets: [1, 2, 3] };
const grown = { count: 12, sum: 9, spans: [0, 3], buckets: [2, 4, 6] };

test("the bytes of a chunk of integers are Prometheus's", () => {
  const h = {
    schema: 3,
    threshold: 2 ** -128,
    zeros: 1,
    negativeSpans: [-2, 1],
    negativeBuckets: [4],
  };
  const chunk = encodeHistograms("integer", {
    times: Float64Array.of(1_700_000_000_000, 1_700_000_015_000, 1_700_000_030_001),
    histograms: [
      histogramOf({ ...h, count: 11, sum: 18.4, spans: [0, 2, 1, 1], buckets: [1, 2, 3] }),
      histogramOf({ ...h, count: 15, sum: 20, spans: [0, 2, 1, 1], buckets: [2, 3, 5] }),
      histogramOf({ ...h, count: 15, sum: NaN, spans: [0, 2, 1, 1], buckets: [2, 3, 5] }),
    ],
  });
  assert.equal(chunk.length, 1);
  assert.equal(Buffer.from(chunk[0]!.data).toString("hex"), INTEGER_BYTES);
});

test("the bytes of a chunk of floats with custom bounds are Prometheus's", () => {
  const h = { bounds: [-1, 0.005, 2, 33_554.431] };
  const chunk = encodeHistograms("float", {
    times: Float64Array.of(-5, 1, 100_000_000_000),
    histograms: [
      histogramOf({ ...h, hint: "gauge", count: 3.5, sum: 1, spans: [1, 2], buckets: [1.5, 2] }),
      histogramOf({ ...h, hint: "gauge", count: 1.25, sum: -1, spans: [1, 2], buckets: [1, 0.25] }),
      histogramOf({ ...h, hint: "gauge", count: 1, sum: -1, spans: [4, 1], buckets: [1] }),
    ],
  });
  assert.equal(chunk.length, 1, "the chunk was written again with the new bucket");
  assert.equal(Buffer.from(chunk[0]!.data).toString("hex"), FLOAT_BYTES);
});

const INTEGER_BYTES =
  "000300749ca48c631b7f0000c5e7f2b40062e28064cccccccccccd18c69f0753146dcb3333333333338a28ef188cff3bae";
const FLOAT_BYTES =
  "0003c000ee5ca518c545ff80000000000005bcfa240e0624dcac08312dda00600000000000000000000000000001ff80000000000001ffc0000000000002000000000000000000000000000000061b099ffec00f603c25ffd7f00000ba43b73fced06622bff9fee22bff";

for (const kind of KINDS)
  describe(`appending ${kind} histograms`, () => {
    test("grows a chunk while the counter grows", () => {
      assert.deepEqual(chunksOf(kind, [histogramOf(base), histogramOf(grown)]), ["unknown 2"]);
    });

    test("cuts at a reset", () => {
      assert.deepEqual(chunksOf(kind, [histogramOf(grown), histogramOf(base)]), [
        "unknown 1",
        "reset 1",
      ]);
      const hinted = histogramOf({ ...grown, hint: "reset" });
      assert.deepEqual(chunksOf(kind, [histogramOf(base), hinted]), ["unknown 1", "reset 1"]);
      const fewer = histogramOf({ ...grown, buckets: [0, 4, 8] });
      assert.deepEqual(chunksOf(kind, [histogramOf(base), fewer]), ["unknown 1", "reset 1"]);
      const gone = histogramOf({ ...grown, spans: [1, 2], buckets: [4, 8] });
      assert.deepEqual(chunksOf(kind, [histogramOf(base), gone]), ["unknown 1", "reset 1"]);
      const fewerZeros = [histogramOf({ ...base, zeros: 1 }), histogramOf(grown)];
      assert.deepEqual(chunksOf(kind, fewerZeros), ["unknown 1", "reset 1"]);
    });

    test("cuts at a change of layout", () => {
      const finer = histogramOf({ ...grown, schema: 1 });
      assert.deepEqual(chunksOf(kind, [histogramOf(base), finer]), ["unknown 1", "unknown 1"]);
      const wider = histogramOf({ ...grown, threshold: 0.1 });
      assert.deepEqual(chunksOf(kind, [histogramOf(base), wider]), ["unknown 1", "unknown 1"]);
      const bounds = [
        histogramOf({ ...base, bounds: [1, 2, 3] }),
        histogramOf({ ...grown, bounds: [1, 2, 4] }),
      ];
      assert.deepEqual(chunksOf(kind, bounds), ["unknown 1", "reset 1"]);
    });

    test("a gauge never resets, and does not share a chunk with a counter", () => {
      const gauges = [grown, base].map((h) => histogramOf({ ...h, hint: "gauge" }));
      assert.deepEqual(chunksOf(kind, gauges), ["gauge 2"]);
      const mixed = [histogramOf(base), ...gauges, histogramOf(grown)];
      const after = kind === "integer" ? "not_reset 1" : "unknown 1";
      assert.deepEqual(chunksOf(kind, mixed), ["unknown 1", "gauge 2", after]);
    });

    test("after a stale marker only more of them join the chunk", () => {
      const chunks = chunksOf(kind, [
        histogramOf(base),
        staleMarker(),
        staleMarker(),
        histogramOf(grown),
      ]);
      assert.deepEqual(chunks, ["unknown 3", "unknown 1"]);
    });

    test("a full chunk is followed by one that knows there was no reset", () => {
      const histograms = Array.from({ length: 25 }, (_, k) =>
        multiplyHistogram(histogramOf(base), k + 1),
      );
      const times = Float64Array.from(histograms, (_, k) => 1000 * k);
      const chunks = encodeHistograms(kind, { times, histograms }, { maxSamples: 10 });
      assert.deepEqual(
        chunks.map(({ data, minTimeMs, maxTimeMs }) => [
          chunkResetHeader(data),
          minTimeMs,
          maxTimeMs,
        ]),
        [
          ["unknown", 0, 9000],
          ["not_reset", 10_000, 19_000],
          ["not_reset", 20_000, 24_000],
        ],
      );
      const wide = Array.from({ length: 40 }, () =>
        histogramOf({ count: 1, spans: [0, 400], buckets: Array.from({ length: 400 }, () => 1) }),
      );
      const cut = encodeHistograms("float", {
        times: Float64Array.from(wide, (_, k) => k),
        histograms: wide,
      });
      assert.deepEqual(
        cut.map(({ data }) => histogramSampleCount(data)),
        [10, 10, 10, 10],
      );
    });

    test("new buckets are added to the chunk, and missing empty ones to the sample", () => {
      const first = histogramOf({ count: 3, spans: [0, 3], buckets: [1, 0, 2] });
      const second = histogramOf({
        count: 9,
        spans: [0, 1, 1, 2],
        buckets: [2, 3, 4],
        negativeSpans: [5, 1],
        negativeBuckets: [0],
      });
      const appender = new HistogramAppender(kind).append(0, first).append(1000, second);
      const { histograms } = decode(kind, appender.toBytes());
      assert.deepEqual(
        histograms.map((h) => [
          [...h.positiveSpans],
          [...h.positiveBuckets],
          [...h.negativeBuckets],
        ]),
        [
          [[0, 4], [1, 0, 2, 0], [0]],
          [[0, 4], [2, 0, 3, 4], [0]],
        ],
      );
      assert.deepEqual(
        histograms.map((h) => h.counterResetHint),
        ["unknown", "not_reset"],
      );
    });

    test("stops at the number of samples the header can hold", () => {
      const empty = histogramOf({});
      let appender = new HistogramAppender(kind);
      for (let k = 0; k < 65_535; k++) appender = appender.append(k, empty);
      assert.equal(decode(kind, appender.toBytes()).histograms.length, 65_535);
      assert.throws(() => appender.append(65_535, empty), /BUG: the histogram chunk is full/);
    });

    test("property: decoding gives back what was encoded", () => {
      const sample = fc.record({
        gap: fc.oneof(fc.constant(15_000), fc.integer({ min: 1, max: 2 ** 40 })),
        change: fc.oneof(
          { weight: 4, arbitrary: fc.constant("scale" as const) },
          { weight: 1, arbitrary: fc.constantFrom("stale", "other") },
        ),
        other: arbitraryHistogram({ fractions: kind === "float" }),
        factor: fc.integer({ min: 1, max: 3 }),
        gauge: fc.boolean(),
      });
      fc.assert(
        fc.property(fc.array(sample, { minLength: 1, maxLength: 30 }), (samples) => {
          let time = 0;
          let last = samples[0]!.other;
          const histograms: FloatHistogram[] = [];
          const times: number[] = [];
          for (const { gap, change, other, factor, gauge } of samples) {
            times.push((time += gap));
            if (change === "stale") {
              histograms.push(staleMarker());
              continue;
            }
            last =
              change === "other"
                ? other
                : multiplyHistogram(last, last.count > 2 ** 45 ? 1 : factor);
            histograms.push(withCounterResetHint(last, gauge ? "gauge" : last.counterResetHint));
          }
          const chunks = encodeHistograms(kind, { times: Float64Array.from(times), histograms });
          const decoded = chunks.map(({ data }) => decode(kind, data));
          assert.deepEqual(
            decoded.flatMap((chunk) => [...chunk.times]),
            times,
          );
          decoded.forEach((chunk, c) => {
            assert.equal(chunks[c]!.minTimeMs, chunk.times[0]);
            assert.equal(chunks[c]!.maxTimeMs, chunk.times.at(-1));
            const again = HistogramAppender.open(kind, chunks[c]!.data);
            assert.deepEqual(again.toBytes(), chunks[c]!.data);
          });
          decoded
            .flatMap((chunk) => chunk.histograms)
            .forEach((got, k) => {
              const want = histograms[k]!;
              assert.equal(isStaleHistogram(got), isStaleHistogram(want));
              if (isStaleHistogram(want)) return;
              assert.ok(
                histogramsEqual(compactHistogram(got), compactHistogram(want)),
                `sample ${k}`,
              );
              assert.equal(got.counterResetHint === "gauge", want.counterResetHint === "gauge");
            });
        }),
      );
    });

    test("property: damaged chunks are refused or read as something, quickly", () => {
      const whole = encodeHistograms(kind, {
        times: Float64Array.from({ length: 30 }, (_, k) => 15_000 * k),
        histograms: Array.from({ length: 30 }, (_, k) =>
          multiplyHistogram(histogramOf(base), k + 1),
        ),
      })[0]!.data;
      const damaged = fc.oneof(
        fc.uint8Array({ maxLength: 300 }),
        fc.tuple(fc.nat(whole.length - 1), fc.nat(255)).map(([at, value]) => {
          const data = whole.slice();
          data[at] = value;
          return data;
        }),
        fc.nat(whole.length).map((end) => whole.slice(0, end)),
        fc.uint8Array({ minLength: 3, maxLength: 100 }).map((data) => {
          data.fill(255, 0, 2);
          return data;
        }),
      );
      fc.assert(
        fc.property(damaged, (data) => {
          try {
            const { times, histograms } = decode(kind, data);
            assert.equal(times.length, histograms.length);
            assert.equal(histograms.length, histogramSampleCount(data));
          } catch (error) {
            assert.ok(error instanceof AppError && error.code === "corrupt", String(error));
          }
        }),
        { numRuns: 2000 },
      );
    });
  });

test("counts and times at the edges survive", () => {
  const histograms = [0, 1, 4, 5, 2 ** 25, 2 ** 32 + 1, 2 ** 53 - 1].map((count) =>
    histogramOf({ hint: "gauge", count, zeros: count, spans: [-1_000_000, 1], buckets: [count] }),
  );
  histograms.push(...histograms.toReversed());
  const times = Float64Array.from(histograms, (_, k) => -(2 ** 52) + k ** 9);
  const chunks = encodeHistograms("integer", { times, histograms }, { maxSamples: 100 });
  assert.equal(chunks.length, 1);
  const decoded = decodeHistogram(chunks[0]!.data);
  assert.deepEqual(decoded.times, times);
  assert.deepEqual(
    decoded.histograms.map((h) => h.count),
    histograms.map((h) => h.count),
  );
  assert.deepEqual(
    decoded.histograms.map((h) => h.positiveBuckets[0]),
    histograms.map((h) => h.count),
  );
});

test("a resolution higher than any we know is read at the highest we do", () => {
  const h = histogramOf({ schema: 9, count: 7, spans: [-3, 4], buckets: [1, 2, 3, 1] });
  const data = new HistogramAppender("float").append(0, h).append(1, h).toBytes();
  const read = decodeFloatHistogram(data).histograms[1]!;
  assert.equal(read.schema, 8);
  assert.equal(read.counterResetHint, "not_reset");
  assert.deepEqual(
    [[...read.positiveSpans], [...read.positiveBuckets]],
    [
      [-1, 2],
      [3, 4],
    ],
  );
  const unknown = new HistogramAppender("float").append(0, { ...h, schema: 53 }).toBytes();
  assert.throws(() => decodeFloatHistogram(unknown), {
    code: "corrupt",
    message: "cannot decode float histogram chunk: it has the unknown schema 53",
  });
});

test("stale samples cannot claim buckets without end", () => {
  const wide = histogramOf({
    count: 600,
    spans: [0, 600],
    buckets: Array.from({ length: 600 }, () => 1),
  });
  for (const kind of KINDS) {
    const [chunk] = encodeHistograms(
      kind,
      { times: Float64Array.of(0, 1), histograms: [wide, staleMarker()] },
      { maxSamples: 2 },
    );
    const withStale = (count: number): Uint8Array => {
      const data = new Uint8Array(chunk!.data.length + Math.ceil(count / 2));
      data.set(chunk!.data);
      data[0] = (count + 2) >>> 8;
      data[1] = (count + 2) & 255;
      return data;
    };
    const read = decode(kind, withStale(1000)).histograms;
    assert.equal(read.length, 1002);
    assert.ok(read.slice(1).every(isStaleHistogram));
    assert.throws(() => decode(kind, withStale(3000)), {
      code: "corrupt",
      message: /3002 samples do not fit into its bytes$/,
    });
  }
});
