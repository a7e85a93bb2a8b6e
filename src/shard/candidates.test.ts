import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { type Candidate, candidatesFor } from "./candidates.ts";
import { costOf, type Load, NO_LOAD } from "./load.ts";
import { plan } from "./plan.ts";
import {
  DEFAULT_PLAN_OPTIONS,
  type Observed,
  type ObservedAssignment,
  type ObservedShard,
  type PlanOptions,
} from "./plan-types.ts";
import {
  loadArbitrary,
  NOW_MS,
  observedArbitrary,
  optionsArbitrary,
} from "./testdata/random-states.ts";

const NEW = "99";

/** The same state where one new target, and no other one, waits for a place. */
function withNewTarget(observed: Observed, load: Load): Observed {
  const owned = new Set(
    observed.shards.flatMap(({ state, lastSeenMs, assignments }) =>
      state === "lost" && NOW_MS - lastSeenMs > DEFAULT_PLAN_OPTIONS.failoverGraceMs
        ? []
        : assignments.map(({ hash }) => hash),
    ),
  );
  return {
    ...observed,
    targets: [
      ...observed.targets.filter(({ hash }) => owned.has(hash)),
      { hash: NEW, job: "x", url: `http://${NEW}/`, explored: "measured", load },
    ],
    shards: observed.shards.map((shard) => ({
      ...shard,
      assignments: shard.assignments.filter(({ hash }) => owned.has(hash)),
    })),
  };
}

/** Where the plan puts the new target; undefined for nowhere. */
function placeOf(observed: Observed, options: PlanOptions): string | undefined {
  const { shards } = plan(observed, options, NOW_MS);
  return shards.find(({ assignments }) => assignments.some(({ hash }) => hash === NEW))?.id;
}

test("a shard is a fit exactly when the plan would place the target on it", () => {
  let placed = 0;
  let refused = 0;
  fc.assert(
    fc.property(observedArbitrary, optionsArbitrary, loadArbitrary, (random, options, load) => {
      const observed = withNewTarget(random, load);
      const target = { hash: NEW, cost: costOf(load) };
      const fitsOf = (input: Observed): string[] =>
        candidatesFor(target, { observed: input, options, nowMs: NOW_MS })
          .filter(({ isFit }) => isFit)
          .map(({ shard }) => shard);
      const fits = fitsOf(observed);
      const place = placeOf(observed, options);
      if (place === undefined) assert.deepEqual(fits, []);
      else assert.ok(fits.includes(place), `${place} is none of ${fits.join(", ")}`);
      // Every single one, not the best alone: with all others taken out of service it is chosen if and only if it fits.
      const quiet = { ...options, maxMoves: 0, disableAlleviate: true };
      for (const { id } of observed.shards) {
        const drained = observed.shards.flatMap((other) => (other.id === id ? [] : [other.id]));
        const alone = {
          ...observed,
          drainShards: new Set([...drained, ...(observed.drainShards?.has(id) ? [id] : [])]),
        };
        const [only] = candidatesFor(target, { observed: alone, options: quiet, nowMs: NOW_MS })
          .filter(({ isFit }) => isFit)
          .map(({ shard }) => shard);
        const chosen = placeOf(alone, quiet);
        assert.equal(only, chosen);
        if (chosen === undefined) refused++;
        else placed++;
      }
    }),
    { numRuns: 400 },
  );
  assert.ok(placed > 100 && refused > 100, `${placed} placed, ${refused} refused`);
});

const assigned = (hash: string, series: number): ObservedAssignment => ({
  hash,
  job: "m",
  url: `http://${hash}/`,
  state: "normal",
  assignedAtMs: 1,
  load: { ...NO_LOAD, series, rawSeries: series },
  health: "up",
  scrapes: 9,
  goodScrapes: 9,
});

const shard = (ordinal: number, rest: Partial<ObservedShard> = {}): ObservedShard => ({
  id: `shard-${ordinal}`,
  ordinal,
  state: "ready",
  lastSeenMs: NOW_MS,
  headSeries: 0,
  idleSinceMs: undefined,
  assignments: [],
  ...rest,
});

const options: PlanOptions = {
  ...DEFAULT_PLAN_OPTIONS,
  limits: { maxHeadSeries: 100, maxProcessSeries: 1000, maxSamplesPerSecond: 0 },
};

/** Each shard's verdict on a target of 40 series (45 with the five of its report) that is called `hash`. */
function verdicts(
  hash: string,
  shards: readonly ObservedShard[],
  rest: Partial<Observed> = {},
): string[] {
  const observed: Observed = {
    targets: shards.flatMap(({ assignments }) =>
      assignments.map(({ hash: known, job, url, load }) => ({
        hash: known,
        job,
        url,
        explored: "measured" as const,
        load,
      })),
    ),
    heldJobs: new Set(),
    shards,
    desiredShards: shards.length,
    ...rest,
  };
  const cost = costOf({ ...NO_LOAD, series: 40, rawSeries: 40 });
  return candidatesFor({ hash, cost }, { observed, options, nowMs: NOW_MS }).map(
    ({ isFit, verdict }: Candidate) => `${isFit ? "+" : "-"} ${verdict}`,
  );
}

test("the verdict says what the planner goes by", () => {
  const f = (one: ObservedShard, want: string, rest: Partial<Observed> = {}): void =>
    assert.deepEqual(verdicts(NEW, [one], rest), [want]);
  const lost = { state: "lost" as const, assignments: [assigned("1", 10)] };
  f(shard(0), "+ has room");
  f(shard(0, { assignments: [assigned("1", 70)] }), "- 75 + 45 series exceed 100 in the head");
  // What former targets left in the head takes room as well.
  f(
    shard(0, { headSeries: 80, assignments: [assigned("1", 10)] }),
    "- 80 + 45 series exceed 100 in the head",
  );
  f(
    shard(0, { headSeries: 105, assignments: [assigned("1", 98)] }),
    "- is over its limit: 105 series exceed 100 in the head",
  );
  f(shard(0), "- is drained by the operator: it gets no targets", {
    drainShards: new Set(["shard-0"]),
  });
  f(shard(0, { state: "starting", lastSeenMs: 0 }), "- has not come up yet");
  f(shard(0, { state: "refused" }), "- does not take the configuration: its list stays as it is");
  f(
    shard(0, { ...lost, lastSeenMs: NOW_MS - 30_000 }),
    "- counts as lost: it keeps its targets for the grace",
  );
  f(shard(0, { ...lost, lastSeenMs: NOW_MS - 90_000 }), "- is lost: its targets go to others");
});

test("an owner has it, unless it is to be emptied", () => {
  const own = [assigned("1", 40)];
  assert.deepEqual(verdicts("1", [shard(0, { assignments: own })]), ["+ has it"]);
  assert.deepEqual(verdicts("1", [shard(0, { headSeries: 102, assignments: own })]), [
    "+ has it, and is over its limit: 102 series exceed 100 in the head",
  ]);
  assert.deepEqual(
    verdicts("1", [shard(0, { assignments: own })], { drainShards: new Set(["shard-0"]) }),
    ["- has it, and is drained by the operator"],
  );
});

test("a group that follows another one puts it where that one has it, full or not", () => {
  const full = shard(1, { headSeries: 99, assignments: [assigned("1", 90)] });
  assert.deepEqual(verdicts(NEW, [shard(0), full], { reference: new Map([[NEW, 1]]) }), [
    "- the leading group has it on ordinal 1",
    "+ where the leading group has it",
  ]);
});
