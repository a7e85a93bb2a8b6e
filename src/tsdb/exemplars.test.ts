import assert from "node:assert/strict";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { apiData, skipWithoutParts, startPrometheus } from "../../test/support/processes.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { randomInt, seededRandom } from "../base/random.ts";
import type { Exemplar } from "../model/exemplar.ts";
import { createMatcher } from "../model/matcher.ts";
import type { MetricMetadata } from "../model/metadata.ts";
import { ExemplarStore } from "./exemplar-store.ts";
import type { Head } from "./head.ts";
import type { HeadOptions } from "./head-options.ts";
import { openHead } from "./open-head.ts";
import { columns, labels, stoppedClock } from "./testing/head-fixture.ts";

const START = 1_700_000_000_000;
const HOUR = 3_600_000;
const root = await mkdtemp(join(tmpdir(), "exemplars-test-"));
after(() => rm(root, { recursive: true, force: true }));

const ALL = {
  matcherSets: [[createMatcher("__name__", "=~", ".+")]],
  minTimeMs: -Infinity,
  maxTimeMs: Infinity,
};

function exemplar(timeMs: number, value = 1, pairs: Record<string, string> = {}): Exemplar {
  return { labels: labels(pairs), value, timeMs };
}

function options(name: string, changes: Partial<HeadOptions> = {}): HeadOptions {
  return {
    folder: join(root, name),
    logger: silentLogger,
    clock: stoppedClock(START),
    registry: new Registry(),
    retentionMs: 24 * HOUR,
    maxExemplars: 1000,
    ...changes,
  };
}

const step = fc.record({ series: fc.nat(3), timeMs: fc.nat(20), limit: fc.nat(40) });

test("the store keeps the newest, whatever its limit becomes", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      const store = new ExemplarStore(8);
      let limit = 8;
      let plain: { series: number; timeMs: number }[] = [];
      for (const { series, timeMs, limit: next } of steps) {
        if (next < 12) {
          store.limit = limit = next;
          plain = limit === 0 ? [] : plain.slice(-limit);
        }
        const newest = plain.findLast((one) => one.series === series);
        const outcome = store.add(labels({ __name__: `m${series}` }), exemplar(timeMs));
        if (limit === 0 || newest?.timeMs === timeMs) assert.equal(outcome, "repeated");
        else if (newest !== undefined && timeMs < newest.timeMs)
          assert.equal(outcome, "out-of-order");
        else {
          assert.equal(outcome, "appended");
          plain.push({ series, timeMs });
          plain = plain.slice(-limit);
        }
        assert.equal(store.count, plain.length);
        const rows = store
          .select(ALL)
          .flatMap((one) =>
            one.exemplars.map((each) => [Number(one.labels.get("__name__")[1]), each.timeMs]),
          );
        const want = [0, 1, 2, 3].flatMap((s) =>
          plain.filter((one) => one.series === s).map((one) => [s, one.timeMs]),
        );
        assert.deepEqual(rows, want);
      }
    }),
  );
});

test("selects by range and by any of several selectors", () => {
  const store = new ExemplarStore(10);
  for (const name of ["a", "b", "c"])
    for (const timeMs of [1, 2, 3]) store.add(labels({ __name__: name }), exemplar(timeMs));
  const found = store.select({
    matcherSets: [[createMatcher("__name__", "=", "c")], [createMatcher("__name__", "=", "a")]],
    minTimeMs: 2,
    maxTimeMs: 2,
  });
  assert.deepEqual(
    found.map((one) => [one.labels.get("__name__"), one.exemplars.map(({ timeMs }) => timeMs)]),
    [
      ["a", [2]],
      ["c", [2]],
    ],
  );
});

test("without a time of its own an exemplar is the one before, whenever it is scraped again", async () => {
  const settings = options("scrape-times");
  let head = await openHead(settings);
  const name = labels({ __name__: "m" });
  let now = START;
  const scrape = async (value: number, change: { own?: boolean } = {}): Promise<void> => {
    now += 1000;
    const ref = head.resolve(name);
    const one = { ref, exemplar: exemplar(now, value, { trace_id: "a" }) };
    const isScrapeTime = change.own !== true;
    const exemplars = [isScrapeTime ? { ...one, isScrapeTime } : one];
    const result = await head.append({ ...columns([[ref, now, 1]]), exemplars });
    assert.deepEqual([result.appendedExemplars, result.refusedExemplars], [1, 0]);
  };
  const seconds = (): number[] =>
    head
      .exemplars(ALL)
      .flatMap((one) => one.exemplars.map(({ timeMs }) => (timeMs - START) / 1000));
  await scrape(1);
  await scrape(1);
  assert.deepEqual(seconds(), [1]);
  await scrape(2);
  await scrape(2);
  await scrape(1);
  assert.deepEqual(seconds(), [1, 3, 5]);
  // One with a time is another one, and so is the next without.
  await scrape(1, { own: true });
  await scrape(1, { own: true });
  await scrape(1);
  await scrape(1);
  assert.deepEqual(seconds(), [1, 3, 5, 6, 7, 8]);
  await head.close();
  head = await openHead(settings);
  await scrape(1);
  assert.deepEqual(seconds(), [1, 3, 5, 6, 7, 8]);
  await head.close();
});

test("what is refused is told, and takes no sample with it", async () => {
  const head = await openHead(options("refused"));
  const ref = head.resolve(labels({ __name__: "m" }));
  const long = "ü".repeat(120);
  const result = await head.append({
    ...columns([[ref, START, 1]]),
    exemplars: [
      exemplar(START, 1, { trace_id: "a" }),
      exemplar(START, 1, { trace_id: long }),
      exemplar(START + 1, 1, { trace_id: `${long}x` }),
    ].map((one) => ({ ref, exemplar: one })),
    isWhole: true,
    listRefused: true,
  });
  assert.deepEqual([result.appended, result.appendedExemplars, result.refusedExemplars], [1, 2, 1]);
  assert.deepEqual(
    result.refused.map(({ part, index, reason }) => [part, index, reason]),
    [["exemplar", 2, "invalid"]],
  );
  const again = await head.append({
    ...columns([]),
    exemplars: [
      { ref, exemplar: exemplar(START, 1, { trace_id: long }) }, // the same again
      { ref, exemplar: exemplar(START - 1) },
      { ref: 4711, exemplar: exemplar(START) },
    ],
    listRefused: true,
  });
  assert.equal(again.appendedExemplars, 1);
  assert.deepEqual(
    again.refused.map(({ index, reason }) => [index, reason]),
    [
      [1, "out-of-order"],
      [2, "unknown-ref"],
    ],
  );
  await head.close();
});

async function fill(head: Head, clock = stoppedClock(START)): Promise<void> {
  const random = seededRandom(4);
  const refs = Array.from({ length: 5 }, (_, i) =>
    head.resolve(labels({ __name__: "m", i: String(i), "é.x": 'a "b"' })),
  );
  for (let k = 0; k < 200; k++) {
    const t = START + k * 30_000;
    clock.nowMs = t;
    const exemplars = refs
      .filter(() => random.next() < 0.5)
      .map((ref) => ({
        ref,
        exemplar: exemplar(t - randomInt(random, 1000), random.next(), {
          trace_id: `t${k}`,
          ...(k % 3 === 0 ? { "utf8.ü": "\n" } : {}),
        }),
      }));
    const metadata: MetricMetadata = {
      type: k < 100 ? "counter" : "gaugehistogram",
      help: `help\n${Math.floor(k / 50)}`,
      unit: "bytes",
    };
    const result = await head.append({
      ...columns(refs.map((ref) => [ref, t, k] as const)),
      exemplars,
      metadata: refs.map((ref) => ({ ref, metadata })),
    });
    assert.equal(result.appendedExemplars, exemplars.length);
    // Every truncation starts a segment; some write a checkpoint.
    if (k % 40 === 0) await head.truncate();
  }
}

const LAST: MetricMetadata = { type: "gaugehistogram", help: "help\n3", unit: "bytes" };

test("exemplars and metadata come back from log and checkpoint", async () => {
  const clock = stoppedClock(START);
  const settings = options("replay", { retentionMs: HOUR / 2, clock });
  let head = await openHead(settings);
  await fill(head, clock);
  await head.truncate();
  const recent = { ...ALL, minTimeMs: clock.nowMs - HOUR / 2 };
  const before = head.exemplars(recent);
  assert.ok(before.flatMap((one) => one.exemplars).length > 100);
  await head.close();
  head = await openHead(settings);
  assert.deepEqual(head.exemplars(recent), before);
  const ref = head.resolve(before[0]!.labels);
  assert.deepEqual(head.metadata(ref), LAST);
  head.setMaxExemplars(10);
  assert.equal(head.exemplars(ALL).flatMap((one) => one.exemplars).length, 10);
  await head.close();
});

test("a real Prometheus reads our exemplars", { skip: skipWithoutParts() }, async () => {
  const settings = options("ours", { retentionMs: 1e12 });
  const head = await openHead(settings);
  await fill(head);
  const ours = head.exemplars(ALL);
  await head.close();
  const copy = join(root, "copy");
  await cp(settings.folder, copy, { recursive: true });
  const server = (await startPrometheus({
    config: "",
    dataFolder: copy,
    flags: ["--storage.tsdb.retention.time=100y", "--enable-feature=exemplar-storage"],
  }))!;
  try {
    const parameters = new URLSearchParams({
      query: "m",
      start: String(START / 1000 - 100),
      end: String(START / 1000 + 10_000),
    });
    const data = await apiData<Answer[]>(
      `${server.url}/api/v1/query_exemplars?${parameters.toString()}`,
    );
    assert.deepEqual(
      data.map((one) => [
        labels(one.seriesLabels).toString(),
        one.exemplars.map((each) => [
          labels(each.labels).toString(),
          Number(each.value),
          Math.round(each.timestamp * 1000),
        ]),
      ]),
      ours.map((one) => [
        one.labels.toString(),
        one.exemplars.map((each) => [each.labels.toString(), each.value, each.timeMs]),
      ]),
    );
  } finally {
    await server.stop();
  }
});

interface Answer {
  readonly seriesLabels: Record<string, string>;
  readonly exemplars: readonly {
    labels: Record<string, string>;
    value: string;
    timestamp: number;
  }[];
}
