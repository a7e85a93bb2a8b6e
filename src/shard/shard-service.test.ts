import assert from "node:assert/strict";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, test } from "node:test";
import { silentLogger } from "../base/logger.ts";
import type { Target } from "../model/target.ts";
import type { TargetStatus } from "../scrape/scrape-loop.ts";
import type { ScrapeUpdate } from "../scrape/scrape-manager.ts";
import { NO_LOAD } from "./load.ts";
import { ShardService } from "./shard-service.ts";
import { fakeTarget } from "./testdata/fake-shards.ts";
import type { AssignedTarget, PushedConfig } from "./wire.ts";

const CONFIG: PushedConfig = {
  rawContent: "scrape_configs: [{job_name: m, static_configs: [{targets: [a]}]}]\n",
  baseFolder: "/",
  hash: "one",
};

/** A scraper that records what it is told, and whose targets do what the test says. */
class FakeEngine {
  readonly updates: ScrapeUpdate[] = [];
  results: TargetStatus[] = [];
  stopReason = "";
  apply(update: ScrapeUpdate): void {
    this.updates.push(update);
  }
  status(): TargetStatus[] {
    return this.results;
  }
  async stop(): Promise<void> {}
  stopScraping(reason: string): void {
    this.stopReason = reason;
  }
  get urls(): string[] {
    return this.updates.at(-1)!.targets.map((target) => target.url);
  }
}

let folder: string;
let engine: FakeEngine;
let nowMs: number;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "shoal-shard-"));
  engine = new FakeEngine();
  nowMs = 1000;
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function startShard(): Promise<ShardService> {
  const shard = new ShardService({
    id: "shard-0",
    folder,
    engine,
    headSeries: () => 7,
    grpcAddress: () => "127.0.0.1:1",
    dataUntilMs: (idleSinceMs) => idleSinceMs + 60_000,
    clock: {
      now: () => nowMs,
      monotonic: () => nowMs,
      after: () => () => {},
      sleep: async () => {},
    },
    logger: silentLogger,
    startedAtMs: 5,
  });
  await shard.start();
  return shard;
}

function assign(name: string, rest: Partial<AssignedTarget> = {}): AssignedTarget {
  const load = { ...NO_LOAD, series: 10, rawSeries: 20 };
  return { target: fakeTarget(name), state: "normal", assignedAtMs: 900, load, ...rest };
}

function scraped(target: Target, rest: Partial<TargetStatus>): TargetStatus {
  return {
    target,
    health: "up",
    lastError: "",
    lastScrapeMs: nowMs,
    lastDurationMs: 3,
    seriesScraped: 100,
    seriesPostRelabel: 90,
    seriesAdded: 0,
    bodyBytes: 1,
    scrapes: 1,
    ...rest,
  };
}

test("targets and configuration are kept over a restart", async () => {
  const first = await startShard();
  await first.setConfig(CONFIG);
  await first.setTargets([assign("a"), assign("b", { state: "in_transfer" })]);
  await first.stop();
  engine = new FakeEngine();
  const second = await startShard();
  assert.deepEqual(engine.urls.sort(), ["http://a/metrics", "http://b/metrics"]);
  assert.equal(second.runtime().configHash, "one");
  assert.deepEqual(
    second.assignment().map(({ target, state }) => [target.url, state]),
    [
      ["http://a/metrics", "normal"],
      ["http://b/metrics", "in_transfer"],
    ],
  );
  assert.equal((await stat(join(folder, "config.json"))).mode & 0o077, 0, "others may read it");
  assert.deepEqual((await readdir(folder)).sort(), ["config.json", "targets.json"]);
});

test("a kept list that cannot be read leaves an empty shard that waits for its coordinator", async () => {
  await writeFile(join(folder, "config.json"), JSON.stringify(CONFIG));
  await writeFile(join(folder, "targets.json"), '{"Targets": {"m": [');
  const shard = await startShard();
  assert.deepEqual(shard.assignment(), []);
  await shard.setTargets([assign("a")]);
  assert.equal(shard.assignment().length, 1);
});

test("a broken configuration is refused and the old one stays", async () => {
  const shard = await startShard();
  await shard.setConfig(CONFIG);
  const broken = { ...CONFIG, rawContent: "scrape_configs: [{jobname: m}]", hash: "two" };
  await assert.rejects(shard.setConfig(broken), { code: "bad-data" });
  assert.equal(shard.runtime().configHash, "one");
});

test("a target that left in transfer is handed over, one that is gone is not", async () => {
  const shard = await startShard();
  await shard.setConfig(CONFIG);
  await shard.setTargets([assign("a"), assign("b", { state: "in_transfer" })]);
  await shard.setTargets([]);
  const { handedOver } = engine.updates.at(-1)!;
  assert.deepEqual([...(handedOver ?? [])], [fakeTarget("b").hash]);
});

test("it reports the load it was placed with until it has measured, then an average of good scrapes", async () => {
  const shard = await startShard();
  await shard.setConfig(CONFIG);
  const { target } = assign("a");
  await shard.setTargets([assign("a")]);
  const status = () => shard.statuses().get(target.hash)!;
  assert.deepEqual([status().load.series, status().health, status().scrapes], [10, "unknown", 0]);
  engine.results = [scraped(target, { lastScrapeMs: 1000, health: "down", lastError: "refused" })];
  assert.deepEqual([status().load.series, status().health, status().scrapes], [10, "down", 1]);
  for (const [i, seriesPostRelabel] of [60, 90, 120, 150].entries()) {
    engine.results = [
      scraped(target, { lastScrapeMs: 2000 + i, seriesPostRelabel, bodyBytes: 4000 }),
    ];
    status();
    status();
  }
  // 60, then half the way to each larger one.
  assert.deepEqual([status().load.series, status().load.rawSeries], [124, 100]);
  assert.equal(status().load.bodyBytesPerSecond, 400);
  assert.deepEqual([status().scrapes, status().goodScrapes], [5, 4]);
  assert.equal(shard.runtime().processSeries, 100);
});

test("a scrape from before an assignment does not count for it", async () => {
  const shard = await startShard();
  await shard.setConfig(CONFIG);
  const { target } = assign("a");
  await shard.setTargets([assign("a", { assignedAtMs: 5000 })]);
  engine.results = [scraped(target, { lastScrapeMs: 4000 })];
  assert.equal(shard.statuses().get(target.hash)!.goodScrapes, 0);
  engine.results = [scraped(target, { lastScrapeMs: 6000 })];
  assert.equal(shard.statuses().get(target.hash)!.goodScrapes, 1);
});

test("it is idle from the moment it has no targets", async () => {
  const shard = await startShard();
  assert.equal(shard.runtime().idleSinceMs, 1000);
  assert.equal(shard.runtime().dataUntilMs, 61_000);
  await shard.setTargets([assign("a")]);
  assert.equal(shard.runtime().idleSinceMs, undefined);
  assert.equal(shard.runtime().dataUntilMs, undefined);
  nowMs = 2000;
  await shard.setTargets([]);
  nowMs = 3000;
  await shard.setTargets([]);
  assert.equal(shard.runtime().idleSinceMs, 2000);
});

test("the emergency switch outlives a restart; a coordinator's order comes before what was said here", async () => {
  const shard = await startShard();
  await shard.setConfig(CONFIG);
  assert.deepEqual([shard.runtime().stopReason, shard.runtime().stopOrder], ["", undefined]);
  await shard.stopScraping({ reason: "by hand", sinceMs: undefined });
  assert.equal(engine.stopReason, "by hand");
  await shard.stopScraping({ reason: "all", sinceMs: 7 }, 3);
  assert.equal(engine.stopReason, "all");
  await assert.rejects(shard.stopScraping({ reason: "", sinceMs: 8 }, 2), { code: "outdated" });
  engine.stopReason = "";
  const again = await startShard();
  assert.equal(engine.stopReason, "all");
  assert.deepEqual(again.runtime().stopOrder, { reason: "all", sinceMs: 7 });
  await again.stopScraping({ reason: "", sinceMs: 9 }, 3);
  assert.equal(engine.stopReason, "by hand", "that it is over for all does not undo it");
  await again.stopScraping({ reason: "", sinceMs: undefined });
  assert.equal(engine.stopReason, "");
});

test("the operator's mark is kept over a restart, and set by the latest coordinator alone", async () => {
  const shard = await startShard();
  assert.equal(shard.runtime().draining, false);
  await shard.setDraining(true, 5);
  assert.equal(shard.runtime().draining, true);
  await assert.rejects(shard.setDraining(false, 4), { code: "outdated" });
  assert.equal((await startShard()).runtime().draining, true);
  await shard.setDraining(false, 5);
  assert.equal((await startShard()).runtime().draining, false);
  await writeFile(join(folder, "drain.json"), "{");
  assert.equal((await startShard()).runtime().draining, false);
});

test("a list is changed only when it is the one that the caller knows", async () => {
  const shard = await startShard();
  await shard.setConfig(CONFIG);
  const assigned = (name: string): AssignedTarget => ({
    target: fakeTarget(name),
    state: "normal",
    assignedAtMs: 1,
    load: NO_LOAD,
  });
  const hashOf = (name: string): string => fakeTarget(name).hash;
  await shard.setTargets([assigned("a"), assigned("b")]);
  const base = shard.statusTable().list.revision;
  const leaving = { ...assigned("a"), state: "in_transfer" as const };
  await shard.changeTargets({ base, set: [leaving, assigned("c")], gone: [hashOf("b")] });
  const table = shard.statusTable();
  assert.deepEqual(
    new Map([...table].map(([hash, { state }]) => [hash, state])),
    new Map([
      [hashOf("a"), "in_transfer"],
      [hashOf("c"), "normal"],
    ]),
  );
  assert.deepEqual(engine.urls.toSorted(), ["http://a/metrics", "http://c/metrics"]);
  assert.notEqual(table.list.revision, base);
  assert.equal(shard.statusTable().list, table.list, "the list is another one without a change");
  await assert.rejects(shard.changeTargets({ base, set: [], gone: [hashOf("a")] }), {
    code: "not-acceptable",
    message: `cannot change list ${base}: it is ${table.list.revision} now`,
  });
  assert.equal(shard.statusTable().size, 2);
  // What left while it was known to leave is handed over.
  await shard.changeTargets({ base: table.list.revision, set: [], gone: [hashOf("a")] });
  assert.deepEqual([...(engine.updates.at(-1)!.handedOver ?? [])], [hashOf("a")]);
  const again = await startShard();
  assert.deepEqual([...again.statuses().keys()], [hashOf("c")], "it was not kept");
});
