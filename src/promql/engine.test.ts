import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MemorySource } from "../../bench/promql/memory-source.ts";
import { pushXorChunks } from "../storage/xor-chunks.ts";
import { type Clock, systemClock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import { writeStale } from "../base/float.ts";
import { newHistogram } from "../model/histogram.ts";
import { Labels } from "../model/labels.ts";
import { type Chunk, ENCODING_XOR, type Queryable } from "../storage/queryable.ts";
import type { QueryAnalysis } from "./analysis.ts";
import { Engine, type EngineOptions } from "./engine.ts";
import type { QueryResult } from "./result.ts";
import { MemoryStorage } from "./testing/memory-storage.ts";

const MINUTE_MS = 60_000;

/** A source with `x{i="0"}` … `x{i="n-1"}`, one sample a minute from 0 on: value = minute · 10 + i. */
function sourceOf(seriesCount: number, minutes: number): MemorySource {
  const source = new MemorySource({ batchSize: 10 });
  for (let i = 0; i < seriesCount; i++) {
    const times = Float64Array.from({ length: minutes }, (_, k) => k * MINUTE_MS);
    const values = times.map((_, k) => k * 10 + i);
    source.add(Labels.fromObject({ __name__: "x", i: String(i) }), times, values);
  }
  return source;
}

function seriesOf(samples: readonly (readonly [timeMs: number, value: number])[]): MemorySource {
  const source = new MemorySource();
  const times = Float64Array.from(samples, ([timeMs]) => timeMs);
  source.add(
    Labels.fromObject({ __name__: "x" }),
    times,
    Float64Array.from(samples, ([, value]) => value),
  );
  return source;
}

function vectorText(result: QueryResult): string {
  assert.equal(result.value.kind, "vector");
  return result.value.kind === "vector"
    ? result.value.samples.map(({ labels, value }) => `${labels.toString()}=${value}`).join(" ")
    : "";
}

function matrixText(result: QueryResult): string {
  assert.equal(result.value.kind, "matrix");
  return result.value.kind === "matrix"
    ? result.value.series
        .map(
          ({ labels, times, values }) =>
            `${labels.toString()} ${Array.from(times, (t, i) => `${values[i]}@${t / 1000}`).join(" ")}`,
        )
        .join("\n")
    : "";
}

async function failure(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (thrown) {
    assert.ok(thrown instanceof AppError, String(thrown));
    return `${thrown.code}: ${thrown.message}`;
  }
  return "no error";
}

const ofMinutes = (minutes: number): { startMs: number; endMs: number; stepMs: number } => ({
  startMs: 0,
  endMs: minutes * MINUTE_MS,
  stepMs: MINUTE_MS,
});

describe("results", () => {
  const engine = new Engine();

  test("each kind of value has its shape", async () => {
    const source = sourceOf(2, 5);
    const at = { timeMs: 2 * MINUTE_MS };
    const scalar = await engine.instant(source, { query: "1 + 1", ...at });
    assert.deepEqual(scalar.value, { kind: "scalar", timeMs: 120_000, value: 2 });
    const text = await engine.instant(source, { query: '"hello"', ...at });
    assert.deepEqual(text.value, { kind: "string", timeMs: 120_000, value: "hello" });
    assert.equal(
      vectorText(await engine.instant(source, { query: "x", ...at })),
      '{__name__="x", i="0"}=20 {__name__="x", i="1"}=21',
    );
    assert.equal(
      matrixText(await engine.instant(source, { query: "x[1m1s]", ...at })),
      '{__name__="x", i="0"} 10@60 20@120\n{__name__="x", i="1"} 11@60 21@120',
    );
  });

  test("numbers cannot be trimmed, in Prometheus's words", async () => {
    for (const operator of ["</", ">/"])
      assert.equal(
        await failure(engine.instant(sourceOf(1, 1), { query: `1 ${operator} 2`, timeMs: 0 })),
        `execution: operator "${operator}" not allowed for Scalar operations`,
      );
  });

  test("a range query gives a matrix, of scalars too", async () => {
    const source = sourceOf(1, 5);
    assert.equal(
      matrixText(await engine.range(source, { query: "time()", ...ofMinutes(2) })),
      "{} 0@0 60@60 120@120",
    );
    assert.equal(
      matrixText(await engine.range(source, { query: "x > 10", ...ofMinutes(3) })),
      '{__name__="x", i="0"} 20@120 30@180',
    );
  });

  test("series of a matrix are sorted by labels whatever the expression does", async () => {
    const result = await engine.range(sourceOf(3, 3), {
      query: "-x or bottomk(1, x) or topk(1, x)",
      ...ofMinutes(1),
    });
    assert.ok(result.value.kind === "matrix");
    const names = result.value.series.map(({ labels }) => labels.toString());
    assert.deepEqual(names, [...names].sort());
  });

  test("statistics tell what was read", async () => {
    const { stats } = await engine.range(sourceOf(3, 5), { query: "sum(x)", ...ofMinutes(4) });
    assert.equal(stats.samplesRead, 15);
    assert.equal(stats.seriesRead, 3);
    assert.equal(stats.chunksRead, 3);
    assert.ok(stats.bytesRead > 0 && stats.peakSamples > 0);
  });
});

describe("analysis", () => {
  /** Each part with what came out of it, in the order of the tree. */
  const parts = (
    node: QueryAnalysis,
    query: string,
  ): [name: string, text: string, series: number, samples: number][] => [
    [node.name, query.slice(node.position.start, node.position.end), node.series, node.samples],
    ...node.children.flatMap((child) => parts(child, query)),
  ];

  test("each part tells what came out of it, a part with all below it takes no less time", async () => {
    const engine = new Engine();
    const query =
      'sum by (i) (rate(x{i!="2"}[2m])) * 2 + on () group_left () scalar(x{i="0"} @ 60)';
    const { analysis } = await engine.range(sourceOf(3, 5), {
      query,
      ...ofMinutes(4),
      analyze: true,
    });
    assert.deepEqual(parts(analysis!, query), [
      ["+", query, 2, 8],
      ["*", 'sum by (i) (rate(x{i!="2"}[2m])) * 2', 2, 8],
      ["sum by (i)", 'sum by (i) (rate(x{i!="2"}[2m]))', 2, 8],
      ["rate", 'rate(x{i!="2"}[2m])', 2, 8],
      ["range selector", 'x{i!="2"}[2m]', 2, 10],
      ["number", "2", 1, 5],
      ["once", 'scalar(x{i="0"} @ 60)', 1, 5],
      ["scalar", 'scalar(x{i="0"} @ 60)', 1, 1],
      ["selector", 'x{i="0"} @ 60', 1, 1],
    ]);
  });

  test("a query that does not ask for it has none", async () => {
    const result = await new Engine().range(sourceOf(1, 2), { query: "x", ...ofMinutes(1) });
    assert.equal("analysis" in result, false);
  });

  test("time that others spend on its rows is not a part's own", async () => {
    let nowMs = 0;
    const clock: Clock = { ...systemClock, monotonic: () => nowMs++ };
    const { analysis } = await new Engine({ clock }).instant(sourceOf(3, 2), {
      query: "sum(abs(x))",
      timeMs: MINUTE_MS,
      analyze: true,
    });
    const [sum, abs, selector] = [
      analysis!,
      analysis!.children[0]!,
      analysis!.children[0]!.children[0]!,
    ];
    assert.ok(selector.executionMs > 0);
    assert.ok(abs.executionMs > selector.executionMs && sum.executionMs > abs.executionMs);
  });
});

describe("selectors", () => {
  const engine = new Engine();

  test("the lookback is open at its left end", async () => {
    const source = seriesOf([[0, 1]]);
    const at = (timeMs: number): Promise<QueryResult> =>
      engine.instant(source, { query: "x", timeMs });
    assert.equal(vectorText(await at(299_999)), '{__name__="x"}=1');
    assert.equal(vectorText(await at(300_000)), "");
    assert.equal(
      vectorText(await engine.instant(source, { query: "x", timeMs: 5000, lookbackMs: 5000 })),
      "",
    );
  });

  test("a range is open at its left end too", async () => {
    const source = seriesOf([
      [0, 1],
      [1000, 2],
      [2000, 3],
    ]);
    const count = await engine.instant(source, { query: "count_over_time(x[2s])", timeMs: 2000 });
    assert.equal(vectorText(count), "{}=2");
  });

  test("a staleness marker ends a series and is no sample of a range", async () => {
    const source = new MemorySource();
    const values = new Float64Array([1, 0, 3]);
    writeStale(values, 1);
    source.add(Labels.fromObject({ __name__: "x" }), new Float64Array([0, 1000, 9000]), values);
    assert.equal(vectorText(await engine.instant(source, { query: "x", timeMs: 2000 })), "");
    assert.equal(
      vectorText(await engine.instant(source, { query: "count_over_time(x[10s])", timeMs: 9000 })),
      "{}=2",
    );
  });

  test("an ordinary NaN is a value", async () => {
    const source = seriesOf([[0, NaN]]);
    assert.equal(
      vectorText(await engine.instant(source, { query: "x", timeMs: 1 })),
      '{__name__="x"}=NaN',
    );
  });

  test("overlapping chunks are merged and a repeated time counts once", async () => {
    const source = new MemorySource();
    const chunks = [
      ...pushXorChunks([], {
        times: new Float64Array([0, 1000, 3000]),
        values: new Float64Array([1, 2, 4]),
      }),
      ...pushXorChunks([], {
        times: new Float64Array([1000, 2000, 4000]),
        values: new Float64Array([2, 3, 5]),
      }),
    ];
    source.addChunks(Labels.fromObject({ __name__: "x" }), chunks);
    assert.equal(
      matrixText(await engine.instant(source, { query: "x[1m]", timeMs: 4000 })),
      '{__name__="x"} 1@0 2@1 3@2 4@3 5@4',
    );
  });

  test("the same selector is read once, however often it stands in the query", async () => {
    const source = sourceOf(2, 3);
    await engine.instant(source, { query: "x / x + x", timeMs: 60_000 });
    assert.equal(source.selectCount, 1);
    await engine.instant(source, { query: "x + x offset 1m", timeMs: 60_000 });
    assert.equal(source.selectCount, 3);
  });

  test("labels named like JavaScript's own survive", async () => {
    const source = new MemorySource();
    const labels = Labels.fromPairs([
      ["__name__", "x"],
      ["__proto__", "a"],
      ["constructor", "b"],
    ]);
    source.add(labels, new Float64Array([0]), new Float64Array([1]));
    assert.equal(
      vectorText(
        await engine.instant(source, { query: "sum by (__proto__, constructor) (x)", timeMs: 0 }),
      ),
      '{__proto__="a", constructor="b"}=1',
    );
  });

  test("warnings of the storage are passed on", async () => {
    const source: Queryable = {
      async *select() {
        yield { series: [], warnings: ["store a is down"] };
        yield { series: [], warnings: ["store a is down"] };
      },
      labelNames: () => Promise.reject(new Error("not asked")),
      labelValues: () => Promise.reject(new Error("not asked")),
    };
    const result = await engine.instant(source, { query: "x", timeMs: 0 });
    assert.deepEqual(result.warnings, ["store a is down"]);
  });

  test("a note names times that no Date has", async () => {
    const source = new MemorySource();
    for (const [le, count] of [
      ["1", 5],
      ["2", 3],
      ["+Inf", 9],
    ] as const)
      source.add(
        Labels.fromObject({ __name__: "b", le }),
        Float64Array.of(0),
        Float64Array.of(count),
      );
    const query = "histogram_quantile(0.5, b @ 0)";
    const { infos } = await new Engine().instant(source, { query, timeMs: 9e18 });
    assert.match(infos.join(), /from 285200616-07-24T16:00:00Z to 285200616-07-24T16:00:00Z/);
  });

  test("an error of the storage is the query's", async () => {
    const source: Queryable = {
      // oxlint-disable-next-line require-yield
      async *select() {
        throw new AppError("unavailable", "cannot read store a");
      },
      labelNames: () => Promise.reject(new Error("not asked")),
      labelValues: () => Promise.reject(new Error("not asked")),
    };
    assert.equal(
      await failure(engine.instant(source, { query: "sum(x)", timeMs: 0 })),
      "unavailable: cannot read store a",
    );
  });
});

describe("names", () => {
  test("functions that drop names make equal series an error, at once or at the end", async () => {
    const source = new MemorySource();
    for (const name of ["a", "b"])
      source.add(
        Labels.fromObject({ __name__: name }),
        new Float64Array([0, 1000]),
        new Float64Array([1, 2]),
      );
    const query = { query: 'rate({__name__=~"a|b"}[1m])', timeMs: 1000 };
    const error = "execution: vector cannot contain metrics with the same labelset";
    assert.equal(await failure(new Engine().instant(source, query)), error);
    const delayed = new Engine({ delayedNameRemoval: true });
    assert.equal(await failure(delayed.instant(source, query)), error);
    const counted = { ...query, query: `count(${query.query})` };
    assert.equal(await failure(new Engine().instant(source, counted)), error);
    assert.equal(vectorText(await delayed.instant(source, counted)), "{}=2");
  });
});

describe("limits", () => {
  const tooMany = (found: number, limit: number): string =>
    `execution: query processing would load too many samples into memory in query execution: ${found} so far, the limit is ${limit} (--query.max-samples). Narrow its selectors or its time range, or raise the limit`;

  test("samples in memory", async () => {
    const source = sourceOf(20, 10);
    const limited = (maxSamples: number, query: string): Promise<string> =>
      failure(new Engine({ maxSamples }).range(source, { query, ...ofMinutes(9) }));
    assert.equal(await limited(199, "x"), tooMany(200, 199));
    assert.equal(await limited(200, "x"), "no error");
    // An aggregation holds its groups and one series at a time, never its input.
    assert.equal(await limited(20, "sum(x)"), "no error");
    assert.equal(await limited(9, "sum(x)"), tooMany(10, 9));
  });

  test("what was held at most: rows that are kept, and the samples of one series", async () => {
    const peak = async (query: string, seriesCount: number): Promise<number> => {
      const source = sourceOf(seriesCount, 10);
      return (await new Engine().range(source, { query, ...ofMinutes(4) })).stats.peakSamples;
    };
    assert.equal(await peak("x", 20), 19 * 5 + 10);
    assert.equal(await peak("sum(x)", 20), 5 + 10);
    assert.equal(await peak("sum(x)", 200), 5 + 10);
  });

  test("a native histogram counts for a sample every 16 bytes", async () => {
    const storage = new MemoryStorage();
    const positiveBuckets = Float64Array.from({ length: 10 }, () => 1);
    const histogram = newHistogram({
      count: 10,
      positiveSpans: Int32Array.of(0, 10),
      positiveBuckets,
    });
    // 168 bytes, and 8 each for its span, its buckets and its time: 16.5 samples, rounded down.
    for (let k = 0; k < 10; k++)
      storage.appendHistogram(Labels.fromObject({ __name__: "h" }), k * 60_000, histogram);
    const limited = (maxSamples: number, query: string): Promise<string> =>
      failure(new Engine({ maxSamples }).instant(storage.queryable, { query, timeMs: 9 * 60_000 }));
    assert.equal(await limited(159, "h"), tooMany(160, 159));
    assert.equal(await limited(160, "h"), "no error");
    assert.equal(await limited(159, "h[10m]"), tooMany(160, 159));
    assert.equal(await limited(160, "h[10m]"), "no error");
  });

  test("rows of quantiles that change at each step", async () => {
    const source = new MemorySource();
    source.add(
      Labels.fromObject({ __name__: "x_bucket", le: "+Inf" }),
      new Float64Array([0]),
      new Float64Array([1]),
    );
    const limited = (maxSamples: number): Promise<string> =>
      failure(
        new Engine({
          maxSamples,
          lookbackMs: 3_600_000,
          parser: { experimentalFunctions: true },
        }).range(source, {
          query: 'count(histogram_quantiles(x_bucket, "q", time() / 1e6))',
          ...ofMinutes(59),
        }),
      );
    assert.match(await limited(2000), /^execution: .* would load too many samples/);
    assert.equal(await limited(4000), "no error");
  });

  test("series and bytes that are read, before they are decoded", async () => {
    const query = { query: "count(x) + count(x offset 1ms)", timeMs: 9 * 60_000 };
    const limited = (options: EngineOptions): Promise<string> =>
      failure(new Engine(options).instant(sourceOf(20, 10), query));
    const tooMuch = (what: string, found: number, limit: number, flag: string): string =>
      `execution: query processing would read too many ${what} in query execution: ${found} so far, the limit is ${limit} (${flag}). Narrow its selectors or its time range, or raise the limit`;
    assert.equal(await limited({ maxSeries: 40 }), "no error");
    assert.equal(await limited({ maxSeries: 39 }), tooMuch("series", 40, 39, "--query.max-series"));
    const { bytesRead } = (await new Engine().instant(sourceOf(20, 10), query)).stats;
    assert.equal(await limited({ maxBytes: bytesRead }), "no error");
    assert.equal(
      await limited({ maxBytes: bytesRead - 1 }),
      tooMuch("bytes of chunks", bytesRead, bytesRead - 1, "--query.max-chunk-bytes"),
    );
  });

  test("a long regular expression for the groups of a long value", async () => {
    const value = `label_replace(vector(1), "x", "${"a".repeat(10_000)}", "", "")`;
    const replace = (regex: string): Promise<string> => {
      const query = `label_replace(${value}, "y", "$1", "x", "${regex}")`;
      return failure(new Engine().instant(sourceOf(0, 0), { query, timeMs: 0 }));
    };
    assert.match(
      await replace("(a|aa)+".repeat(1428)),
      /^execution: cannot find the groups of a regular expression of 9996 characters in a text of 10000/,
    );
    assert.equal(await replace("(a|aa)+"), "no error");
  });

  test("a long series does not fit either", async () => {
    const engine = new Engine({ maxSamples: 50 });
    const query = { query: "sum_over_time(x[2h])", timeMs: 6_000_000 };
    assert.equal(await failure(engine.instant(sourceOf(1, 100), query)), tooMany(100, 50));
  });

  test("a billion samples of one series are refused before any is decoded", async () => {
    // Its bytes but for the count of samples are missing: to decode it would be another error.
    const chunk: Chunk = {
      encoding: ENCODING_XOR,
      minTimeMs: 0,
      maxTimeMs: 1000,
      data: Uint8Array.of(0xff, 0xff),
    };
    const source = new MemorySource();
    const chunks = Array.from({ length: 15_260 }, () => chunk);
    source.addChunks(Labels.fromObject({ __name__: "x" }), chunks);
    for (const query of ["x", "x[1m]", "sum(rate(x[1m]))"])
      assert.equal(
        await failure(new Engine().instant(source, { query, timeMs: 1000 })),
        tooMany(65_535 * 15_260, 50_000_000),
      );
  });

  test("a billion points of fine steps are refused before the rest is read", async () => {
    const source = new MemorySource({ batchSize: 100 });
    // Not at regular times, and with an end in between.
    const times = Float64Array.from({ length: 101 }, (_, k) => k * MINUTE_MS + (k % 7) * 4321);
    const values = times.slice();
    writeStale(values, 50);
    const chunks = pushXorChunks([], { times, values });
    const labels = (i: number): Labels => Labels.fromObject({ __name__: "x", i: String(i) });
    for (let i = 0; i < 200_000; i++) source.addChunks(labels(i), chunks);
    const range = { startMs: 1, endMs: 6_000_000, stepMs: 1000 };
    const limit = 50_000_000;
    const one = new MemorySource();
    one.addChunks(labels(0), chunks);
    for (const query of [
      "x",
      "-x",
      "x offset 30m",
      "rate(x[5m])",
      "increase(x[90s] offset 10m)",
      "max_over_time(x[30s])",
      "changes(x[2m])",
      "quantile_over_time(0.5, x[2m])",
    ]) {
      const { value } = await new Engine().range(one, { query, ...range });
      const points = value.kind === "matrix" ? value.series[0]!.times.length : 0;
      source.batchCount = 0;
      const batchCount = Math.ceil(limit / points / 100);
      assert.equal(
        await failure(new Engine().range(source, { query, ...range })),
        tooMany(batchCount * 100 * points, limit),
      );
      // The one more was asked for before its turn to be counted.
      assert.ok(source.batchCount <= batchCount + 1, query);
    }
  });

  test("as many samples as points are counted without being kept", async () => {
    const source = new MemorySource({ batchSize: 100 });
    // Of the twelve minutes of a chunk four have samples, which its times do not tell.
    const chunks = Array.from({ length: 40 }, (_, chunk) => {
      const times = Float64Array.from(
        { length: 120 },
        (__, k) => chunk * 12 * MINUTE_MS + (k === 119 ? 11 * MINUTE_MS : k * 1000),
      );
      return pushXorChunks([], { times, values: times.map((timeMs) => Math.sqrt(timeMs)) })[0]!;
    });
    const count = 1200;
    for (let i = 0; i < count; i++)
      source.addChunks(Labels.fromObject({ __name__: "x", i: String(i) }), chunks);
    const bytes = count * chunks.reduce((sum, { data }) => sum + data.length, 0);
    assert.ok(bytes > 34 * 1024 ** 2, `${bytes} bytes are less than what is read ahead`);
    const range = { startMs: 0, endMs: 480 * MINUTE_MS, stepMs: MINUTE_MS, lookbackMs: 5000 };
    for (const [query, points] of [
      ["x", 4 * 40],
      ["abs(x) * 2", 4 * 40],
      ["rate(x[30s])", 2 * 40],
      ["changes(x[30s])", 4 * 40],
    ] as const) {
      const whole = await new Engine().range(source, { query, ...range });
      // Beside its points the last series has its samples.
      const maxSamples = whole.stats.peakSamples;
      assert.equal(maxSamples, (count - 1) * points + 4800);
      source.selectCount = 0;
      const limits = { maxSamples, maxSeries: count, maxBytes: bytes };
      const fits = await new Engine(limits).range(source, { query, ...range });
      assert.equal(matrixText(fits), matrixText(whole));
      assert.equal(source.selectCount, 2, "once to count");
      assert.equal(fits.stats.samplesRead, whole.stats.samplesRead);
      assert.equal(fits.stats.peakSamples, maxSamples);
      source.selectCount = 0;
      const tooFew = new Engine({ ...limits, maxSamples: count * points - 1 });
      assert.equal(
        await failure(tooFew.range(source, { query, ...range })),
        tooMany(count * points, count * points - 1),
      );
      assert.equal(source.selectCount, 1, "it is not evaluated");
    }
  });

  test("beside a histogram a float does not count before it is evaluated", async () => {
    const storage = new MemoryStorage();
    for (let i = 0; i < 3; i++) {
      const labels = Labels.fromObject({ __name__: "x", i: String(i) });
      for (let k = 0; k < 60; k++)
        if (k % 11 < 10) storage.append(labels, k * MINUTE_MS, k);
        else storage.appendHistogram(labels, k * MINUTE_MS, newHistogram({ count: k }));
    }
    const range = { startMs: 0, endMs: 59 * MINUTE_MS, stepMs: 1000 };
    // Windows of both kinds have no rate: 5,943 points of 10,443 windows with two floats.
    const query = { query: "rate(x[5m])", ...range };
    const { value } = await new Engine({ maxSamples: 6500 }).range(storage.queryable, query);
    const points =
      value.kind === "matrix" ? value.series.reduce((sum, { times }) => sum + times.length, 0) : 0;
    assert.equal(points, 5943);
  });

  test("what is read ahead, counted and fits is evaluated once, with the rest", async () => {
    const source = new MemorySource({ batchSize: 10 });
    // With a gap, which the times of a chunk do not tell.
    const minutes = Float64Array.from([0, 1, 2, 3, 4, 5, 25, 26, 27, 28, 29]);
    for (let i = 0; i < 95; i++)
      source.add(
        Labels.fromObject({ __name__: "x", i: String(i) }),
        minutes.map((minute) => minute * MINUTE_MS),
        minutes.map((minute) => minute * 10 + i),
      );
    const range = { startMs: 0, endMs: 29 * MINUTE_MS, stepMs: 1000 };
    for (const query of ["x", "-x", "rate(x[5m])", "x > 50", "sum(x)"]) {
      const whole = await new Engine().range(source, { query, ...range });
      const maxSamples = whole.stats.peakSamples;
      source.selectCount = 0;
      const limited = await new Engine({ maxSamples }).range(source, { query, ...range });
      assert.equal(source.selectCount, 1, query);
      assert.equal(matrixText(limited), matrixText(whole));
      const untimed = { parseMs: 0, queueMs: 0, evaluationMs: 0 };
      assert.deepEqual({ ...limited.stats, ...untimed }, { ...whole.stats, ...untimed });
    }
  });

  test("a subquery of a billion steps is refused before it is read", async () => {
    const source = sourceOf(1, 1);
    const year = 365 * 86_400_000;
    for (const [query, steps] of [
      ["max_over_time(x[1y:1ms])", year],
      ["sum_over_time(vector(1)[100y:1ms])", 100 * year],
    ] as const)
      assert.equal(
        await failure(new Engine().instant(source, { query, timeMs: 0 })),
        tooMany(steps, 50_000_000),
      );
    assert.equal(source.selectCount, 0);
  });

  test("points of a range query", async () => {
    const engine = new Engine({ maxPoints: 10 });
    const source = sourceOf(1, 1);
    assert.equal(await failure(engine.range(source, { query: "x", ...ofMinutes(10) })), "no error");
    assert.equal(
      await failure(engine.range(source, { query: "x", ...ofMinutes(11) })),
      "bad-data: exceeded maximum resolution of 10 points per timeseries. Try decreasing the query resolution (?step=XX)",
    );
    const year = { startMs: 0, endMs: 365 * 86_400_000, stepMs: 1 };
    assert.match(
      await failure(new Engine().range(source, { query: "x", ...year })),
      /of 11,000 points/,
    );
  });

  test("steps and times must make sense", async () => {
    const engine = new Engine();
    const source = sourceOf(1, 1);
    const range = (startMs: number, endMs: number, stepMs: number): Promise<string> =>
      failure(engine.range(source, { query: "x", startMs, endMs, stepMs }));
    assert.match(await range(0, 10, 0), /^bad-data: zero or negative query resolution/);
    assert.match(await range(0, 10, -5), /^bad-data: zero or negative/);
    assert.match(await range(0, 10, NaN), /^bad-data: zero or negative/);
    assert.equal(await range(10, 0, 1), "bad-data: end timestamp must not be before start time");
  });

  test("a range query of a range vector or a string is refused", async () => {
    const engine = new Engine();
    const range = (query: string): Promise<string> =>
      failure(engine.range(sourceOf(1, 1), { query, ...ofMinutes(1) }));
    assert.equal(
      await range("x[5m]"),
      'bad-data: invalid expression type "range vector" for range query, must be Scalar or instant Vector',
    );
    assert.equal(
      await range('"x"'),
      'bad-data: invalid expression type "string" for range query, must be Scalar or instant Vector',
    );
  });

  test("bad syntax is the caller's mistake", async () => {
    assert.match(
      await failure(new Engine().instant(sourceOf(1, 1), { query: "sum(", timeMs: 0 })),
      /^bad-data: 1:\d+: parse error: /,
    );
  });
});

describe("cancellation", () => {
  /** A storage that never answers and never looks at the signal. */
  const hanging: Queryable = {
    // oxlint-disable-next-line require-yield
    async *select() {
      await new Promise(() => undefined);
    },
    labelNames: () => Promise.reject(new Error("not asked")),
    labelValues: () => Promise.reject(new Error("not asked")),
  };

  test("a query stops when its caller leaves, though the storage hangs", async () => {
    const controller = new AbortController();
    const running = failure(
      new Engine().instant(hanging, { query: "sum(x)", timeMs: 0, signal: controller.signal }),
    );
    setImmediate(() => controller.abort());
    assert.equal(await running, "canceled: query was canceled in expression evaluation");
  });

  test("a query that was cancelled before it began does not begin", async () => {
    const source = sourceOf(1, 1);
    const query = { query: "x", timeMs: 0, signal: AbortSignal.abort() };
    assert.match(
      await failure(new Engine().instant(source, query)),
      /^canceled: query was canceled/,
    );
    assert.equal(source.selectCount, 0);
  });

  test("a query that takes too long is stopped", async () => {
    const query = { query: "x", timeMs: 0, timeoutMs: 1 };
    assert.equal(
      await failure(new Engine().instant(hanging, query)),
      "timeout: query timed out in expression evaluation",
    );
  });

  test("one series with long windows is stopped within its loop", async () => {
    const source = sourceOf(1, 3000);
    const stopFlag = new Int32Array(new SharedArrayBuffer(4));
    stopFlag[0] = 1;
    const range = { query: "sum_over_time(x[2d])", startMs: 0, endMs: 180_000_000, stepMs: 60_000 };
    const engine = new Engine();
    assert.equal(await failure(engine.range(source, range)), "no error");
    assert.equal(
      await failure(engine.range(source, { ...range, stopFlag })),
      "canceled: query was canceled in expression evaluation",
    );
  });

  test("long evaluations let the event loop run and stop soon after the signal", async () => {
    // Sorting 11,000 steps of many series takes far longer than a turn.
    const source = sourceOf(200, 120);
    const controller = new AbortController();
    let turns = 0;
    const timer = setInterval(() => {
      turns++;
      if (turns === 3) controller.abort();
    }, 1);
    const running = failure(
      new Engine().range(source, {
        query: "quantile by (i) (0.5, sum_over_time(x[2h]) + 1) + topk(100, x)",
        startMs: 0,
        endMs: 7_200_000,
        stepMs: 660,
        signal: controller.signal,
      }),
    );
    const outcome = await running;
    clearInterval(timer);
    assert.equal(outcome, "canceled: query was canceled in expression evaluation");
  });
});

describe("concurrency", () => {
  test("queries beyond the limit wait in order and can be cancelled while they wait", async () => {
    let release: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (release = resolve));
    const begun: string[] = [];
    const source = (name: string): Queryable => ({
      // oxlint-disable-next-line require-yield
      async *select() {
        begun.push(name);
        await gate;
      },
      labelNames: () => Promise.reject(new Error("not asked")),
      labelValues: () => Promise.reject(new Error("not asked")),
    });
    const options: EngineOptions = { maxConcurrency: 1 };
    const engine = new Engine(options);
    const run = (name: string, signal?: AbortSignal): Promise<string> =>
      failure(
        engine.instant(source(name), {
          query: "x",
          timeMs: 0,
          ...(signal === undefined ? {} : { signal }),
        }),
      );
    const first = run("first");
    const controller = new AbortController();
    const second = run("second", controller.signal);
    const third = run("third");
    await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(begun, ["first"]);
    controller.abort();
    assert.equal(await second, "canceled: query was canceled in query queue");
    release();
    assert.deepEqual(await Promise.all([first, third]), ["no error", "no error"]);
    assert.deepEqual(begun, ["first", "third"]);
  });
});
