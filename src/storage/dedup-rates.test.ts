import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { randomInt, seededRandom } from "../base/random.ts";
import { Labels } from "../model/labels.ts";
import { Engine } from "../promql/engine.ts";
import { dedupChunks, type ReplicaChoice } from "./dedup.ts";
import { chunksOf, point, type Point } from "./dedup.fixture.ts";
import { MemoryQueryable } from "./memory-queryable.ts";
import type { Chunk } from "./queryable.ts";

/** What rates come to over two replicas with faults, against one server that misses nothing. */

const INTERVAL_MS = 15_000;
const OFFSET_MS = 7_000;
const JITTER_MS = 300;
const MINUTE_MS = 60_000;
const LENGTH_MS = 180 * MINUTE_MS;
const TARGETS = 20;
/** `sum(rate())` may differ by this much in every window. */
const TOLERANCE = 0.01;

type Replica = "a" | "b";

interface Scenario {
  /** Whether the replica scrapes the target at `timeMs`. */
  readonly scrapes?: (replica: Replica, target: number, timeMs: number) => boolean;
  /** When the target starts again, with its counter at 0. */
  readonly restartMs?: (target: number) => number;
}

function counterAt(scenario: Scenario, target: number, timeMs: number): number {
  const restartMs = scenario.restartMs?.(target) ?? Infinity;
  const sinceMs = timeMs >= restartMs ? timeMs - restartMs : timeMs + 3_600_000;
  return ((target + 1) * sinceMs) / 1000;
}

function scrape(scenario: Scenario, target: number, replica: Replica | undefined): Chunk[] {
  const random = seededRandom(target * 2 + (replica === "b" ? 1 : 0));
  const points: Point[] = [];
  for (let t = target * 600; t < LENGTH_MS; t += INTERVAL_MS) {
    const jitterMs = replica === undefined ? 0 : randomInt(random, 2 * JITTER_MS) - JITTER_MS;
    const timeMs = Math.max(0, t + jitterMs + (replica === "b" ? OFFSET_MS : 0));
    if (replica !== undefined && scenario.scrapes?.(replica, target, t) === false) continue;
    points.push(point(timeMs, counterAt(scenario, target, timeMs)));
  }
  return chunksOf(points);
}

/** The largest relative difference over all windows of 5 minutes. */
async function worst(scenario: Scenario, choice: ReplicaChoice): Promise<number> {
  const ask = async (chunks: (target: number) => readonly Chunk[]): Promise<Float64Array> => {
    const source = new MemoryQueryable(
      Array.from({ length: TARGETS }, (_, target) => ({
        labels: Labels.fromObject({ __name__: "work_total", target: String(target) }),
        chunks: chunks(target),
      })),
    );
    const { value } = await new Engine().range(source, {
      query: "sum(rate(work_total[5m]))",
      startMs: 10 * MINUTE_MS,
      endMs: LENGTH_MS - MINUTE_MS,
      stepMs: 4_000,
    });
    assert.equal(value.kind, "matrix");
    return value.kind === "matrix" ? value.series[0]!.values : new Float64Array(0);
  };
  const whole = await ask((target) => scrape(scenario, target, undefined));
  const found = await ask((target) =>
    dedupChunks([scrape(scenario, target, "a"), scrape(scenario, target, "b")], {
      choice,
      isCounter: true,
    }),
  );
  assert.equal(found.length, whole.length);
  assert.ok(whole.length > 2000);
  return whole.reduce((most, value, i) => Math.max(most, Math.abs(found[i]! / value - 1)), 0);
}

const deadHour: Scenario = {
  scrapes: (replica, _, t) => replica === "b" || t < 60 * MINUTE_MS || t >= 120 * MINUTE_MS,
};

const deadInTurn: Scenario = {
  scrapes: (replica, _, t) => Math.floor(t / (10 * MINUTE_MS)) % 4 !== (replica === "a" ? 1 : 3),
};

describe("rates over replicas stay within 1 % in every window", () => {
  const f = (name: string, scenario: Scenario): void =>
    void it(name, async () => {
      const difference = await worst(scenario, "gapless");
      assert.ok(difference <= TOLERANCE, `${name}: ${(100 * difference).toFixed(2)} %`);
    });

  f("when they scrape 7 s apart, with jitter", {});
  f("when one is dead for an hour", deadHour);
  f("when they are dead in turn", deadInTurn);
  f("when both miss scrapes, but not the same", {
    scrapes: (replica, target, t) =>
      (Math.floor(t / INTERVAL_MS) * 7 + target) % 11 !== (replica === "a" ? 3 : 6),
  });
  f("when one of them misses every second scrape of half an hour", {
    scrapes: (replica, _, t) =>
      replica === "b" || t < 30 * MINUTE_MS || t > 60 * MINUTE_MS || (t / INTERVAL_MS) % 2 < 1,
  });
  f("when a target is reset", {
    restartMs: (target) => (target === 3 ? 50 * MINUTE_MS + 4_000 : Infinity),
  });
  f("when targets are reset while replicas die", {
    ...deadHour,
    restartMs: (target) =>
      target < 3 ? (target === 0 ? 60 : 60 * target) * MINUTE_MS + 5_000 : Infinity,
  });

  it("which choosing by penalty alone does not give", async () => {
    const difference = await worst(deadInTurn, "penalty");
    assert.ok(difference > 5 * TOLERANCE, `${(100 * difference).toFixed(2)} %`);
  });
});
