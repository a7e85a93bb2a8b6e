import fc from "fast-check";
import type { Load } from "../load.ts";
import { AWAITED } from "../plan-follow.ts";
import {
  DEFAULT_PLAN_OPTIONS,
  type Observed,
  type ObservedAssignment,
  type ObservedShard,
  type ObservedTarget,
  type PlanOptions,
} from "../plan-types.ts";

/** States as bad as they come, for properties of every plan. */

export const NOW_MS = 10_000_000;

export const loadArbitrary: fc.Arbitrary<Load> = fc.record({
  series: fc.integer({ min: 0, max: 1500 }),
  rawSeries: fc.integer({ min: 0, max: 1500 }),
  samplesPerSecond: fc.double({ min: 0, max: 150, noNaN: true }),
  bodyBytesPerSecond: fc.integer({ min: 0, max: 1_000_000 }),
  newSeriesPerHour: fc.constantFrom(0, 0, 0, 20),
});

export const optionsArbitrary: fc.Arbitrary<PlanOptions> = fc
  .record({
    maxHeadSeries: fc.constantFrom(0, 1000),
    maxProcessSeries: fc.constantFrom(1000, 1_000_000),
    maxSamplesPerSecond: fc.constantFrom(0, 0, 100),
    minShards: fc.integer({ min: 0, max: 3 }),
    maxShards: fc.constantFrom(4, 8, 999_999),
    maxIdleTimeMs: fc.constantFrom(0, 20_000),
    placement: fc.constantFrom("auto", "spread", "pack"),
    targetUtilisation: fc.constantFrom(0.5, 0.85, 1),
    maxMoves: fc.constantFrom(3, 200),
    maxMovesPerCycle: fc.constantFrom(2, 50),
    moveCooldownMs: fc.constantFrom(0, 20_000),
    scaleDownCooldownMs: fc.constantFrom(0, 30_000),
    scaleUpCooldownMs: fc.constantFrom(0, 30_000),
  })
  .map(({ maxHeadSeries, maxProcessSeries, maxSamplesPerSecond, ...rest }) => ({
    ...DEFAULT_PLAN_OPTIONS,
    ...rest,
    limits: { maxHeadSeries, maxProcessSeries, maxSamplesPerSecond },
  }));

const targetsArbitrary = fc.uniqueArray(
  fc.record({
    hash: fc.integer({ min: 1, max: 40 }).map(String),
    job: fc.constantFrom("x", "y"),
    explored: fc.constantFrom("pending", "measured", "measured", "failed"),
    load: loadArbitrary,
  }),
  { selector: (target) => target.hash, maxLength: 30 },
);

const assignmentArbitrary: fc.Arbitrary<ObservedAssignment> = fc
  .record({
    hash: fc.integer({ min: 1, max: 40 }).map(String),
    job: fc.constantFrom("x", "y"),
    state: fc.constantFrom("normal", "normal", "in_transfer"),
    assignedAtMs: fc.integer({ min: 1, max: NOW_MS }),
    load: loadArbitrary,
    health: fc.constantFrom("up", "up", "down", "unknown"),
    scrapes: fc.integer({ min: 0, max: 5 }),
  })
  .map((entry) => ({
    ...entry,
    url: `http://${entry.hash}/`,
    goodScrapes: entry.health === "up" ? entry.scrapes : 0,
  }));

const shardArbitrary = fc.record({
  state: fc.constantFrom("ready", "ready", "ready", "starting", "refused", "lost"),
  lastSeenMs: fc.constantFrom(NOW_MS, NOW_MS - 30_000, NOW_MS - 120_000),
  headSeries: fc.integer({ min: 0, max: 2500 }),
  assignments: fc.uniqueArray(assignmentArbitrary, {
    selector: (entry) => entry.hash,
    maxLength: 8,
  }),
});

export const observedArbitrary: fc.Arbitrary<Observed> = fc
  .record({
    targets: targetsArbitrary,
    shards: fc.array(shardArbitrary, { maxLength: 6 }),
    missing: fc.integer({ min: 0, max: 2 }),
    heldJobs: fc.constantFrom([], [], ["x"]),
    drained: fc.constantFrom([], [], [], ["shard-0"], ["shard-1", "shard-4"]),
    reference: fc.option(
      fc.array(
        fc.tuple(fc.integer({ min: 1, max: 40 }).map(String), fc.integer({ min: AWAITED, max: 5 })),
      ),
      { nil: undefined, freq: 2 },
    ),
    scaledMs: fc.option(fc.integer({ min: NOW_MS - 60_000, max: NOW_MS }), { nil: undefined }),
  })
  .map(({ targets, shards, missing, heldJobs, drained, reference, scaledMs }) => ({
    targets: targets.map(({ hash, job, explored, load }): ObservedTarget => ({
      hash,
      job,
      url: `http://${hash}/`,
      explored,
      load: explored === "measured" ? load : undefined,
    })),
    heldJobs: new Set(heldJobs),
    shards: shards.map((shard, ordinal): ObservedShard => ({
      ...shard,
      id: `shard-${ordinal}`,
      ordinal,
      assignments: shard.state === "starting" ? [] : shard.assignments,
      idleSinceMs: shard.assignments.length === 0 ? NOW_MS - 60_000 : undefined,
    })),
    desiredShards: shards.length + missing,
    drainShards: new Set(drained),
    ...(reference !== undefined && { reference: new Map(reference) }),
    lastScaleUpMs: scaledMs,
    lastScaleDownMs: scaledMs,
  }));
