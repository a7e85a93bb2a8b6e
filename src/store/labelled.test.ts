import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { systemClock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { Labels } from "../model/labels.ts";
import { createMatcher } from "../model/matcher.ts";
import { evaluatePartial } from "../promql/pushdown/evaluate-partial.ts";
import type { PartialAggregate } from "../promql/pushdown/partial.ts";
import { NotInColumnsError } from "../storage/grouped.ts";
import type { Queryable } from "../storage/queryable.ts";
import { type Database, openDatabase } from "../tsdb/database.ts";
import { labelled } from "./labelled.ts";

const NOW = 1_700_000_000_000;
const SERIES = 5000;
const folder = await mkdtemp(join(tmpdir(), "labelled-test-"));
let db: Database;

before(async () => {
  db = await openDatabase({
    folder,
    logger: silentLogger,
    clock: { ...systemClock, now: () => NOW },
    registry: new Registry(),
    retentionMs: 1e12,
  });
  const refs = Array.from({ length: SERIES }, (_, i) => {
    const pairs = { __name__: "x", job: `job-${i % 7}`, pod: `pod-${i}`, zone: `z${i % 3}` };
    return db.resolve(Labels.fromObject(pairs));
  });
  // Of this one some have a label more.
  refs.push(db.resolve(Labels.fromObject({ __name__: "y", job: "a" })));
  refs.push(db.resolve(Labels.fromObject({ __name__: "y", job: "a", replica: "own" })));
  await db.append({
    refs: Int32Array.from(refs),
    times: new Float64Array(refs.length).fill(NOW),
    values: Float64Array.from(refs, (_, i) => Math.sin(i)),
    count: refs.length,
  });
});
after(async () => {
  await db.close();
  await rm(folder, { recursive: true, force: true });
});

function evaluate(queryable: Queryable, query: string): Promise<PartialAggregate> {
  const request = {
    query,
    startMs: NOW,
    endMs: NOW,
    stepMs: 0,
    lookbackMs: 300_000,
    subqueryStepMs: 60_000,
    steps: 1,
    features: [],
    limits: { samples: 1e6, series: 1e6, bytes: 1e9, timeMs: 60_000 },
    isOnly: false,
  };
  const { signal } = new AbortController();
  return evaluatePartial(queryable, request, { clock: systemClock, signal });
}

/** What is seen of an answer, in which labels are objects of different making. */
function shown({ groups, candidates, ...columns }: PartialAggregate): unknown {
  const { stats, ...rest } = columns;
  return {
    ...rest,
    groups: groups.map(({ labels, first, dropName }) => [labels.key(), first.key(), dropName]),
    candidates: candidates.map(({ labels }) => labels.key()),
    series: stats.selectedSeries,
  };
}

const QUERIES = ["sum(x)", "sum by (job) (x)", "max by (replica, zone) (x)"].concat(
  ["avg without (pod, replica) (x)", 'count by (job) (x{replica="r1", zone!="z1"})'],
  ["topk by (cluster) (3, x)", 'sum(x{replica="other"})', "sum by (replica) (y)"],
);

describe("series with labels that all of them get or lose", () => {
  for (const without of [[], ["replica"], ["pod"]])
    it(`are aggregated in columns as one by one, without ${without.join() || "nothing"}`, async () => {
      const external = Labels.fromObject({ cluster: "c1", replica: "r1" });
      const whole = labelled(db, { external, without: new Set(without) });
      const inSeries: Queryable = {
        select: (request) => whole.select(request),
        labelNames: (request) => whole.labelNames(request),
        labelValues: (name, request) => whole.labelValues(name, request),
      };
      let count = 0;
      const columned: Queryable = {
        ...whole,
        selectGrouped(request) {
          count++;
          return whole.selectGrouped?.(request);
        },
      };
      for (const query of QUERIES)
        assert.deepEqual(
          shown(await evaluate(columned, query)),
          shown(await evaluate(inSeries, query)),
          query,
        );
      assert.equal(count, QUERIES.length);
    });

  it("are had in columns where names are the same, and else not", () => {
    const external = Labels.fromObject({ replica: "r1" });
    const whole = labelled(db, { external, without: new Set() });
    const ask = (name: string): unknown =>
      whole.selectGrouped?.({
        matchers: [createMatcher("__name__", "=", name)],
        minTimeMs: 0,
        maxTimeMs: NOW,
        grouping: [],
        without: false,
        wantsHashes: false,
        foreignNames: [],
      });
    assert.equal(ask("y"), undefined);
  });

  it("are selected one by one when they turn out not to be alike on the way", async () => {
    const late: Queryable = {
      select: (request) => db.select(request),
      labelNames: (request) => db.labelNames(request),
      labelValues: (name, request) => db.labelValues(name, request),
      async *selectGrouped(request) {
        for await (const batch of db.selectGrouped(request) ?? []) {
          yield batch;
          throw new NotInColumnsError();
        }
      },
    };
    for (const query of QUERIES)
      assert.deepEqual(shown(await evaluate(late, query)), shown(await evaluate(db, query)), query);
  });
});
