import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { MemorySource } from "../../bench/promql/memory-source.ts";
import { AppError } from "../base/errors.ts";
import { writeStale } from "../base/float.ts";
import { newHistogram } from "../model/histogram.ts";
import { Labels } from "../model/labels.ts";
import type { Queryable } from "../storage/queryable.ts";
import type { QueryAnalysis } from "./analysis.ts";
import { Engine, type QueryEngine } from "./engine.ts";
import { parseExpression } from "./parser.ts";
import type { QueryResult, QueryStats } from "./result.ts";
import { MemoryStorage } from "./testing/memory-storage.ts";
import { WorkerEngine } from "./worker-engine.ts";

function createSource(): MemorySource {
  const source = new MemorySource({ batchSize: 3 });
  for (let i = 0; i < 10; i++) {
    const times = Float64Array.from({ length: 300 }, (_, k) => k * 15_000);
    const values = times.map((_, k) => (k * (i + 1)) % 97);
    if (i === 3) writeStale(values, 150);
    const labels = { __name__: "requests_total", job: `job ${i % 2}`, instance: `☃${i}` };
    source.add(Labels.fromObject(labels), times, values);
  }
  return source;
}

const refuse = (): Promise<never> => Promise.reject(new Error("not asked"));

/** Result or error, without the figures that differ from run to run. */
async function outcome(run: () => Promise<QueryResult>): Promise<unknown> {
  try {
    const { value, warnings, infos, stats } = await run();
    const { queueMs: _queue, parseMs: _parse, evaluationMs: _evaluation, ...figures } = stats;
    const comparable =
      value.kind === "vector"
        ? value.samples.map((sample) => [sample.labels.toString(), sample.value, sample.histogram])
        : value.kind === "matrix"
          ? value.series.map(({ labels, ...columns }) => [labels.toString(), columns])
          : value;
    return { kind: value.kind, comparable, warnings, infos, figures };
  } catch (thrown) {
    assert.ok(thrown instanceof AppError, String(thrown));
    return `${thrown.code}: ${thrown.message}`;
  }
}

describe("an engine in threads", () => {
  const local = new Engine();
  const threads = new WorkerEngine({ workerCount: 2 });
  after(() => threads[Symbol.asyncDispose]());

  const queries = [
    "requests_total",
    "sum by (job) (rate(requests_total[5m]))",
    "requests_total / requests_total offset 5m",
    "requests_total[2m]",
    "topk(2, requests_total)",
    "max_over_time(sum(requests_total)[10m:1m])",
    'rate({job=~"job.*"}[5m])',
    "quantile(2, requests_total)",
    "1 + 1",
    '"text"',
    "nonexistent",
    "requests_total +",
    "requests_total + on (job) requests_total",
    'label_replace(requests_total, "x", "$1", "job", "(")',
  ];
  for (const query of queries)
    test(`answers ${query} as the engine does`, async () => {
      const at = { query, timeMs: 2_300_000, countSamples: true };
      const over = { ...at, startMs: 0, endMs: 4_000_000, stepMs: 70_000 };
      const answer = (engine: QueryEngine): Promise<unknown[]> => {
        const source = createSource();
        return Promise.all([
          outcome(() => engine.instant(source, at)),
          outcome(() => engine.range(source, over)),
        ]);
      };
      assert.deepEqual(await answer(threads), await answer(local));
    });

  test("what a query took that fails is told, by one that is left as well", async () => {
    const query = 'label_replace(requests_total, "x", "$1", "job", "(")';
    const failed = async (engine: QueryEngine): Promise<readonly unknown[]> => {
      const told: QueryStats[] = [];
      const ask = {
        query,
        timeMs: 2_300_000,
        onFailed: (stats: QueryStats) => void told.push(stats),
      };
      await assert.rejects(engine.instant(createSource(), ask));
      const signal = AbortSignal.abort(new AppError("canceled", "the client left"));
      await assert.rejects(engine.instant(createSource(), { ...ask, query: "1", signal }));
      await assert.rejects(engine.instant(createSource(), { ...ask, query: "(" }));
      return told
        .slice(0, 2)
        .map(({ samplesRead, queueMs, parseMs, evaluationMs }) => [
          samplesRead,
          [queueMs, parseMs, evaluationMs].every((ms) => ms >= 0 && ms < 60_000),
        ]);
    };
    const figures = await failed(local);
    assert.equal(figures.length, 2);
    assert.deepEqual(await failed(threads), figures);
  });

  test("a query given as a tree is answered too", async () => {
    const query = { query: parseExpression("sum(requests_total)"), timeMs: 1_000_000 };
    const source = createSource();
    assert.deepEqual(
      await outcome(() => threads.instant(source, query)),
      await outcome(() => local.instant(source, query)),
    );
  });

  test("an analysis comes through", async () => {
    const asked = { query: "sum(requests_total)", timeMs: 1_000_000, analyze: true };
    const source = createSource();
    const here = (await local.instant(source, asked)).analysis;
    const there = (await threads.instant(source, asked)).analysis;
    const figures = ({ name, series, samples, children }: QueryAnalysis): unknown => [
      name,
      series,
      samples,
      children.map(figures),
    ];
    assert.deepEqual(figures(there!), figures(here!));
    assert.equal(there!.name, "sum");
  });

  test("native histograms come through", async () => {
    const storage = new MemoryStorage();
    const series = (name: string): Labels => Labels.fromObject({ __name__: "h", name });
    for (let k = 0; k < 30; k++) {
      const positiveBuckets = Float64Array.of(k, 2 * k);
      const positiveSpans = Int32Array.of(-1, 2);
      const histogram = newHistogram({ count: 3 * k, sum: k, positiveSpans, positiveBuckets });
      storage.appendHistogram(series("a"), k * 60_000, histogram);
      if (k % 2 === 0) storage.append(series("b"), k * 60_000, k);
      else storage.appendHistogram(series("b"), k * 60_000, histogram);
    }
    for (const query of ["h", "rate(h[5m])", "sum(h)", "h[3m]"]) {
      const at = { query, timeMs: 1_000_000 };
      const over = { query, startMs: 0, endMs: 1_800_000, stepMs: 30_000 };
      const answer = (engine: QueryEngine): Promise<unknown[]> =>
        Promise.all([
          outcome(() => engine.instant(storage.queryable, at)),
          outcome(() => engine.range(storage.queryable, over)),
        ]);
      assert.deepEqual(await answer(threads), await answer(local), query);
    }
  });

  test("many queries at once keep to themselves", async () => {
    const source = createSource();
    const times = Array.from({ length: 20 }, (_, i) => 100_000 + i * 200_000);
    const all = (engine: QueryEngine): Promise<unknown[]> =>
      Promise.all(
        times.map((timeMs) =>
          outcome(() => engine.instant(source, { query: "requests_total", timeMs })),
        ),
      );
    assert.deepEqual(await all(threads), await all(local));
  });

  test("warnings and errors of the storage come through", async () => {
    const warning: Queryable = {
      async *select() {
        yield { series: [], warnings: ["store a is down"] };
      },
      labelNames: refuse,
      labelValues: refuse,
    };
    const { warnings } = await threads.instant(warning, { query: "x", timeMs: 0 });
    assert.deepEqual(warnings, ["store a is down"]);
    const failing: Queryable = {
      // oxlint-disable-next-line require-yield
      async *select() {
        throw new AppError("unavailable", "cannot read store a");
      },
      labelNames: refuse,
      labelValues: refuse,
    };
    assert.equal(
      await outcome(() => threads.instant(failing, { query: "x", timeMs: 0 })),
      "unavailable: cannot read store a",
    );
  });

  const hanging: Queryable = {
    // oxlint-disable-next-line require-yield
    async *select() {
      await new Promise(() => undefined);
    },
    labelNames: refuse,
    labelValues: refuse,
  };

  test("a cancelled query ends at once, though the storage hangs", async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const running = outcome(() => threads.instant(hanging, { query: "x", timeMs: 0, signal }));
    setImmediate(() => controller.abort());
    assert.equal(await running, "canceled: query was canceled in expression evaluation");
  });

  test("a thread is free again when its query is cancelled in the middle", async () => {
    const engine = new WorkerEngine({ workerCount: 1, maxSamples: 1e9 });
    const source = createSource();
    const controller = new AbortController();
    // More than minutes of work.
    const query = "max_over_time(sum_over_time(requests_total[4500s:1ms])[4500s:1ms])";
    const watched: Queryable = {
      async *select(request) {
        setTimeout(() => controller.abort(), 100);
        yield* source.select(request);
      },
      labelNames: refuse,
      labelValues: refuse,
    };
    const { signal } = controller;
    assert.equal(
      await outcome(() => engine.instant(watched, { query, timeMs: 4_500_000, signal })),
      "canceled: query was canceled in expression evaluation",
    );
    const { value } = await engine.instant(source, { query: "1 + 1", timeMs: 0 });
    assert.deepEqual(value, { kind: "scalar", timeMs: 0, value: 2 });
    await engine[Symbol.asyncDispose]();
  });

  test("a query that takes too long is stopped", async () => {
    assert.equal(
      await outcome(() => threads.instant(hanging, { query: "x", timeMs: 0, timeoutMs: 1 })),
      "timeout: query timed out in expression evaluation",
    );
  });

  test("an engine that was stopped fails what runs and what comes", async () => {
    const engine = new WorkerEngine({ workerCount: 1 });
    const running = outcome(() => engine.instant(hanging, { query: "x", timeMs: 0 }));
    await new Promise((resolve) => setImmediate(resolve));
    await engine[Symbol.asyncDispose]();
    assert.equal(await running, "internal: cannot finish the query: its evaluation thread ended");
    assert.equal(
      await outcome(() => engine.instant(hanging, { query: "x", timeMs: 0 })),
      "unavailable: cannot evaluate: the engine was stopped",
    );
  });
});
