import assert from "node:assert/strict";
import { test } from "node:test";
import { Labels } from "../model/labels.ts";
import type { Target } from "../model/target.ts";
import { fakeJob, fakeTarget } from "./testdata/fake-shards.ts";
import { ListedTargets } from "./listed-targets.ts";
import { NO_LOAD } from "./load.ts";
import { ReportedList } from "./reported-list.ts";
import { SAMPLES_PER_SECOND, SERIES, type StatusList, StatusTable } from "./status-table.ts";
import type { AssignedTarget } from "./wire.ts";

const targets = ["a", "b", "c"].map((name) => fakeTarget(name));
const specs = new Map(
  targets.map((target): [string, AssignedTarget] => [
    target.hash,
    { target, state: "normal", assignedAtMs: 1, load: NO_LOAD },
  ]),
);
const list: StatusList = { revision: "1", hashes: targets.map(({ hash }) => hash) };

function tableOf({ series = 1000, scrapes = 20, of = list } = {}): StatusTable {
  const table = new StatusTable(of);
  for (let place = 0; place < of.hashes.length; place++)
    table.set(place, {
      state: "normal",
      assignedAtMs: 1,
      load: { ...NO_LOAD, series, rawSeries: 1000, samplesPerSecond: 10 },
      health: "up",
      lastError: "",
      lastScrapeMs: scrapes,
      lastScrapeDurationMs: 1,
      scrapes,
      goodScrapes: scrapes,
    });
  return table;
}

test("a list that says the same stays the same object, however often targets are scraped", () => {
  const reported = new ReportedList(new ListedTargets().numbers);
  reported.read(tableOf(), specs);
  const { assignments } = reported;
  assert.equal(assignments.length, 3);
  reported.read(tableOf({ scrapes: 500 }), specs);
  assert.equal(reported.assignments, assignments);
  // Loads are never quite still.
  reported.read(tableOf({ series: 1007 }), specs);
  assert.equal(reported.assignments, assignments);
});

test("what differs is seen, and the others stay the same objects", () => {
  const reported = new ReportedList(new ListedTargets().numbers);
  reported.read(tableOf(), specs);
  const before = reported.assignments;
  const table = tableOf();
  table.numbers[SERIES * table.size + 1] = 1010;
  reported.read(table, specs);
  assert.equal(reported.assignments[1]!.load.series, 1010);
  assert.equal(reported.assignments[0], before[0]);
  table.numbers[SAMPLES_PER_SECOND * table.size + 2] = 11;
  reported.read(table, specs);
  assert.equal(reported.assignments[2]!.load.samplesPerSecond, 11);
  const shorter = tableOf({ of: { revision: "2", hashes: list.hashes.slice(1) } });
  reported.read(shorter, specs);
  assert.deepEqual(
    reported.assignments.map(({ hash }) => hash),
    list.hashes.slice(1),
  );
});

test("slow growth is followed: no step is measured from the one before it", () => {
  const reported = new ReportedList(new ListedTargets().numbers);
  for (let series = 1000; series <= 2000; series++) {
    reported.read(tableOf({ series }), specs);
    const [first] = reported.assignments;
    assert.ok(Math.abs(first!.load.series - series) <= series / 100, `${series}`);
  }
});

test("the first scrapes of an assignment are counted: moves wait for them", () => {
  const reported = new ReportedList(new ListedTargets().numbers);
  for (const scrapes of [0, 1, 2, 3, 4]) {
    reported.read(tableOf({ scrapes }), specs);
    assert.equal(reported.assignments[0]!.goodScrapes, scrapes);
  }
});

test("targets that are listed otherwise are outdated; equal ones are shared", () => {
  const listed = new ListedTargets();
  const [a, b, c] = targets as [Target, Target, Target];
  const copy = { ...b };
  const changed = { ...c, allLabels: Labels.fromObject({ job: "m", instance: "c", x: "1" }) };
  listed.update([fakeJob("m", [a, copy, changed])]);
  const reported = new ReportedList(listed.numbers);
  reported.read(tableOf(), specs);
  const adopted: Target[] = [];
  assert.deepEqual(
    reported.outdated(listed, (_hash, target) => adopted.push(target)),
    [c.hash],
  );
  assert.deepEqual(adopted, [copy]);
  listed.update([fakeJob("m", [a, copy, c])]);
  assert.deepEqual(
    reported.outdated(listed, () => {}),
    [],
  );
});
