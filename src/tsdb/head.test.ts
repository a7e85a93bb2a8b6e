import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import fc from "fast-check";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { decodeXor, xorSampleCount } from "../chunk/xor.ts";
import { formatSeries, Labels } from "../model/labels.ts";
import { createMatcher, type Matcher } from "../model/matcher.ts";
import { NOTHING_APPENDED } from "../storage/appender.ts";
import type { HeadOptions } from "./head-options.ts";
import { openHead } from "./open-head.ts";
import { columns, labels, read, samples, stoppedClock } from "./testing/head-fixture.ts";

const START = 1_700_000_000_000;
const HOUR = 3_600_000;
const root = await mkdtemp(join(tmpdir(), "head-test-"));
after(() => rm(root, { recursive: true, force: true }));
let folderCount = 0;

function options(changes: Partial<HeadOptions> = {}): HeadOptions {
  return {
    folder: join(root, String(folderCount++)),
    logger: silentLogger,
    clock: stoppedClock(START),
    registry: new Registry(),
    retentionMs: 24 * HOUR,
    ...changes,
  };
}

const any = [createMatcher("__name__", "=~", ".+")];

test("samples come back after append, and after reopening", async () => {
  const settings = options();
  const a = labels({ __name__: "up", job: "a" });
  const b = labels({ __name__: "up", job: "b" });
  const head = await openHead(settings);
  const rows: [number, number, number][] = [];
  const [refA, refB] = [head.resolve(a), head.resolve(b)];
  for (let i = 0; i < 500; i++)
    rows.push([refA, START + i * 15_000, i], [refB, START + i * 15_000, i % 7]);
  assert.deepEqual(await head.append(columns(rows)), { ...NOTHING_APPENDED, appended: 1000 });
  assert.equal(head.resolve(a), refA);
  const before = await read(head, any);
  assert.deepEqual(
    before.map((series) => formatSeries(series.labels)),
    ['up{job="a"}', 'up{job="b"}'],
  );
  assert.deepEqual(
    samples(before[1]!),
    rows.filter(([ref]) => ref === refB).map(([, t, v]) => [t, v]),
  );
  const stats = head.stats();
  assert.deepEqual(
    [stats.seriesCount, stats.sampleCount, stats.labelPairCount, stats.minTimeMs, stats.maxTimeMs],
    [2, 1000, 3, START, START + 499 * 15_000],
  );
  assert.equal(stats.chunkCount, before[0]!.chunks.length + before[1]!.chunks.length);
  await head.close();
  await assert.rejects(head.append(columns([])), { code: "unavailable" });
  const again = await openHead(settings);
  const replayed = await read(again, any);
  assert.deepEqual(replayed.map(samples), before.map(samples));
  assert.deepEqual(again.stats(), stats);
  // The ref of a new series is one that the log has never seen.
  assert.ok(again.resolve(labels({ __name__: "new" })) > refB);
  await again.close();
});

test("chunks are cut where Prometheus cuts them", async () => {
  const head = await openHead(options());
  const ref = head.resolve(labels({ __name__: "x" }));
  const boundary = Math.ceil(START / (2 * HOUR)) * 2 * HOUR;
  const rows: [number, number, number][] = [];
  for (let t = boundary; t < boundary + 2.5 * HOUR; t += 15_000) rows.push([ref, t, t / 1000]);
  await head.append(columns(rows));
  const [series] = await read(head, any);
  const counts = series!.chunks.map((chunk) => xorSampleCount(chunk.data));
  // 480 samples to the boundary in four equal chunks, then 120 of the next range.
  assert.deepEqual(counts, [120, 120, 120, 120, 120]);
  assert.equal(series!.chunks[4]!.minTimeMs, boundary + 2 * HOUR);
  await head.close();
});

test("what is not stored is counted by its reason", async () => {
  const head = await openHead(options());
  const ref = head.resolve(labels({ __name__: "x" }));
  const other = head.resolve(labels({ __name__: "y" }));
  await head.append(
    columns([
      [ref, START, 1],
      [other, START + 2 * HOUR, 1],
    ]),
  );
  const result = await head.append(
    columns([
      [ref, START + 2 * HOUR, 1],
      [other, START + 2 * HOUR, 1], // the same again
      [other, START + 2 * HOUR, 2], // another value
      [other, START + 2 * HOUR - 1, 1], // late
      [ref, START, 1], // more than an hour behind the newest
      [4711, START + 2 * HOUR, 1],
      [ref, START + 2 * HOUR, 3], // second sample of one time in one batch
      [ref, START + 2 * HOUR + 0.5, 3], // no whole millisecond
      [ref, NaN, 3],
      [ref, Infinity, 3],
    ]),
  );
  assert.deepEqual(result, {
    ...NOTHING_APPENDED,
    appended: 2,
    outOfOrder: 1,
    duplicate: 2,
    outOfBounds: 4,
    unknownRef: 1,
  });
  assert.equal(head.stats().sampleCount, 3);
  await head.close();
});

test("what is not stored is listed, and takes the batch with it when that is asked for", async () => {
  const head = await openHead(options());
  const ref = head.resolve(labels({ __name__: "x" }));
  const other = head.resolve(labels({ __name__: "y" }));
  await head.append(columns([[ref, START, 1]]));
  const rows = columns([
    [other, START, 1],
    [ref, START, 1], // the same again is no refusal
    [ref, START, 2],
    [4711, START, 1],
    [ref, START - 1, 1],
    [ref, START - 2 * HOUR, 1],
  ]);
  const refused = [
    { part: "float", index: 2, reason: "duplicate" },
    { part: "float", index: 3, reason: "unknown-ref" },
    { part: "float", index: 4, reason: "out-of-order" },
    { part: "float", index: 5, reason: "out-of-bounds" },
  ];
  const counts = { outOfOrder: 1, duplicate: 1, outOfBounds: 1, unknownRef: 1 };
  assert.deepEqual(await head.append({ ...rows, isWhole: true, listRefused: true }), {
    ...NOTHING_APPENDED,
    ...counts,
    refused,
  });
  assert.equal(head.stats().sampleCount, 1);
  assert.deepEqual(await head.append({ ...rows, listRefused: true }), {
    ...NOTHING_APPENDED,
    ...counts,
    appended: 2,
    refused,
  });
  const good = columns([[ref, START + 1, 1]]);
  assert.equal((await head.append({ ...good, isWhole: true })).appended, 1);
  assert.equal(head.stats().sampleCount, 3);
  await head.close();
});

test("the limit of series refuses new ones only", async () => {
  const head = await openHead(options({ maxSeries: 2 }));
  const first = head.resolve(labels({ __name__: "a" }));
  head.resolve(labels({ __name__: "b" }));
  assert.throws(() => head.resolve(labels({ __name__: "c" })), {
    code: "resource-exhausted",
    message: "cannot create series c: the head holds its limit of 2 series",
  });
  assert.equal(head.resolve(labels({ __name__: "a" })), first);
  assert.throws(() => head.resolve(Labels.EMPTY), { code: "bad-data" });
  await head.close();
});

test("matchers of every kind", async () => {
  const head = await openHead(options());
  const sets = [
    { __name__: "m", env: "prod", zone: "a" },
    { __name__: "m", env: "dev", zone: "b" },
    { __name__: "m", env: "test" },
    { __name__: "m" },
    { __name__: "other", env: "prod" },
    { __name__: "m", __proto__x: "1", 𝒳: 'é\n"' },
  ];
  await head.append(columns(sets.map((set) => [head.resolve(labels(set)), START, 1] as const)));
  const f = async (expected: number[], ...matchers: Matcher[]): Promise<void> => {
    const want = expected.map((i) => labels(sets[i]!).toString()).sort();
    const got = await read(head, matchers);
    assert.deepEqual(got.map((series) => series.labels.toString()).sort(), want);
  };
  const m = createMatcher("__name__", "=", "m");
  await f([0, 1, 2, 3, 5], m);
  await f([0], m, createMatcher("env", "=", "prod"));
  await f([1, 2, 3, 5], m, createMatcher("env", "!=", "prod"));
  await f([0, 1], m, createMatcher("env", "=~", "prod|dev"));
  await f([0, 1, 3, 5], m, createMatcher("env", "=~", "prod|dev|"));
  await f([0, 1], m, createMatcher("env", "=~", "p.*|d.v"));
  await f([2, 3, 5], m, createMatcher("env", "!~", "p.*|d.v"));
  await f([3, 5], m, createMatcher("env", "=", ""));
  await f([0, 1, 2], m, createMatcher("env", "!=", ""));
  await f([3, 5], m, createMatcher("env", "!~", ".+"));
  await f([5], m, createMatcher("𝒳", "=", 'é\n"'));
  await f([], m, createMatcher("env", "=", "nowhere"));
  await f([], createMatcher("nothing", "=", "x"));
  await f([0, 1, 2, 3, 4, 5], createMatcher("nothing", "=", ""));
  const names = await head.labelNames({ matchers: [], minTimeMs: 0, maxTimeMs: START });
  assert.deepEqual(names.values, ["__name__", "__proto__x", "env", "zone", "𝒳"]);
  const range = { minTimeMs: 0, maxTimeMs: START };
  assert.deepEqual((await head.labelValues("env", { matchers: [], ...range })).values, [
    "dev",
    "prod",
    "test",
  ]);
  const zoned = [createMatcher("zone", "!=", "")];
  assert.deepEqual((await head.labelValues("env", { matchers: zoned, ...range })).values, [
    "dev",
    "prod",
  ]);
  assert.deepEqual((await head.labelValues("env", { matchers: [], ...range, limit: 1 })).values, [
    "dev",
  ]);
  assert.deepEqual(
    (await head.labelNames({ matchers: [], minTimeMs: 0, maxTimeMs: START - 1 })).values,
    [],
  );
  const largest = head.cardinality(1);
  assert.deepEqual(largest.seriesCountByMetricName, [{ name: "m", value: 5 }]);
  assert.deepEqual(largest.labelValueCountByLabelName, [{ name: "env", value: 3 }]);
  assert.deepEqual(largest.seriesCountByLabelValuePair, [{ name: "__name__=m", value: 5 }]);
  await head.close();
});

test("results are sorted by labels in byte order, over batches, with a limit", async () => {
  const head = await openHead(options());
  const rows: [number, number, number][] = [];
  for (let i = 0; i < 600; i++)
    rows.push([head.resolve(labels({ __name__: "m", i: String((i * 7919) % 600) })), START, i]);
  for (const value of ["\uffee", "😀"])
    rows.push([head.resolve(labels({ __name__: "m", i: value })), START, 0]);
  await head.append(columns(rows));
  const values = (await read(head, any)).map((series) => series.labels.get("i"));
  assert.equal(values.length, 602);
  const bytes = values.map((value) => Buffer.from(value));
  for (let i = 1; i < bytes.length; i++)
    assert.ok(Buffer.compare(bytes[i - 1]!, bytes[i]!) < 0, `${values[i - 1]} ${values[i]}`);
  assert.equal((await read(head, any, { limit: 300 })).length, 300);
  await head.close();
});

test("replica labels are stripped before sorting, and equal series become one", async () => {
  const head = await openHead(options());
  const sets = [
    { __name__: "m", a_replica: "1", x: "2" },
    { __name__: "m", a_replica: "2", x: "1" },
    { __name__: "m", a_replica: "2", x: "2" },
  ];
  await head.append(
    columns(sets.map((set, i) => [head.resolve(labels(set)), START + i, i] as const)),
  );
  const result = await read(head, any, { withoutReplicaLabels: ["a_replica"] });
  assert.deepEqual(
    result.map((series) => [formatSeries(series.labels), samples(series)]),
    [
      ['m{x="1"}', [[START + 1, 1]]],
      [
        'm{x="2"}',
        [
          [START, 0],
          [START + 2, 2],
        ],
      ],
    ],
  );
  await head.close();
});

test("a time range picks chunks; skipChunks gives labels only", async () => {
  const head = await openHead(options());
  const ref = head.resolve(labels({ __name__: "m" }));
  const rows: [number, number, number][] = [];
  for (let i = 0; i < 1000; i++) rows.push([ref, START + i * 15_000, i]);
  await head.append(columns(rows));
  const all = (await read(head, any))[0]!.chunks;
  assert.ok(all.length > 5);
  const second = all[1]!;
  const range = { minTimeMs: second.minTimeMs, maxTimeMs: second.maxTimeMs };
  assert.deepEqual((await read(head, any, range))[0]!.chunks, [second]);
  assert.deepEqual((await read(head, any, { ...range, skipChunks: true }))[0]!.chunks, []);
  assert.deepEqual(await read(head, any, { minTimeMs: 0, maxTimeMs: START - 1 }), []);
  const end = START + 999 * 15_000;
  assert.deepEqual(await read(head, any, { minTimeMs: end + 1, maxTimeMs: Infinity }), []);
  await head.close();
});

test("a running query sees nothing of later appends", async () => {
  const head = await openHead(options());
  const refs = Array.from({ length: 700 }, (_, i) =>
    head.resolve(labels({ __name__: "m", i: String(i) })),
  );
  const scrape = (t: number): Promise<unknown> =>
    head.append(columns(refs.map((ref) => [ref, t, t] as const)));
  for (let i = 0; i < 110; i++) await scrape(START + i * 15_000);
  const newest = START + 109 * 15_000;
  let i = 110;
  let seen = 0;
  for await (const batch of head.select({ matchers: any, minTimeMs: 0, maxTimeMs: Infinity })) {
    for (const series of batch.series) {
      assert.equal(samples(series).at(-1)![0], newest);
      seen++;
    }
    // Enough to finish the open chunk of every series while the query is under way.
    for (let k = 0; k < 60; k++) await scrape(START + i++ * 15_000);
  }
  assert.equal(seen, 700);
  await head.close();
});

test("any 64-bit values survive append, reopening and select", async () => {
  const word = fc.oneof(
    fc.bigInt({ min: 0n, max: (1n << 64n) - 1n }),
    fc.constantFrom(0x7ff0000000000002n, 0x7ff8000000000001n, 0n, 1n << 63n, 1n),
  );
  const gap = fc.oneof(fc.constant(15_000), fc.integer({ min: 1, max: 3_000_000 }));
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(gap, word), { minLength: 1, maxLength: 400 }),
      async (list) => {
        const settings = options({ walCompression: list.length % 2 === 0 ? "zstd" : "none" });
        let head = await openHead(settings);
        const ref = head.resolve(labels({ __name__: "m" }));
        const words = BigUint64Array.from(list, ([, bits]) => bits);
        const times = new Float64Array(list.length);
        let t = START;
        for (const [i, [step]] of list.entries()) times[i] = t += step;
        await head.append({
          refs: new Int32Array(list.length).fill(ref),
          times,
          values: new Float64Array(words.buffer),
          count: list.length,
        });
        for (let round = 0; round < 2; round++) {
          const [series] = await read(head, any);
          const bits: bigint[] = [];
          const got: number[] = [];
          for (const chunk of series!.chunks) {
            const count = xorSampleCount(chunk.data);
            const into = {
              times: new Float64Array(count),
              values: new Float64Array(count),
              offset: 0,
            };
            decodeXor(chunk.data, into);
            bits.push(...new BigUint64Array(into.values.buffer));
            got.push(...into.times);
          }
          assert.deepEqual(got, [...times]);
          assert.deepEqual(bits, [...words]);
          await head.close();
          if (round === 0) head = await openHead(settings);
        }
      },
    ),
    { numRuns: 25 },
  );
});

test("retention drops chunks, series and log; survivors stay known after reopening", async () => {
  const clock = stoppedClock(START);
  const settings = options({ clock, retentionMs: 4 * HOUR, walSegmentBytes: 64 * 1024 });
  let head = await openHead(settings);
  const old = head.resolve(labels({ __name__: "old" }));
  const stable = head.resolve(labels({ __name__: "stable", zone: "z" }));
  const at = async (t: number, refs: number[]): Promise<void> => {
    clock.nowMs = t;
    await head.append(columns(refs.map((ref) => [ref, t, t] as const)));
  };
  for (let t = START; t < START + 12 * HOUR; t += 60_000) {
    await at(t, t < START + HOUR ? [old, stable] : [stable]);
    if (t % HOUR === 0 || (t - START) % HOUR === 0) await head.truncate();
  }
  await head.truncate();
  assert.equal(head.stats().seriesCount, 1);
  assert.ok(head.stats().minTimeMs >= clock.nowMs - 4 * HOUR);
  const gone = await head.append(columns([[old, clock.nowMs, 1]]));
  assert.equal(gone.unknownRef, 1);
  assert.deepEqual(
    (await head.labelNames({ matchers: [], minTimeMs: 0, maxTimeMs: Infinity })).values,
    ["__name__", "zone"],
  );
  const files = await readdir(join(settings.folder, "wal"));
  assert.equal(files.filter((name) => name.startsWith("checkpoint.")).length, 1);
  assert.ok(files.length <= 8, files.join(" "));
  const kept = async (): Promise<[number, number][]> =>
    samples((await read(head, any))[0]!).filter(([t]) => t >= clock.nowMs - 4 * HOUR);
  const before = await kept();
  await head.close();
  head = await openHead(settings);
  assert.equal(head.resolve(labels({ __name__: "stable", zone: "z" })), stable);
  assert.ok(head.resolve(labels({ __name__: "old" })) > stable, "a ref is never used again");
  assert.deepEqual(await kept(), before);
  await head.close();
});

test("an index full of dead label pairs is rebuilt, and everything is still found", async () => {
  const clock = stoppedClock(START);
  const head = await openHead(options({ clock, retentionMs: HOUR }));
  const stable = head.resolve(labels({ __name__: "m", pod: "stable" }));
  for (let round = 0; round < 4; round++) {
    clock.nowMs = START + round * 2 * HOUR;
    const rows: [number, number, number][] = [[stable, clock.nowMs, round]];
    for (let i = 0; i < 2000; i++)
      rows.push([
        head.resolve(labels({ __name__: "m", pod: `pod-${round}-${i}` })),
        clock.nowMs,
        i,
      ]);
    assert.equal((await head.append(columns(rows))).appended, rows.length);
    const query = read(head, any);
    await head.truncate();
    await query;
    assert.equal(head.stats().seriesCount, 2001);
    assert.equal(head.resolve(labels({ __name__: "m", pod: "stable" })), stable);
    const pod = createMatcher("pod", "=~", `stable|pod-${round}-.*7`);
    const found = await read(head, [...any, pod], { minTimeMs: clock.nowMs });
    assert.equal(found.length, 201);
    assert.equal(found.at(-1)!.labels.get("pod"), "stable");
    assert.equal(
      (await head.labelValues("pod", { matchers: [], minTimeMs: 0, maxTimeMs: Infinity })).values
        .length,
      2001,
    );
  }
  await head.close();
});

test("a folder has one owner at a time", async () => {
  const settings = options();
  const head = await openHead(settings);
  await assert.rejects(openHead({ ...settings, registry: new Registry() }), {
    code: "already-exists",
    message: `cannot lock data folder ${settings.folder}: process ${process.pid} is using it`,
  });
  await head.close();
  // What a dead owner leaves behind does not stop the next.
  await writeFile(join(settings.folder, "lock"), '{"pid":1,"startTime":"no","host":"elsewhere"}');
  await (await openHead(settings)).close();
});
