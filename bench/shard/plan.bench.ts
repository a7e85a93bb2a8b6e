/**
 * The planner on 100,000 targets of log-normal sizes over 200 shards: from nothing, at rest, and with the changes of a
 * minute (1,000) in every cycle. CPU time, that of the garbage collector's threads included.
 * Run: node bench/shard/plan.bench.ts
 */
import { seededRandom } from "../../src/base/random.ts";
import { plan } from "../../src/shard/plan.ts";
import { DEFAULT_PLAN_OPTIONS, type PlanOptions } from "../../src/shard/plan-types.ts";
import { FakeFleet, logNormalTargets } from "../../src/shard/testdata/fake-fleet.ts";
import { median, report } from "../support/report.ts";

const TARGETS = 100_000;
const SHARDS = 200;
const CHANGES = 1_000;
const ROUNDS = 7;

const random = seededRandom(1);
const fleet = new FakeFleet(logNormalTargets(TARGETS, random), SHARDS);
fleet.hashCount = TARGETS + (ROUNDS * CHANGES) / 2;
const total = [...fleet.targets.values()].reduce((sum, { load }) => sum + load.series + 5, 0);
const limit = Math.ceil((total / SHARDS) * 1.4);
const options: PlanOptions = {
  ...DEFAULT_PLAN_OPTIONS,
  limits: { maxHeadSeries: limit, maxProcessSeries: limit, maxSamplesPerSecond: limit },
};

function timed(): { ms: number; decisions: number } {
  const observed = fleet.observe();
  globalThis.gc?.();
  const before = process.cpuUsage();
  const made = plan(observed, options, fleet.nowMs);
  const { user, system } = process.cpuUsage(before);
  const ms = (user + system) / 1000;
  fleet.apply(made);
  return { ms, decisions: made.decisions.length };
}

const cold = timed();
if (cold.decisions !== TARGETS || fleet.shards.length !== SHARDS) throw new Error("not all placed");
report({
  name: "plan: 100k targets to 200 shards from nothing",
  unit: "ms of CPU",
  ours: cold.ms,
  better: "less",
  gate: "≤ 1,000 ms",
});

const steady: number[] = [];
for (let round = 0; round < ROUNDS; round++) {
  const { ms, decisions } = timed();
  if (decisions > 0) throw new Error(`${decisions} decisions at rest`);
  steady.push(ms);
}
report({
  name: "plan: 100k targets on 200 shards, nothing changes",
  unit: "ms of CPU",
  ours: median(steady),
  better: "less",
});

const busy: number[] = [];
let next = TARGETS;
for (let round = 0; round < ROUNDS; round++) {
  const old = [...fleet.targets.keys()]
    .filter((_, i) => i % 100 === round % 100)
    .slice(0, CHANGES / 2);
  for (const hash of old) fleet.targets.delete(hash);
  for (const target of logNormalTargets(CHANGES / 2, random, { first: next }))
    fleet.targets.set(target.hash, target);
  next += CHANGES / 2;
  const { ms, decisions } = timed();
  if (decisions < CHANGES) throw new Error(`${decisions} decisions for ${CHANGES} changes`);
  busy.push(ms);
}
report({
  name: "plan: the same, 1,000 targets come and go",
  unit: "ms of CPU",
  ours: median(busy),
  better: "less",
  gate: "≤ 1,000 ms",
});
report({
  name: "plan: fullest shard by the mean",
  unit: "×",
  ours: fleet.spread,
  better: "less",
  gate: "≤ 1.15",
});
