import assert from "node:assert/strict";
import { test } from "node:test";
import { fakeJob, fakeTarget } from "./testdata/fake-shards.ts";
import { ListedTargets } from "./listed-targets.ts";
import { NO_LOAD } from "./load.ts";
import { TargetObserver } from "./observed-targets.ts";
import type { ObservedAssignment, ObservedShard } from "./plan-types.ts";

const listed = new ListedTargets();
const observer = new TargetObserver(listed);
const targets = Array.from({ length: 200 }, (_, i) => fakeTarget(`t${i}`));

function assignment(name: string, series: number, goodScrapes = 1): ObservedAssignment {
  const { hash, job, url } = fakeTarget(name);
  return {
    hash,
    number: listed.numbers.of(hash),
    job,
    url,
    state: "normal",
    assignedAtMs: 1,
    load: { ...NO_LOAD, series, rawSeries: series },
    health: "up",
    scrapes: 1,
    goodScrapes,
  };
}

function shard(ordinal: number, assignments: readonly ObservedAssignment[]): ObservedShard {
  const id = `shard-${ordinal}`;
  const times = { lastSeenMs: 1, headSeries: 0, idleSinceMs: undefined };
  return { id, ordinal, state: "ready", ...times, assignments };
}

test("targets are put together with who has them, and stay the same objects while nothing changes", () => {
  listed.update([fakeJob("m", targets)]);
  // t1 has moved: what its new owner has not scraped yet is measured by the old one.
  const shards = [
    shard(0, [assignment("t0", 0), assignment("t1", 5)]),
    shard(1, [assignment("t1", 9, 0), assignment("gone", 1)]),
  ];
  const none = (): undefined => undefined;
  const first = observer.observe(shards, none);
  assert.deepEqual(
    first.targets.slice(0, 3).map(({ explored, load }) => [explored, load?.series]),
    [
      ["failed", undefined],
      ["measured", 5],
      ["pending", undefined],
    ],
  );
  assert.equal(first.unowned.size, 198);
  assert.deepEqual(first.counts.get("m"), { assigned: 3, listed: 2 });
  const second = observer.observe(shards, none);
  assert.equal(second.targets, first.targets);
  assert.deepEqual(second.counts, first.counts);
  const third = observer.observe(shards, (hash) =>
    hash === targets[2]!.hash
      ? { explored: "measured", load: { ...NO_LOAD, series: 7 }, error: "" }
      : undefined,
  );
  assert.equal(third.targets[2]!.load?.series, 7);
  assert.equal(third.targets[3], first.targets[3]);
});

test("numbers stay with their targets when others come and go, and are given again", () => {
  const numberOf = (name: string): number | undefined => listed.numbers.get(fakeTarget(name).hash);
  const before = numberOf("t150");
  listed.update([fakeJob("m", [...targets.slice(5, 100), ...targets.slice(103)])]);
  assert.equal(numberOf("t150"), before);
  assert.equal(listed.byHash(targets[150]!.hash), targets[150]);
  assert.equal(listed.byHash(targets[101]!.hash), undefined);
  const { count } = listed.numbers;
  const used = new Set(listed.jobs.flatMap(({ numbers }) => [...numbers]));
  listed.numbers.forget((number) => used.has(number));
  assert.equal(numberOf("t101"), undefined);
  listed.update([fakeJob("m", [...targets.slice(5, 100), fakeTarget("new")])]);
  assert.equal(listed.numbers.count, count);
  const { version } = listed;
  listed.update([...listed.jobs].map(({ job, targets: same }) => fakeJob(job, same)));
  assert.equal(listed.version, version);
});
