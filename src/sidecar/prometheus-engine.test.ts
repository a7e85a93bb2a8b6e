import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it, type TestContext } from "node:test";
import type { Clock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { parseConfig } from "../config/load.ts";
import type { Config } from "../config/types.ts";
import { Labels } from "../model/labels.ts";
import { refuseTarget, type Target } from "../model/target.ts";
import { PrometheusClient } from "./prometheus-client.ts";
import { type Delivery, PrometheusEngine } from "./prometheus-engine.ts";
import { targetsFileName } from "./target-files.ts";

/** A Prometheus that answers what the test says, on a clock that the test moves. */
interface Fake {
  readonly server: Server;
  readonly folder: string;
  readonly output: string;
  readonly engine: PrometheusEngine;
  reloads: number;
  /** What it says to a reload: a status and a text. */
  answer: [number, string];
  data: Record<string, unknown>;
  /** Lets this much time pass. */
  advance(ms: number): void;
  again(): PrometheusEngine;
}

async function start(context: TestContext, delivery?: Delivery): Promise<Fake> {
  const folder = mkdtempSync(join(tmpdir(), "shoal-engine-"));
  const output = join(folder, "out", "prometheus.yml");
  const timers = new Set<{ atMs: number; run: () => void }>();
  let nowMs = 1_700_000_000_000;
  const clock: Clock = {
    now: () => nowMs,
    monotonic: () => nowMs,
    after(delayMs, run) {
      const timer = { atMs: nowMs + delayMs, run };
      timers.add(timer);
      return () => timers.delete(timer);
    },
    sleep: () => Promise.reject(new Error("BUG: nothing sleeps here")),
  };
  const server = createServer((request, response) => {
    const path = request.url!.split("?", 1)[0]!;
    if (path === "/-/reload") {
      fake.reloads++;
      response.writeHead(fake.answer[0]).end(fake.answer[1]);
    } else if (path in fake.data)
      response.end(JSON.stringify({ status: "success", data: fake.data[path] }));
    else response.writeHead(503).end("Service Unavailable");
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  const make = (): PrometheusEngine =>
    new PrometheusEngine({
      client: new PrometheusClient(`http://127.0.0.1:${address.port}/`, "test"),
      outputFile: output,
      targetsFolder: join(folder, "targets"),
      ...(delivery !== undefined && { delivery }),
      clock,
      logger: silentLogger,
    });
  const engines: PrometheusEngine[] = [];
  const again = (): PrometheusEngine => {
    const engine = make();
    engines.push(engine);
    return engine;
  };
  const fake: Fake = {
    server,
    folder,
    output,
    engine: again(),
    reloads: 0,
    answer: [200, ""],
    data: {},
    advance(ms) {
      nowMs += ms;
      for (const timer of timers) {
        if (timer.atMs > nowMs) continue;
        timers.delete(timer);
        timer.run();
      }
    },
    again,
  };
  context.after(async () => {
    for (const engine of engines) await engine.stop();
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });
  await fake.engine.start();
  return fake;
}

function config(...jobs: string[]): Config {
  const list = jobs.map((job) => `{job_name: ${job}, dns_sd_configs: [{names: [x]}]}`);
  return parseConfig(`scrape_configs: [${list.join(", ")}]`, { path: "p", baseFolder: "/base" });
}

function target(hash: string, job = "a"): Target {
  const labels = Labels.fromPairs([
    ["__address__", `${hash}:1`],
    ["job", job],
  ]);
  return {
    hash,
    job,
    allLabels: labels,
    labels: Labels.fromPairs([["job", job]]),
    discoveredLabels: Labels.EMPTY,
    url: `http://${hash}:1/metrics`,
    intervalMs: 1000,
    timeoutMs: 1000,
  };
}

function targetsOf({ folder }: Fake, job: string): number {
  const text = readFileSync(join(folder, "targets", targetsFileName(job)), "utf8");
  return (JSON.parse(text) as unknown[]).length;
}

const STATUS = {
  health: "up",
  lastError: "",
  lastScrapeMs: 1,
  lastDurationMs: 1,
  seriesAdded: 0,
  bodyBytes: 1,
  scrapes: 1,
} as const;

describe("PrometheusEngine", () => {
  it("gives Prometheus something to start with, and never overwrites that", async (context) => {
    const fake = await start(context);
    assert.match(readFileSync(fake.output, "utf8"), /global: \{\}/);
    writeFileSync(fake.output, "mine");
    await fake.again().start();
    assert.equal(readFileSync(fake.output, "utf8"), "mine");
  });

  it("reloads for configurations, not for targets", async (context) => {
    const fake = await start(context);
    const { engine } = fake;
    engine.apply({ config: config("a", "b"), targets: [target("1"), target("2", "b")] });
    await engine.settled();
    assert.deepEqual([fake.reloads, targetsOf(fake, "a"), targetsOf(fake, "b")], [1, 1, 1]);
    engine.apply({
      config: config("a", "b"),
      targets: [target("1"), target("3"), target("9", "z")],
    });
    await engine.settled();
    assert.deepEqual([fake.reloads, targetsOf(fake, "a"), targetsOf(fake, "b")], [1, 2, 0]);
    engine.apply({ config: config("b"), targets: [] });
    await engine.settled();
    assert.equal(fake.reloads, 2);
    assert.deepEqual(readdirSync(join(fake.folder, "targets")), [targetsFileName("b")]);
    await engine.reload();
    assert.equal(fake.reloads, 3, "an explicit reload is passed on: rule files may have changed");
  });

  it("takes a refused configuration back and asks again only after a while", async (context) => {
    const fake = await start(context);
    const { engine } = fake;
    engine.apply({ config: config("a"), targets: [] });
    await engine.settled();
    const good = readFileSync(fake.output, "utf8");
    fake.answer = [500, "failed to reload config: field x not found"];
    engine.apply({ config: config("b"), targets: [] });
    await assert.rejects(engine.settled(), { code: "bad-data", message: /field x not found/ });
    assert.equal(readFileSync(fake.output, "utf8"), good);
    assert.equal(fake.reloads, 2);
    engine.apply({ config: config("b"), targets: [target("1", "b")] });
    await assert.rejects(engine.settled(), { code: "bad-data" });
    assert.equal(fake.reloads, 2);
    fake.answer = [200, ""];
    fake.advance(60_000);
    await engine.settled();
    assert.equal(fake.reloads, 3);
    assert.notEqual(readFileSync(fake.output, "utf8"), good);
  });

  it("tries again when Prometheus does not answer, or cannot reload", async (context) => {
    const fake = await start(context);
    const { engine } = fake;
    fake.answer = [403, "Lifecycle API is not enabled."];
    engine.apply({ config: config("a"), targets: [] });
    await assert.rejects(engine.settled(), {
      code: "unavailable",
      message: "cannot reload Prometheus: start it with --web.enable-lifecycle",
    });
    assert.ok(readFileSync(fake.output, "utf8").includes(targetsFileName("a")));
    fake.answer = [200, ""];
    fake.advance(5_000);
    await engine.settled();
    assert.equal(fake.reloads, 2);
  });

  it("does not reload after its own restart what Prometheus has loaded", async (context) => {
    const fake = await start(context);
    fake.engine.apply({ config: config("a"), targets: [target("1")] });
    await fake.engine.settled();
    const info = (lastConfigTime: string): void => {
      fake.data["/api/v1/status/runtimeinfo"] = { reloadConfigSuccess: true, lastConfigTime };
    };
    info(new Date(Date.now() + 1000).toISOString());
    const second = fake.again();
    second.apply({ config: config("a"), targets: [target("1")] });
    await second.settled();
    assert.equal(fake.reloads, 1);
    info("2001-01-01T00:00:00Z");
    const third = fake.again();
    third.apply({ config: config("a"), targets: [target("1")] });
    await third.settled();
    assert.equal(fake.reloads, 2, "the file is newer than what Prometheus has loaded");
  });

  it("tells how targets are scraped, a first scrape only with its size", async (context) => {
    const fake = await start(context);
    const { engine } = fake;
    engine.apply({ config: config("a"), targets: [target("1"), target("2")] });
    await engine.settled();
    await assert.rejects(engine.refresh(), { code: "unavailable" });
    const lastScrape = "2023-11-14T22:13:19.123456789Z";
    fake.data = {
      "/api/v1/status/tsdb": { headStats: { numSeries: 7 } },
      "/api/v1/targets": {
        activeTargets: ["1", "2", "3"].map((hash) => ({
          discoveredLabels: { __meta_shoal_hash: hash },
          labels: { job: "a", hash },
          health: hash === "2" ? "down" : "up",
          lastError: hash === "2" ? "refused" : "",
          lastScrape,
          lastScrapeDuration: 0.25,
        })),
      },
      "/api/v1/query": { result: [] },
    };
    await engine.refresh();
    const seen = (): unknown[] =>
      engine
        .status()
        .map((status) =>
          [
            status.target.hash,
            status.health,
            status.lastError,
            status.seriesScraped,
            status.seriesPostRelabel,
            status.seriesAdded,
          ].join(),
        );
    assert.deepEqual(seen(), ["2,down,refused,0,0,0"]);
    const sample = (name: string, value: string): unknown => ({
      metric: { __name__: name, job: "a", hash: "1" },
      value: [1, value],
    });
    fake.data["/api/v1/query"] = {
      result: [
        sample("scrape_samples_scraped", "9"),
        sample("scrape_samples_post_metric_relabeling", "5"),
        sample("scrape_series_added", "3"),
      ],
    };
    await engine.refresh();
    assert.equal(seen().length, 1, "an answer of a moment ago is given again");
    fake.advance(1_000);
    await engine.refresh();
    assert.deepEqual(seen(), ["1,up,,9,5,3", "2,down,refused,0,0,0"]);
    assert.equal(engine.headSeries, 7);
    assert.equal(engine.status()[0]!.lastScrapeMs, 1_699_999_999_123);
    fake.data["/api/v1/query"] = { result: [] };
    fake.advance(10_000);
    await engine.refresh();
    assert.deepEqual(
      seen(),
      ["1,up,,0,0,0", "2,down,refused,0,0,0"],
      "it is told without in the end",
    );
  });

  it("scrapes nothing while the emergency switch is on", async (context) => {
    const fake = await start(context);
    const { engine } = fake;
    engine.apply({ config: config("a"), targets: [target("1")] });
    await engine.settled();
    engine.stopScraping("too much");
    await engine.settled();
    assert.equal(targetsOf(fake, "a"), 0);
    const [status] = engine.status();
    assert.deepEqual([status?.health, status?.lastError], ["down", "too much"]);
    engine.stopScraping("");
    await engine.settled();
    assert.equal(targetsOf(fake, "a"), 1);
    assert.equal(fake.reloads, 1);
    assert.ok(existsSync(fake.output));
  });

  it("keeps targets that are refused from a Prometheus that asks them itself, and says why", async (context) => {
    const fake = await start(context);
    const { engine } = fake;
    const refusal = "target_limit exceeded";
    engine.apply({ config: config("a", "b"), targets: [refuseTarget(target("1"), refusal)] });
    await engine.settled();
    assert.equal(targetsOf(fake, "a"), 0);
    const [status] = engine.status();
    assert.deepEqual([status?.health, status?.lastError], ["down", refusal]);
    engine.apply({ config: config("a", "b"), targets: [target("1")] });
    await engine.settled();
    assert.equal(targetsOf(fake, "a"), 1);
    assert.deepEqual(engine.status(), []);
  });

  it("leaves scraping to the proxy, and asks an agent for nothing but whether it is there", async (context) => {
    const stops: string[] = [];
    const status = { ...STATUS, target: target("1"), seriesPostRelabel: 7, seriesScraped: 9 };
    const delivery: Delivery = {
      kind: "proxy",
      proxyUrl: () => "http://127.0.0.1:8",
      fetchHeadSeries: false,
      proxy: {
        apply: () => {},
        statuses: () => [status],
        stopScraping: (reason) => void stops.push(reason),
        targets: [],
      },
    };
    const fake = await start(context, delivery);
    const { engine } = fake;
    engine.apply({ config: config("a"), targets: [target("1")] });
    await engine.settled();
    assert.match(readFileSync(fake.output, "utf8"), /proxy_url: http:\/\/127\.0\.0\.1:8/);
    const file = readFileSync(join(fake.folder, "targets", targetsFileName("a")), "utf8");
    assert.match(file, /"__param__hash":"1"/);
    assert.deepEqual(engine.status(), [status]);
    await assert.rejects(engine.refresh(), { code: "unavailable" });
    fake.data["/-/ready"] = "";
    while (!engine.isUp) {
      fake.advance(1_000);
      await new Promise(setImmediate);
    }
    await engine.refresh();
    assert.equal(engine.headSeries, 7);
    engine.stopScraping("why");
    await engine.settled();
    assert.deepEqual(stops, ["why"]);
    assert.equal(engine.status()[0]?.lastError, "why");
  });

  it("withholds targets from a Prometheus that cannot bear them", async (context) => {
    const fake = await start(context);
    fake.engine.apply({ config: config("a"), targets: [target("1")] });
    await fake.engine.settled();
    fake.engine.withholdTargets(true);
    await fake.engine.settled();
    assert.equal(targetsOf(fake, "a"), 0);
    fake.engine.withholdTargets(false);
    await fake.engine.settled();
    assert.equal(targetsOf(fake, "a"), 1);
  });

  it("tells how Prometheus comes up", async (context) => {
    const fake = await start(context);
    const { engine } = fake;
    const reach = async (state: string): Promise<void> => {
      while (engine.health.state !== state) {
        fake.advance(1_000);
        await new Promise(setImmediate);
      }
    };
    fake.data["/-/healthy"] = "";
    await reach("starting");
    fake.data["/api/v1/status/walreplay"] = { min: 2, max: 12, current: 5 };
    await reach("replaying");
    assert.deepEqual(engine.health.replay, { done: 3, total: 10 });
    assert.match(engine.health.error, /replays its write-ahead log: 3 of 10 segments/);
    fake.data["/-/ready"] = "";
    await reach("ready");
    assert.deepEqual([engine.isUp, engine.health.error], [true, ""]);
  });
});
