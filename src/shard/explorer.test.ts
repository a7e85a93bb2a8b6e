import assert from "node:assert/strict";
import { test } from "node:test";
import { AppError } from "../base/errors.ts";
import { Registry } from "../base/metrics.ts";
import type { Target } from "../model/target.ts";
import { Explorer } from "./explorer.ts";
import { NO_LOAD } from "./load.ts";
import type { Load } from "./load.ts";
import { fakeTarget } from "./testdata/fake-shards.ts";

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Explorations end when the test says so; waits are recorded instead of waited for. */
class Bench {
  readonly running = new Map<string, PromiseWithResolvers<Load>>();
  readonly waits: { delayMs: number; run: () => void }[] = [];
  results = 0;
  most = 0;
  readonly explorer: Explorer;

  constructor(concurrency: number) {
    this.explorer = new Explorer(
      { concurrency, retryMs: 1000, retryMaxMs: 4000 },
      {
        explore: (target) => {
          const attempt = Promise.withResolvers<Load>();
          this.running.set(target.url, attempt);
          this.most = Math.max(this.most, this.running.size);
          return attempt.promise.finally(() => this.running.delete(target.url));
        },
        clock: {
          now: () => 0,
          monotonic: () => 0,
          after: (delayMs, run) => {
            const wait = { delayMs, run };
            this.waits.push(wait);
            return () => void this.waits.splice(this.waits.indexOf(wait), 1);
          },
          sleep: async () => {},
        },
        random: { next: () => 0.5 },
        registry: new Registry(),
        onResult: () => {
          this.results++;
        },
      },
    );
  }

  want(...targets: readonly Target[]): void {
    this.explorer.update(new Map(targets.map((target) => [target.hash, target])));
  }

  async fail(target: Target): Promise<void> {
    this.running.get(target.url)!.reject(new AppError("timeout", "too slow"));
    await settle();
  }
}

const [a, b, c] = [fakeTarget("a"), fakeTarget("b"), fakeTarget("c")];

test("no more targets are measured at once than allowed, and all of them in the end", async () => {
  const bench = new Bench(2);
  bench.want(a, b, c);
  assert.deepEqual([...bench.running.keys()], [a.url, b.url]);
  for (const target of [a, b, c]) {
    bench.running.get(target.url)!.resolve({ ...NO_LOAD, series: 7, rawSeries: 9 });
    await settle();
  }
  assert.equal(bench.most, 2);
  assert.equal(bench.results, 3);
  assert.deepEqual(bench.explorer.result(c.hash)?.load, { ...NO_LOAD, series: 7, rawSeries: 9 });
});

test("a target that fails can be placed after one attempt and is tried again, ever more rarely", async () => {
  const bench = new Bench(2);
  bench.want(a);
  assert.equal(bench.explorer.result(a.hash)?.explored, "pending");
  const delays: number[] = [];
  for (let i = 0; i < 4; i++) {
    await bench.fail(a);
    const [wait] = bench.waits.splice(0);
    delays.push(wait!.delayMs);
    wait!.run();
  }
  assert.deepEqual(delays, [1000, 2000, 4000, 4000]);
  assert.equal(bench.results, 1);
  const result = bench.explorer.result(a.hash);
  assert.deepEqual([result?.explored, result?.error], ["failed", "too slow"]);
  bench.running.get(a.url)!.resolve({ ...NO_LOAD, series: 1, rawSeries: 1 });
  await settle();
  assert.equal(bench.explorer.result(a.hash)?.explored, "measured");
});

test("targets that are not wanted any more are forgotten, with their retries", async () => {
  const bench = new Bench(2);
  bench.want(a, b);
  await bench.fail(a);
  assert.equal(bench.waits.length, 1);
  bench.want(b);
  assert.equal(bench.waits.length, 0);
  assert.equal(bench.explorer.result(a.hash), undefined);
  bench.want();
  bench.running.get(b.url)!.resolve({ ...NO_LOAD, series: 1, rawSeries: 1 });
  await settle();
  assert.equal(bench.explorer.result(b.hash), undefined);
});
