/**
 * Kills the coordinator at every step of moving targets between two real shards, and looks at what was scraped.
 *
 *     plan ──1──► new owner told ──2──► old owner told ──4──► new owner proven ──5──► old owner lets go ──6──► done
 *            └──► old owner told first ──3──►
 *
 * A coordinator keeps nothing on disk, so one whose calls no longer go through is what kill -9 leaves of it; the next
 * one starts under a later epoch and knows nothing. The targets count time: a missed scrape is a hole in their series.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { Registry } from "../../src/base/metrics.ts";
import { type Random, randomInt, seededRandom } from "../../src/base/random.ts";
import { parseConfig } from "../../src/config/load.ts";
import { JobTargetBuilder } from "../../src/discovery/targets.ts";
import type { Target } from "../../src/model/target.ts";
import { toPushedConfig } from "../../src/shard/config-push.ts";
import { connectShard, type ShardControl } from "../../src/shard/control.ts";
import { Coordinator, DEFAULT_COORDINATOR_TIMES } from "../../src/shard/coordinator.ts";
import { DecisionLog } from "../../src/shard/decision-log.ts";
import { singleGroup } from "../../src/shard/driver.ts";
import { DEFAULT_EXPLORER_OPTIONS } from "../../src/shard/explorer.ts";
import { NO_LOAD } from "../../src/shard/load.ts";
import { DEFAULT_PLAN_OPTIONS } from "../../src/shard/plan-types.ts";
import { SoleLeadership } from "../../src/shard/sole-leadership.ts";
import type { AssignedTarget } from "../../src/shard/wire.ts";
import {
  apiData,
  freePort,
  type RunningProcess,
  sleep,
  startShoal,
  temporaryFolder,
  until,
} from "./processes.ts";

const TARGETS = 8;
const INTERVAL_MS = 1_000;
const STEP_MS = 100;
/** What each target counts up by every second. */
const RATE = 100;

/** Where the coordinator dies. */
const PHASES = [
  "before any shard is told",
  "when the new owner alone has been told",
  "when the old owner alone has been told",
  "when both have been told",
  "before the old owner is told to let go",
  "when the old owner has let go",
] as const;

export interface TransferFigures {
  readonly kills: number;
  readonly transfers: number;
  /** Intervals in which nobody scraped a target. */
  readonly gapIntervals: number;
  /** The most intervals that one transfer was scraped by both shards. */
  readonly overlapIntervals: number;
  /** How far sum(rate()) was off in the worst window, as a share. */
  readonly worstRateError: number;
}

export async function killTransfers(options: {
  killsPerPhase: number;
  seed: number;
}): Promise<TransferFigures> {
  const random = seededRandom(options.seed);
  const exporter = await startExporter();
  const folder = temporaryFolder("transfers");
  const shards: RunningProcess[] = [];
  let query: RunningProcess | undefined;
  try {
    const grpc = [await freePort(), await freePort()];
    for (const [i, port] of grpc.entries())
      shards.push(
        await startShoal({
          args: [
            "shard",
            `--shard.id=shard-${i}`,
            `--grpc.address=127.0.0.1:${port}`,
            `--storage.tsdb.path=${join(folder, String(i))}`,
          ],
        }),
      );
    query = await startShoal({
      args: ["query", ...grpc.map((port) => `--endpoint=127.0.0.1:${port}`)],
    });
    const world = new TransferWorld({ exporter, shards, random });
    await world.settle();
    const startedMs = Date.now();
    for (let round = 0; round < options.killsPerPhase; round++)
      for (let phase = 1; phase <= PHASES.length; phase++) await world.transfer(phase);
    await sleep(2 * INTERVAL_MS);
    world.stop();
    const seconds = Math.floor((Date.now() - startedMs) / 1000) - 1;
    return {
      kills: world.kills,
      transfers: world.transfers,
      overlapIntervals: world.overlapIntervals,
      gapIntervals: await countGaps(query.url, seconds),
      worstRateError: await worstRateError(query.url, seconds),
    };
  } finally {
    await query?.stop();
    for (const shard of shards) await shard.stop();
    exporter.closeAllConnections();
    exporter.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

async function startExporter(): Promise<Server> {
  const startedMs = Date.now();
  const exporter = createServer((_request, response) => {
    response.setHeader("Content-Type", "text/plain; version=0.0.4");
    response.end(
      `# TYPE ticks_total counter\nticks_total ${((Date.now() - startedMs) * RATE) / 1000}\n`,
    );
  });
  exporter.listen(0, "127.0.0.1");
  await once(exporter, "listening");
  return exporter;
}

interface WorldOptions {
  readonly exporter: Server;
  readonly shards: readonly RunningProcess[];
  readonly random: Random;
}

class TransferWorld {
  kills = 0;
  transfers = 0;
  overlapIntervals = 0;
  readonly #options: WorldOptions;
  readonly #targets: readonly Target[];
  readonly #config;
  #coordinator: { life: Life; coordinator: Coordinator };
  /** The shard that is to have all targets. */
  #owner = 0;

  constructor(options: WorldOptions) {
    this.#options = options;
    const address = options.exporter.address();
    assert.ok(address !== null && typeof address === "object");
    const paths = Array.from({ length: TARGETS }, (_, i) => `/t${i}`);
    this.#config = parseConfig(
      `global: { scrape_interval: ${INTERVAL_MS}ms, scrape_timeout: ${INTERVAL_MS}ms }
scrape_configs:
- job_name: ticks
  relabel_configs: [{ source_labels: [path], target_label: __metrics_path__ }]
  static_configs: [${paths.map((path) => `{ targets: ["127.0.0.1:${address.port}"], labels: { path: ${path} } }`).join(", ")}]
`,
      { path: "prometheus.yml", baseFolder: "/" },
    );
    const [job] = this.#config.scrapeConfigs;
    const groups = paths.map((path) => ({
      source: path,
      labels: { path },
      targets: [{ __address__: `127.0.0.1:${address.port}` }],
    }));
    this.#targets = new JobTargetBuilder(job!).build(groups).active;
    assert.equal(this.#targets.length, TARGETS);
    this.#coordinator = this.#start();
  }

  /** All targets are on the first shard. */
  async settle(): Promise<void> {
    await this.#turnUntil(async () => this.#isAlone(this.#owner));
  }

  /** Moves all targets to the other shard, with a death of the coordinator at `phase`. */
  async transfer(phase: number): Promise<void> {
    const from = this.#owner;
    const to = 1 - from;
    this.#owner = to;
    const { life, coordinator } = this.#coordinator;
    life.dieDuring({ phase, from: this.#url(from), to: this.#url(to) });
    await drainOnly(coordinator, from);
    const startedMs = Date.now();
    while (!life.isOver) {
      assert.ok(Date.now() - startedMs < 60_000, `no death "${PHASES[phase - 1]}" within 60 s`);
      // A dead coordinator's cycle never ends.
      await Promise.race([coordinator.cycle(), life.over]);
      await sleep(STEP_MS);
    }
    this.kills++;
    await sleep(randomInt(this.#options.random, 2 * INTERVAL_MS));
    this.#coordinator = this.#start();
    await drainOnly(this.#coordinator.coordinator, from);
    await this.#turnUntil(async () => this.#isAlone(to));
    this.transfers += TARGETS;
  }

  stop(): void {
    this.#coordinator.life.end();
  }

  #url(shard: number): string {
    return this.#options.shards[shard]!.url;
  }

  #start(): { life: Life; coordinator: Coordinator } {
    const { shards, random } = this.#options;
    const life = new Life();
    const driver = {
      desired: shards.length,
      list: async () =>
        shards.map(({ url }, ordinal) => ({ id: `shard-${ordinal}`, ordinal, url, restarts: 0 })),
      scale: async () => {},
    };
    const coordinator = new Coordinator(
      toPushedConfig(this.#config),
      {
        ...DEFAULT_COORDINATOR_TIMES,
        plan: { ...DEFAULT_PLAN_OPTIONS, moveCooldownMs: 0 },
        explorer: DEFAULT_EXPLORER_OPTIONS,
      },
      {
        discovery: {
          jobs: () => [
            {
              job: "ticks",
              targets: this.#targets,
              dropped: () => [],
              droppedCount: 0,
              isComplete: true,
              isStatic: true,
              error: "",
            },
          ],
        },
        fleet: singleGroup(driver),
        leadership: new SoleLeadership(systemClock, { ownsShards: true }),
        connect: (url) => life.wrap(url, connectShard(url)),
        explore: async () => ({ ...NO_LOAD, series: 1, rawSeries: 1 }),
        log: new DecisionLog(1_000),
        clock: systemClock,
        random,
        logger: silentLogger,
        registry: new Registry(),
      },
    );
    // It knows no shard yet, so there is nothing to wait for.
    void drainOnly(coordinator, 1 - this.#owner);
    return { life, coordinator };
  }

  async #turnUntil(isDone: () => Promise<boolean>): Promise<void> {
    const startedMs = Date.now();
    let sharedMs = 0;
    let lookedMs = startedMs;
    while (!(await isDone())) {
      assert.ok(
        Date.now() - startedMs < 60_000,
        "the targets are not where they belong after 60 s",
      );
      await this.#coordinator.coordinator.cycle();
      await sleep(STEP_MS);
      if (await this.#isShared()) sharedMs += Date.now() - lookedMs;
      lookedMs = Date.now();
    }
    this.overlapIntervals = Math.max(this.overlapIntervals, Math.ceil(sharedMs / INTERVAL_MS));
  }

  async #lists(): Promise<AssignedTarget[][]> {
    return Promise.all(
      this.#options.shards.map(async ({ url }) => {
        const control = connectShard(url);
        try {
          return await control.assignment();
        } finally {
          control.close();
        }
      }),
    );
  }

  async #isAlone(shard: number): Promise<boolean> {
    const lists = await this.#lists();
    return lists[shard]!.length === TARGETS && lists[1 - shard]!.length === 0;
  }

  /** Whether one target is on both shards. */
  async #isShared(): Promise<boolean> {
    const [first, second] = await this.#lists();
    const hashes = new Set(first!.map(({ target }) => target.hash));
    return second!.some(({ target }) => hashes.has(target.hash));
  }
}

/** One coordinator's life: its calls go through until it dies, and never end afterwards. */
class Life {
  isOver = false;
  #death: { phase: number; from: string; to: string } | undefined;
  readonly over: Promise<void>;
  /** Shards whose list has been changed since the transfer began. */
  readonly #told = new Set<string>();
  readonly #end: () => void;

  constructor() {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.over = promise;
    this.#end = resolve;
  }

  /** From now on it moves targets between these shards, and dies at `phase` of that. */
  dieDuring(death: { phase: number; from: string; to: string }): void {
    this.#death = death;
    this.#told.clear();
  }

  end(): void {
    this.isOver = true;
    this.#end();
  }

  wrap(url: string, control: ShardControl): ShardControl {
    const never = new Promise<never>(() => {});
    const alive = <T>(call: () => Promise<T>): Promise<T> =>
      this.isOver ? never : call().then((value) => (this.isOver ? never : value));
    return {
      runtime: (epoch) => alive(() => control.runtime(epoch)),
      status: () => alive(() => control.status()),
      assignment: () => alive(() => control.assignment()),
      statistics: (wanted) => alive(() => control.statistics(wanted)),
      setDraining: (isDraining, epoch) => alive(() => control.setDraining(isDraining, epoch)),
      pushConfig: (config, epoch) => alive(() => control.pushConfig(config, epoch)),
      pushTargets: (list, epoch) => alive(() => this.#push(url, control, { list, epoch })),
      pushStop: (order, epoch) => alive(() => control.pushStop(order, epoch)),
      close: () => control.close(),
    };
  }

  async #push(
    url: string,
    control: ShardControl,
    { list, epoch }: { list: readonly AssignedTarget[]; epoch: number },
  ): Promise<void> {
    const at = this.#death;
    const isRelease = url === at?.from && list.length < TARGETS;
    const diesNow = (phase: number, isIt: boolean): boolean => at?.phase === phase && isIt;
    if (diesNow(1, true) || diesNow(5, isRelease)) {
      this.end();
      return;
    }
    // The other shard's call of the same cycle does not get through.
    const other = url === at?.from ? 2 : 3;
    if (at !== undefined && at.phase === other) return new Promise<never>(() => {});
    await control.pushTargets(list, epoch);
    this.#told.add(url);
    if (diesNow(2, url === at?.to) || diesNow(3, url === at?.from)) this.end();
    if (diesNow(4, this.#told.size === 2) || diesNow(6, isRelease)) this.end();
  }
}

/** Marks one of the two shards, and not the other one. */
async function drainOnly(coordinator: Coordinator, shard: number): Promise<void> {
  const mark = (index: number, isDraining: boolean): Promise<void> =>
    coordinator.setDraining(`shard-${index}`, isDraining, "a test");
  await Promise.all([mark(1 - shard, false), mark(shard, true)]);
}

type Matrix = { result: { values: [number, string][] }[] };

/** Intervals without a scrape, over all targets. */
async function countGaps(url: string, seconds: number): Promise<number> {
  const data = await apiData<Matrix>(
    `${url}/api/v1/query?query=${encodeURIComponent(`ticks_total[${seconds}s]`)}`,
  );
  assert.equal(data.result.length, TARGETS);
  let gaps = 0;
  for (const { values } of data.result) {
    assert.ok(values.length > seconds / 2, `${values.length} samples in ${seconds} s`);
    for (let i = 1; i < values.length; i++) {
      const intervals = ((values[i]![0] - values[i - 1]![0]) * 1000) / INTERVAL_MS;
      gaps += Math.max(0, Math.round(intervals) - 1);
    }
  }
  return gaps;
}

/** sum(rate()) in windows of at most five minutes, beside what the targets really count. */
async function worstRateError(url: string, seconds: number): Promise<number> {
  const window = Math.min(300, Math.floor(seconds / 2));
  const end = Math.floor(Date.now() / 1000) - 2;
  const start = end - seconds + window + 2;
  const data = await until("the rates can be asked for", () =>
    apiData<Matrix>(
      `${url}/api/v1/query_range?query=${encodeURIComponent(`sum(rate(ticks_total[${window}s]))`)}&start=${start}&end=${end}&step=1`,
    ),
  );
  const values = data.result[0]?.values ?? [];
  assert.ok(values.length > 0, "no rate");
  return Math.max(...values.map(([, text]) => Math.abs(Number(text) / (RATE * TARGETS) - 1)));
}
