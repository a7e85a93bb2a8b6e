import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { Labels } from "../model/labels.ts";
import { NO_LOAD } from "./load.ts";
import {
  type AssignedTarget,
  decodeAssignment,
  decodeConfig,
  decodeRuntime,
  parseJson,
  decodeStatus,
  encodeAssignment,
  encodeRuntime,
  encodeStatus,
  type ShardRuntime,
  type TargetStatus,
} from "./wire.ts";

const throughJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value));

const count = fc.integer({ min: 0, max: 2 ** 40 });
const state = fc.constantFrom("normal" as const, "in_transfer" as const);
const load = fc.record(
  {
    series: count,
    rawSeries: count,
    samplesPerSecond: fc.double({ min: 0, max: 1e9, noNaN: true }),
    bodyBytesPerSecond: count,
    newSeriesPerHour: count,
  },
  { noNullPrototype: true },
);
const hash = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String);
const name = fc.oneof(
  fc.constantFrom("__proto__", "constructor", "toString", "job", "😀"),
  fc.string({ minLength: 1, unit: "grapheme" }),
);
const labels = fc
  .array(fc.tuple(name, fc.string({ minLength: 1, unit: "grapheme" })))
  .map((pairs) => Labels.fromPairs(pairs));

const assigned: fc.Arbitrary<AssignedTarget> = fc
  .record({ hash, job: name, allLabels: labels, discoveredLabels: labels, load, state, at: count })
  .map(({ hash: id, job, allLabels, discoveredLabels, load: cost, state: stage, at }) => ({
    target: {
      hash: id,
      job,
      allLabels,
      labels: allLabels.without(
        [...allLabels].flatMap(([each]) => (each.startsWith("__") ? [each] : [])),
      ),
      discoveredLabels,
      url: "https://[::1]:8443/metrics?a=b",
      intervalMs: 15_000,
      timeoutMs: 10_000,
      ...(at % 2 === 1 && { refusal: "target_limit exceeded" }),
    },
    state: stage,
    assignedAtMs: at,
    load: cost,
  }));

/** What two lists of targets must agree in; `Labels` compare by their text. */
function comparable(list: readonly AssignedTarget[]): unknown[] {
  return list
    .map(({ target, ...rest }) => ({
      ...rest,
      ...target,
      allLabels: target.allLabels.key(),
      labels: target.labels.key(),
      discoveredLabels: target.discoveredLabels.key(),
    }))
    .sort((a, b) => (`${a.job} ${a.hash}` < `${b.job} ${b.hash}` ? -1 : 1));
}

test("target lists survive the wire: 64-bit hashes, magic label names, any text", () => {
  fc.assert(
    fc.property(fc.uniqueArray(assigned, { selector: (entry) => entry.target.hash }), (list) => {
      const read = decodeAssignment(throughJson(encodeAssignment(list)));
      assert.deepEqual(comparable(read), comparable(list));
    }),
  );
});

test("a Kvass sidecar's status knows series alone", () => {
  const [status] = decodeStatus({
    "1": { series: 7, totalSeries: 9, health: "up", ScrapeTimes: 2 },
  }).values();
  assert.deepEqual(status?.load, { ...NO_LOAD, series: 7, rawSeries: 9 });
});

test("statuses and runtime survive the wire", () => {
  const status: TargetStatus = {
    state: "in_transfer",
    assignedAtMs: 5,
    load: { ...NO_LOAD, series: 10, rawSeries: 20, samplesPerSecond: 1.5 },
    health: "down",
    lastError: "connection refused",
    lastScrapeMs: 1_700_000_000_123,
    lastScrapeDurationMs: 250,
    scrapes: 7,
    goodScrapes: 3,
  };
  const hashes = "18446744073709551615";
  assert.deepEqual(
    decodeStatus(throughJson(encodeStatus(new Map([[hashes, status]])))),
    new Map([[hashes, status]]),
  );
  const runtime: ShardRuntime = {
    id: "shard-3",
    headSeries: 20_100,
    processSeries: 20_090,
    configHash: "abc",
    idleSinceMs: 1_700_000_000_000,
    pid: 42,
    rssBytes: 1,
    startedAtMs: 2,
    grpcAddress: "127.0.0.1:1",
    epoch: 1_790_000_000_000,
    dataUntilMs: 1_700_000_600_000,
    stopReason: "too much",
    stopOrder: { reason: "too much", sinceMs: 5 },
  };
  assert.deepEqual(decodeRuntime(throughJson(encodeRuntime(runtime))), runtime);
  const busy = { ...runtime, idleSinceMs: undefined };
  assert.deepEqual(decodeRuntime(throughJson(encodeRuntime(busy))), busy);
});

test("what a Kvass sidecar answers is read", () => {
  const [status] = decodeStatus({
    "1241054366830102733": {
      lastError: "",
      lastScrape: "2022-11-16T00:00:00Z",
      lastScrapeDuration: 0.25,
      health: "up",
      series: 10_045,
      totalSeries: 10_045,
      TargetState: "",
      ScrapeTimes: 4,
      shards: null,
    },
  }).values();
  assert.equal(status?.state, "normal");
  assert.equal(status.goodScrapes, 4);
  assert.equal(status.load.series, 10_045);
  assert.equal(decodeRuntime({ headSeries: 1, processSeries: 2, ConfigHash: "7" }).configHash, "7");
  assert.deepEqual(decodeAssignment({ Targets: { m: null } }), []);
});

test("what is not understood is refused with its place", () => {
  const refuse = (value: unknown, message: RegExp): void =>
    assert.throws(() => decodeAssignment(value), { code: "bad-data", message });
  refuse("x", /cannot read body: it must be an object/);
  refuse({ Targets: [] }, /cannot read Targets: it must be an object/);
  refuse({ Targets: { m: 5 } }, /cannot read Targets\.m: it must be a list/);
  refuse({ Targets: { m: [{ hash: 12 }] } }, /cannot read Targets\.m\[0\]\.hash: it must be text/);
  refuse({ Targets: { m: [{ hash: "x" }] } }, /a 64-bit number as decimal text/);
  refuse({ Targets: { m: [{ hash: "1", labels: { a: 1 } }] } }, /labels\.a: it must be text/);
  assert.throws(() => decodeConfig({ rawContent: 1 }), /cannot read rawContent: it must be text/);
  assert.throws(
    () => decodeStatus({ "1": { ScrapeTimes: -1 } }),
    /1\.ScrapeTimes: it must be a number of at least 0/,
  );
});

test("a figure of a load that is no number counts as 0, and the rest is read", () => {
  for (const odd of [NaN, Infinity, -1, null, "7", undefined]) {
    const [status] = decodeStatus({ "1": { series: odd, totalSeries: 5 } }).values();
    assert.deepEqual(status?.load, { ...NO_LOAD, rawSeries: 5 }, `series ${String(odd)}`);
    const [entry] = decodeAssignment({
      Targets: { m: [{ hash: "1", labels: {}, series: 5, samplesPerSecond: odd }] },
    });
    assert.deepEqual(entry?.load, { ...NO_LOAD, series: 5 }, `samples ${String(odd)}`);
  }
});

test("what a sidecar tells of its Prometheus comes through, and is not there otherwise", () => {
  const told = {
    prometheusState: "reload-failed",
    prometheusRestarts: 2,
    prometheusOutOfMemory: 1,
    lastGoodScrapeMs: 1_700_000_000_000,
  };
  const { prometheusState, prometheusRestarts, prometheusOutOfMemory, lastGoodScrapeMs } =
    decodeRuntime({ ConfigHash: "x", ...told });
  assert.deepEqual(
    { prometheusState, prometheusRestarts, prometheusOutOfMemory, lastGoodScrapeMs },
    told,
  );
  assert.equal("prometheusState" in decodeRuntime({ ConfigHash: "x" }), false);
});

test("hashes of 64 bits are exact as bare numbers and as text", () => {
  const text =
    '{"Targets":{"j":[{"hash":18446744073709551615,"labels":{"a":"\\"hash\\":12"}},{"Hash" : 9007199254740993}]}}';
  const parsed = parseJson(text) as {
    Targets: { j: [{ hash: string; labels: { a: string } }, { Hash: string }] };
  };
  const [first, second] = parsed.Targets.j;
  assert.deepEqual([first.hash, second.Hash], ["18446744073709551615", "9007199254740993"]);
  assert.equal(first.labels.a, '"hash":12');
  assert.throws(() => parseJson('{"hash":'), { code: "bad-data" });
});
