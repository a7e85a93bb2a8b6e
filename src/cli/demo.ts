import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../base/clock.ts";
import { AppError, messageOf } from "../base/errors.ts";
import { Registry } from "../base/metrics.ts";
import { SupervisedProcess } from "../base/supervised-process.ts";
import { childCommand } from "./child-command.ts";
import { type DEMO_FLAGS, UP_FLAGS } from "./commands.ts";
import { EXPORTER_SERIES, METRIC_SERIES } from "./demo-exporters.ts";
import { DemoScreen, grouped, shardTable, summaryLine } from "./demo-print.ts";
import {
  childrenRss,
  type DemoShard,
  type DemoTarget,
  queryNumber,
  readShards,
  readTargets,
  readVersion,
} from "./demo-state.ts";
import { defaultsOf, type FlagValues } from "./flags.ts";
import { loggerOf } from "./run-role.ts";
import { runUp } from "./up.ts";

type DemoValues = FlagValues<typeof DEMO_FLAGS>;

const SHARD_NOUN = { embedded: "shard", prometheus: "Prometheus" } as const;
const TARGETS = 6;
const POLL_MS = 250;
const SETTLE_TIMEOUT_MS = 120_000;
const EXPORTERS_TIMEOUT_MS = 30_000;

/** `shoal demo`: six generators, one configuration file, one shard to begin with; it ends at three. */
export async function runDemo(flags: DemoValues): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), "shoal-demo-"));
  const abort = new AbortController();
  const exporters = new Exporters(flags);
  const isLive = process.stderr.isTTY && !flags.check;
  const screen = new DemoScreen({ isLive, write: (text) => void process.stderr.write(text) });
  try {
    const ports = await exporters.start();
    const configFile = join(folder, "prometheus.yml");
    await writeFile(configFile, configText(ports));
    screen.say(
      `${TARGETS} targets of ${grouped(EXPORTER_SERIES)} series, at most ${grouped(flags.maxSeries)} a shard, one ${SHARD_NOUN[flags.engine]} to begin with.`,
    );
    const show = new Demonstration({ flags, screen, abort, childrenBefore: [exporters.pid] });
    const up = {
      ...defaultsOf(UP_FLAGS),
      configFile,
      storagePath: join(folder, "data"),
      listenAddress: flags.listenAddress,
      maxSeries: flags.maxSeries,
      coordinatorInterval: 1_000,
      shardEngine: flags.engine,
      shardReplicas: flags.replicas,
      prometheusBinary: flags.prometheusBinary,
      prometheusArgs: flags.prometheusArgs,
      logLevel: flags.logLevel,
      logFormat: flags.logFormat,
    };
    await runUp(up, { abort, onReady: (url) => show.run(url) });
    await show.finish();
  } finally {
    await exporters.stop();
    await rm(folder, { recursive: true, force: true });
  }
}

function configText(ports: readonly number[]): string {
  const targets = ports.map((port) => `127.0.0.1:${port}`).join(", ");
  return `# Written by shoal demo.
global:
  scrape_interval: 5s
scrape_configs:
- job_name: metrics-test
  static_configs:
  - targets: [${targets}]
`;
}

/** The generators' process. */
class Exporters {
  readonly #process: SupervisedProcess;
  readonly #ready = Promise.withResolvers<readonly number[]>();

  constructor(flags: DemoValues) {
    this.#process = new SupervisedProcess(
      { ...childCommand("exporters", ["demo-exporters", String(TARGETS)]), withChannel: true },
      {
        clock: systemClock,
        logger: loggerOf(flags),
        registry: new Registry(),
        onMessage: (message) => {
          const ports =
            typeof message === "object" && message !== null ? Reflect.get(message, "ports") : [];
          if (Array.isArray(ports)) this.#ready.resolve(ports.map(Number));
        },
      },
    );
  }

  get pid(): number {
    return this.#process.pid ?? 0;
  }

  start(): Promise<readonly number[]> {
    this.#process.start();
    const cancel = systemClock.after(EXPORTERS_TIMEOUT_MS, () =>
      this.#ready.reject(new AppError("unavailable", "cannot start the metric generators")),
    );
    return this.#ready.promise.finally(cancel);
  }

  async stop(): Promise<void> {
    await this.#process.stop();
  }
}

interface Outcome {
  readonly shards: readonly DemoShard[];
  readonly targets: readonly DemoTarget[];
  readonly settleSeconds: number;
  readonly isSettled: boolean;
}

interface DemonstrationOptions {
  readonly flags: DemoValues;
  readonly screen: DemoScreen;
  readonly abort: AbortController;
  /** Child processes that are not part of the system. */
  readonly childrenBefore: readonly number[];
}

/** Watches the system settle, tells about it, and verifies it. */
class Demonstration {
  readonly #options: DemonstrationOptions;
  readonly #startedMs = systemClock.monotonic();
  #done: Promise<void> = Promise.resolve();

  constructor(options: DemonstrationOptions) {
    this.#options = options;
  }

  /** Begins to watch; `finish` tells how it went. */
  run(url: string): void {
    this.#done = this.#watch(url);
    this.#done.catch(() => this.#options.abort.abort());
  }

  /** Rejects when the demonstration did not show what it should. */
  async finish(): Promise<void> {
    await this.#done;
  }

  async #watch(url: string): Promise<void> {
    const { flags, screen, abort } = this.#options;
    const outcome = await this.#settle(url);
    if (abort.signal.aborted) return;
    for (const line of shardTable(outcome.shards, flags.maxSeries)) screen.say(line);
    screen.say(
      outcome.isSettled
        ? `Settled after ${outcome.settleSeconds.toFixed(1)} s.`
        : `Not settled after ${outcome.settleSeconds.toFixed(1)} s.`,
    );
    if (!flags.check) {
      screen.say(`The page: ${url}    (Ctrl-C ends the demonstration)`);
      return;
    }
    const figures = await this.#verify(url, outcome);
    process.stdout.write(`${JSON.stringify(figures)}\n`);
    abort.abort();
    if (!figures.ok)
      throw new AppError("internal", `cannot confirm: ${figures.problems.join("; ")}`);
  }

  async #settle(url: string): Promise<Outcome> {
    const { flags, screen, abort } = this.#options;
    for (;;) {
      const seconds = (systemClock.monotonic() - this.#startedMs) / 1000;
      let shards: DemoShard[] = [];
      let targets: DemoTarget[] = [];
      try {
        shards = await readShards(url);
        targets = await readTargets(url);
      } catch (error) {
        screen.draw([`  ${messageOf(error)}`], "");
      }
      const isSettled =
        hasSettled(shards, targets, flags.replicas) &&
        (await countMetrics(url)) === TARGETS * METRIC_SERIES;
      const summary = summaryLine(shards, targets, TARGETS);
      screen.draw(
        [...shardTable(shards, flags.maxSeries), `${summary}  ${seconds.toFixed(0)} s`],
        summary,
      );
      if (isSettled || abort.signal.aborted || seconds * 1000 > SETTLE_TIMEOUT_MS)
        return { shards, targets, settleSeconds: seconds, isSettled };
      await systemClock.sleep(POLL_MS);
    }
  }

  async #verify(url: string, outcome: Outcome): Promise<Figures> {
    const { maxSeries: limit, replicas } = this.#options.flags;
    const problems: string[] = [];
    const metricSeries = await countMetrics(url, (problem) => problems.push(problem));
    const up = await queryNumber(url, "sum(up)");
    const shards = await readShards(url);
    const targets = await readTargets(url);
    const expect = (isRight: boolean, problem: string): void => {
      if (!isRight) problems.push(problem);
    };
    expect(outcome.isSettled, "the system did not settle");
    expect(targets.length === TARGETS, `there are ${targets.length} targets, not ${TARGETS}`);
    for (const target of targets)
      expect(
        target.shards.length === replicas,
        `${target.url} is scraped by ${target.shards.length} shards`,
      );
    const wanted = 3 * replicas;
    expect(shards.length === wanted, `there are ${shards.length} shards, not ${wanted}`);
    for (const { id, headSeries, targets: count } of shards) {
      expect(headSeries <= limit, `${id} has ${headSeries} series, above its limit of ${limit}`);
      expect(count === 2, `${id} has ${count} targets, not 2`);
    }
    expect(metricSeries === TARGETS * METRIC_SERIES, `the query counts ${metricSeries} series`);
    expect(up === TARGETS, `sum(up) is ${up}`);
    const versions =
      this.#options.flags.engine === "prometheus"
        ? await Promise.all(shards.map(readVersion))
        : undefined;
    const rss = await this.#memory(shards);
    return {
      ok: problems.length === 0,
      ...(versions !== undefined && { prometheusVersions: versions }),
      settleSeconds: Math.round(outcome.settleSeconds * 10) / 10,
      shards: shards.length,
      targets: targets.length,
      targetsPerShard: shards.map((shard) => shard.targets),
      seriesPerTarget: targets.map((target) => target.series),
      // Each target adds its report series (up, scrape_*) to what it exposes.
      headSeriesPerShard: shards.map((shard) => shard.headSeries),
      limit,
      metricSeries,
      up,
      rssBytes: rss,
      problems,
    };
  }

  async #memory(shards: readonly DemoShard[]): Promise<Figures["rssBytes"]> {
    const children = await childrenRss();
    for (const pid of this.#options.childrenBefore) children.delete(pid);
    const ofShards = shards.map((shard) => shard.rssBytes);
    for (const shard of shards) children.delete(shard.pid);
    const query = [...children.values()].reduce((sum, bytes) => sum + bytes, 0);
    const coordinator = process.memoryUsage.rss();
    const total = coordinator + query + ofShards.reduce((sum, bytes) => sum + bytes, 0);
    return { total, coordinator, query, shards: ofShards };
  }
}

interface Figures {
  readonly ok: boolean;
  /** Of each shard, as its Prometheus says itself. */
  readonly prometheusVersions?: readonly string[];
  readonly settleSeconds: number;
  readonly shards: number;
  readonly targets: number;
  readonly targetsPerShard: readonly number[];
  readonly seriesPerTarget: readonly number[];
  readonly headSeriesPerShard: readonly number[];
  readonly limit: number;
  readonly metricSeries: number;
  readonly up: number;
  readonly rssBytes: {
    readonly total: number;
    readonly coordinator: number;
    readonly query: number;
    readonly shards: readonly number[];
  };
  readonly problems: readonly string[];
}

/** Every target is scraped well by exactly one shard of each replica group, and every shard has work. */
function hasSettled(
  shards: readonly DemoShard[],
  targets: readonly DemoTarget[],
  replicas: number,
): boolean {
  return (
    targets.length === TARGETS &&
    targets.every((target) => target.health === "up" && target.shards.length === replicas) &&
    shards.every(
      ({ state, targets: count, inTransfer }) => state === "ready" && count > 0 && inTransfer === 0,
    )
  );
}

/** NaN while the query cannot answer, which `onError` is told why. */
async function countMetrics(url: string, onError?: (problem: string) => void): Promise<number> {
  try {
    return await queryNumber(url, 'count({__name__=~".*metrics.*"})');
  } catch (error) {
    onError?.(messageOf(error));
    return NaN;
  }
}
