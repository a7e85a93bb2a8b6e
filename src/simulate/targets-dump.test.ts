import assert from "node:assert/strict";
import { test } from "node:test";
import { seededRandom } from "../base/random.ts";
import { HOUR_MS } from "./sim-target.ts";
import { DumpClones, readTargetsDump, type TargetsDump } from "./targets-dump.ts";

const START_MS = 10 * HOUR_MS;

function read(dump: unknown): TargetsDump {
  return readTargetsDump(typeof dump === "string" ? dump : JSON.stringify(dump), {
    source: "targets.json",
    intervalMs: 30_000,
    life: { growthPerDay: 0, churnPerHour: 0 },
    startMs: START_MS,
    random: seededRandom(1),
  });
}

/** As Kvass v0.3.2 answers: no interval, `shards` with those that scrape it, no hash. */
function kvassTarget(instance: string, rest: object = {}): object {
  const url = `http://${instance}/metrics`;
  return {
    discoveredLabels: { __address__: instance, __scheme__: "http", job: "node" },
    labels: { instance, job: "node" },
    scrapePool: "node",
    scrapeUrl: url,
    globalUrl: url,
    lastError: "",
    lastScrape: "2022-03-01T12:00:00.5Z",
    lastScrapeDuration: 0.05,
    health: "up",
    scrapeInterval: "",
    scrapeTimeout: "",
    series: 900,
    totalSeries: 1000,
    shards: ["shard-1"],
    ...rest,
  };
}

const answer = (...activeTargets: unknown[]): object => ({
  status: "success",
  data: { activeTargets, droppedTargets: [{ discoveredLabels: {} }] },
});

test("Kvass's answer: sizes, the interval from elsewhere, and who has what", () => {
  const { targets, placement, shards } = read(
    answer(
      kvassTarget("a:1"),
      kvassTarget("b:1", { shards: ["shard-10"] }),
      kvassTarget("c:1", { shards: null, series: 0, totalSeries: 0, health: "unknown" }),
      kvassTarget("d:1", { shards: [] }),
    ),
  );
  assert.deepEqual(
    targets.map(({ size, isDown, target }) => [target.url, size.series, size.rawSeries, isDown]),
    [
      ["http://a:1/metrics", 900, 1000, false],
      ["http://b:1/metrics", 900, 1000, false],
      ["http://c:1/metrics", 0, 0, true],
      ["http://d:1/metrics", 900, 1000, false],
    ],
  );
  assert.ok(
    targets.every(({ target }) => target.intervalMs === 30_000 && /^\d+$/.test(target.hash)),
  );
  assert.equal(new Set(targets.map(({ target }) => target.hash)).size, 4);
  // By number, so that ordinals are as people count.
  assert.deepEqual(shards, ["shard-1", "shard-10"]);
  const [first, second] = placement;
  assert.deepEqual([first!.length, second!.length], [1, 1]);
  assert.equal(first![0]!.target, targets[0]!.target);
  assert.equal(first![0]!.load.series, 900);
  assert.equal(first![0]!.assignedAtMs, START_MS - HOUR_MS);
});

test("our answer, or its data alone: hash, interval and the stable owner are taken over", () => {
  const ours = kvassTarget("a:1", {
    hash: "18446744073709551615",
    scrapeInterval: "1m",
    shard: "shard-0",
    shards: ["shard-3", "shard-0"],
  });
  const { targets, shards } = read({ activeTargets: [ours, ours] });
  assert.equal(targets.length, 1);
  assert.equal(targets[0]!.target.hash, "18446744073709551615");
  assert.equal(targets[0]!.target.intervalMs, 60_000);
  assert.deepEqual(shards, ["shard-0"]);
});

test("what is no dump is refused, with the file and the place", () => {
  const refused = (dump: unknown, message: string): void =>
    assert.throws(() => read(dump), { code: "bad-data", message });
  refused("", "cannot read targets.json:1:1: it is not JSON: Unexpected end of JSON input");
  refused(
    '{\n  "activeTargets": [\n    {"labels": tru}]}',
    "cannot read targets.json:3:19: it is not JSON: Unexpected token '}'",
  );
  refused(
    '{"data": {"a": 1,}}',
    "cannot read targets.json:1:18: it is not JSON: Expected double-quoted property name",
  );
  refused("<html>", "cannot read targets.json:1:1: it is not JSON: Unexpected token '<'");
  refused(
    '{"activeTargets":[]} x',
    "cannot read targets.json:1:22: it is not JSON: Unexpected non-whitespace character after the end",
  );
  refused("[]", "cannot read targets.json: it must be an object");
  refused(
    answer(),
    "cannot read targets.json: data.activeTargets: it must be a list with targets; this one has none",
  );
  refused({ data: {} }, "cannot read targets.json: data.activeTargets: it must be a list");
  const at = "cannot read targets.json: data.activeTargets[1]";
  const second = (rest: object, message: string): void =>
    refused(answer(kvassTarget("a:1"), kvassTarget("b:1", rest)), `${at}${message}`);
  second({ series: -1 }, ".series: it must be a number of at least 0");
  second({ totalSeries: "5" }, ".totalSeries: it must be a number of at least 0");
  second({ labels: { job: 7 } }, ".labels.job: it must be text");
  second({ labels: [] }, ".labels: it must be an object");
  second({ scrapeInterval: "soon" }, '.scrapeInterval: it must be a duration like "30s"');
  second({ hash: "abc" }, ".hash: it must be a 64-bit number as decimal text");
  second({ shards: [1] }, ".shards[0]: it must be text");
  second(
    { series: undefined },
    ".series: it must be there: take the targets from a Shoal or Kvass coordinator, a Prometheus does not know their series",
  );
});

test("further targets are like those of the dump under other names", () => {
  const dump = read(answer(kvassTarget("a:1"), kvassTarget("b:1", { series: 5, totalSeries: 5 })));
  const clones = new DumpClones(dump.targets, seededRandom(2));
  const made = Array.from({ length: 50 }, (_, i) => clones.make(START_MS + i));
  assert.equal(new Set(made.map(({ target }) => target.hash)).size, 50);
  assert.deepEqual(new Set(made.map(({ size }) => size.series)), new Set([900, 5]));
  assert.equal(made[7]!.bornMs, START_MS + 7);
  assert.equal(made[7]!.target.labels.get("job"), "node");
});
