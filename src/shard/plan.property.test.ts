import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { costOf, fits, isOversized, type Limits, NO_LOAD, add } from "./load.ts";
import { plan } from "./plan.ts";
import type {
  Observed,
  ObservedAssignment,
  ObservedShard,
  ObservedTarget,
  Plan,
} from "./plan-types.ts";
import { NOW_MS, observedArbitrary, optionsArbitrary } from "./testdata/random-states.ts";

/** Random states, as bad as they come: what must hold for every plan, and what must hold once plans are applied. */

const CYCLE_MS = 10_000;

/** Where each hash has a stable owner among the shards whose lists the plan writes. */
function stableOwners(made: Plan): Map<string, string[]> {
  const owners = new Map<string, string[]>();
  for (const { id, assignments } of made.shards)
    for (const { hash, state } of assignments)
      if (state === "normal") owners.set(hash, [...(owners.get(hash) ?? []), id]);
  return owners;
}

function textWithoutNumbers(made: Plan): string {
  return JSON.stringify(made, (key, value: unknown) => (key === "number" ? undefined : value));
}

function assertWithinLimits(observed: Observed, made: Plan, limits: Limits): void {
  for (const { id, assignments } of made.shards) {
    const shard = observed.shards.find((each) => each.id === id)!;
    const had = new Set(shard.assignments.map((entry) => entry.hash));
    const added = assignments.filter(({ hash }) => !had.has(hash));
    if (added.length === 0) continue;
    const isAlone = assignments.length === 1 && isOversized(costOf(assignments[0]!.load), limits);
    const total = assignments.map(({ load }) => costOf(load)).reduce(add, NO_LOAD);
    assert.ok(isAlone || fits(NO_LOAD, total, limits), `${id} was given more than it can carry`);
  }
}

/** Shards that the operator drains keep what they have at most. */
function assertNothingForDrained(observed: Observed, made: Plan): void {
  for (const { id, assignments } of made.shards) {
    if (!observed.drainShards?.has(id)) continue;
    const had = new Set(
      observed.shards.find((each) => each.id === id)!.assignments.map((a) => a.hash),
    );
    for (const { hash } of assignments)
      assert.ok(had.has(hash), `${id} is drained and got ${hash}`);
  }
}

/** The same state, with a number for each hash. */
function numbered(observed: Observed): Observed {
  const numbers = new Map<string, number>();
  const withNumber = <T extends { readonly hash: string }>(one: T): T & { number: number } => {
    const number = numbers.get(one.hash) ?? numbers.size;
    numbers.set(one.hash, number);
    return { ...one, number };
  };
  const targets = observed.targets.map(withNumber);
  const shards = observed.shards.map((shard) => ({
    ...shard,
    assignments: shard.assignments.map(withNumber),
  }));
  return { ...observed, targets, shards, hashCount: numbers.size };
}

/** The same state, told in another order. */
function permuted(observed: Observed): Observed {
  return {
    ...observed,
    targets: observed.targets.toReversed(),
    shards: observed.shards
      .toReversed()
      .map((shard) => ({ ...shard, assignments: shard.assignments.toReversed() })),
  };
}

test("no plan makes two stable owners, overfills a shard or asks for shards without need", () => {
  fc.assert(
    fc.property(observedArbitrary, optionsArbitrary, (observed, options) => {
      const made = plan(observed, options, NOW_MS);
      for (const [hash, owners] of stableOwners(made))
        assert.equal(owners.length, 1, `${hash} is owned by ${owners.join(", ")}`);
      // A group that follows another one puts targets where they are to be, full or not.
      if (observed.reference === undefined) assertWithinLimits(observed, made, options.limits);
      assertNothingForDrained(observed, made);
      const ceiling = Math.max(observed.desiredShards, options.maxShards, options.minShards);
      assert.ok(made.scale <= ceiling);
      const most = observed.targets.length + observed.shards.flatMap((s) => s.assignments).length;
      const followed = Math.max(0, ...[...(observed.reference?.values() ?? [])].map((o) => o + 1));
      assert.ok(made.scale <= Math.max(observed.desiredShards + most, options.minShards, followed));
      // Fewer shards only when those at the end are empty.
      for (const { id, assignments } of made.shards) {
        const ordinal = Number(id.slice("shard-".length));
        if (ordinal >= made.scale && ordinal < observed.desiredShards)
          assert.equal(assignments.length, 0);
      }
      const text = JSON.stringify(made);
      const again = structuredClone(observed);
      for (const same of [observed, again])
        assert.equal(JSON.stringify(plan(same, options, NOW_MS)), text, "another plan");
      const turned = JSON.stringify(plan(permuted(observed), options, NOW_MS));
      assert.equal(turned, text, "the plan depends on the order of its input");
      assert.equal(
        textWithoutNumbers(plan(numbered(observed), options, NOW_MS)),
        text,
        "the plan depends on numbers",
      );
    }),
    { numRuns: 1500 },
  );
});

/** What becomes of `observed` when the plan is applied, all shards work and every target answers with its own load. */
function applied(
  observed: Observed,
  made: Plan,
  truth: ReadonlyMap<string, ObservedTarget>,
  nowMs: number,
): Observed {
  const before = new Map(observed.shards.map((shard) => [shard.id, shard]));
  const lists = new Map(made.shards.map((shard) => [shard.id, shard.assignments]));
  const shards = Array.from({ length: made.scale }, (_, ordinal): ObservedShard => {
    const id = `shard-${ordinal}`;
    const list = lists.get(id);
    const old = before.get(id)?.assignments ?? [];
    const assignments =
      list === undefined
        ? old
        : list.map(({ hash, state, assignedAtMs, load }): ObservedAssignment => {
            const target = truth.get(hash);
            const known = old.find((entry) => entry.hash === hash);
            const job = target?.job ?? known?.job ?? "x";
            const measured = target?.load ?? load;
            const scrapes = (known?.scrapes ?? 0) + 1;
            const url = `http://${hash}/`;
            return {
              hash,
              job,
              url,
              state,
              assignedAtMs,
              load: measured,
              health: "up",
              scrapes,
              goodScrapes: scrapes,
            };
          });
    const headSeries = assignments.reduce((sum, entry) => sum + costOf(entry.load).series, 0);
    const idleSinceMs = assignments.length > 0 ? undefined : (before.get(id)?.idleSinceMs ?? nowMs);
    return { id, ordinal, state: "ready", lastSeenMs: nowMs, headSeries, idleSinceMs, assignments };
  });
  const targets = observed.targets.map((target) => truth.get(target.hash)!);
  return { ...observed, targets, shards, desiredShards: made.scale };
}

test("applied plans settle: each target has one owner, nothing more is decided, shards stay bounded", () => {
  fc.assert(
    fc.property(observedArbitrary, optionsArbitrary, (start, options) => {
      const unbounded = { ...options, maxShards: 999_999 };
      const truth = new Map(
        start.targets.map((target) => [
          target.hash,
          {
            ...target,
            explored: "measured" as const,
            load: target.load ?? { ...NO_LOAD, series: 10, rawSeries: 10 },
          },
        ]),
      );
      let observed: Observed = { ...start, heldJobs: new Set() };
      delete (observed as { reference?: unknown }).reference;
      let nowMs = NOW_MS;
      let made = plan(observed, unbounded, nowMs);
      let quiet = 0;
      for (let cycle = 0; cycle < 200 && quiet < 6; cycle++) {
        observed = applied(observed, made, truth, nowMs);
        nowMs += CYCLE_MS;
        made = plan(observed, unbounded, nowMs);
        quiet = made.decisions.length === 0 ? quiet + 1 : 0;
      }
      assert.equal(quiet, 6, `it still decides: ${JSON.stringify(made.decisions.slice(0, 5))}`);
      const owners = stableOwners(made);
      for (const { hash } of start.targets) assert.equal(owners.get(hash)?.length, 1, hash);
      assert.ok(observed.shards.length <= start.desiredShards + 40 + unbounded.minShards);
      for (const { id, assignments } of made.shards) {
        const total = assignments.map(({ load }) => costOf(load)).reduce(add, NO_LOAD);
        const isSmall =
          assignments.length <= 1 ||
          total.series <= 1.1 * (options.limits.maxHeadSeries || Infinity);
        assert.ok(isSmall, `${id} stays over its limit with ${total.series} series`);
        if (start.drainShards?.has(id)) assert.equal(assignments.length, 0, `${id} is not drained`);
      }
    }),
    { numRuns: 400 },
  );
});
