import assert from "node:assert/strict";
import { execFile, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import {
  apiData,
  freePort,
  type RunningProcess,
  SHOAL_COMMAND,
  startShoal,
  temporaryFolder,
  until,
} from "./support/processes.ts";

/** The whole of `shoal up` on two small exporters: it answers, and what is killed comes back without loss or doubling. */

interface Exporter {
  readonly server: Server;
  readonly address: string;
  /** When it was scraped, ms. */
  readonly scrapes: number[];
}

interface Shard {
  readonly id: string;
  readonly state: string;
  readonly pid: number;
  readonly targets: number;
  readonly restarts: number;
}

interface ActiveTarget {
  readonly scrapeUrl: string;
  readonly health: string;
  readonly shards: readonly string[];
}

const SCRAPE_MS = 1000;

let exporters: Exporter[];
let dataFolder: string;
let up: RunningProcess;

async function startExporter(): Promise<Exporter> {
  const scrapes: number[] = [];
  const server = createServer((_request, response) => {
    scrapes.push(Date.now());
    response.setHeader("Content-Type", "text/plain; version=0.0.4");
    response.end(`# TYPE scrapes_total counter\nscrapes_total ${scrapes.length}\n`);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return { server, address: `127.0.0.1:${address.port}`, scrapes };
}

function config(targetsOf: readonly Exporter[]): string {
  const targets = targetsOf.map((exporter) => `"${exporter.address}"`).join(", ");
  return `global: {scrape_interval: ${SCRAPE_MS}ms}
scrape_configs:
- job_name: tiny
  static_configs: [{targets: [${targets}]}]
`;
}

const configFile = (): string => join(dataFolder, "prometheus.yml");

async function startUp(port: number): Promise<RunningProcess> {
  return startShoal({
    args: [
      "up",
      `--config.file=${configFile()}`,
      `--storage.tsdb.path=${join(dataFolder, "data")}`,
      "--coordinator.interval=1s",
      "--shard.orphan-grace=30s",
      "--enable-feature=promql-experimental-functions,metadata-wal-records",
      "--enable-feature=promql-delayed-name-removal",
    ],
    port,
  });
}

async function shards(): Promise<Shard[]> {
  return (await apiData<{ shards: Shard[] }>(`${up.url}/api/v1/shards`)).shards;
}

async function decisions(): Promise<unknown[]> {
  return (await apiData<{ decisions: unknown[] }>(`${up.url}/api/v1/decisions`)).decisions;
}

async function queryNumber(query: string): Promise<number> {
  const url = `${up.url}/api/v1/query?query=${encodeURIComponent(query)}`;
  const data = await apiData<{ result: { value: [number, string] }[] }>(url);
  return Number(data.result[0]?.value[1]);
}

/** Both targets up, each scraped by one shard. */
async function settled(): Promise<true | undefined> {
  const { activeTargets } = await apiData<{ activeTargets: ActiveTarget[] }>(
    `${up.url}/api/v1/targets?state=active`,
  ).catch(() => ({ activeTargets: [] }));
  const isSettled =
    activeTargets.length === 2 &&
    activeTargets.every(({ health, shards: owners }) => health === "up" && owners.length === 1) &&
    (await queryNumber("sum(up)").catch(() => 0)) === 2;
  return isSettled ? true : undefined;
}

/** Waits for `count` scrapes of each exporter from now on, then checks that each was asked once an interval. */
async function scrapedOnce(count: number): Promise<void> {
  const before = exporters.map((exporter) => exporter.scrapes.length);
  await until("the exporters are scraped", async () =>
    exporters.every((exporter, i) => exporter.scrapes.length >= before[i]! + count)
      ? true
      : undefined,
  );
  for (const [i, { scrapes }] of exporters.entries()) {
    const times = scrapes.slice(before[i]!);
    for (let k = 1; k < times.length; k++)
      assert.ok(
        times[k]! - times[k - 1]! > SCRAPE_MS / 2,
        `scraped twice within ${times[k]! - times[k - 1]!} ms`,
      );
  }
}

/** Fields 3 (state) and 4 (parent) of proc(5)'s stat; undefined when there is no such process. */
function processState(pid: number): { state: string; parent: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return { state: fields[0]!, parent: Number(fields[1]) };
  } catch {
    return undefined;
  }
}

/** A zombie that nobody has collected yet is not alive. */
function isAlive(pid: number): boolean {
  const state = processState(pid)?.state;
  return state !== undefined && state !== "Z";
}

function childrenOf(parent: number): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && processState(Number(name))?.parent === parent)
    .map(Number);
}

before(async () => {
  exporters = [await startExporter(), await startExporter()];
  dataFolder = temporaryFolder("up");
  writeFileSync(configFile(), config(exporters));
  up = await startUp(await freePort());
  await until("both targets are up", settled);
});

after(async () => {
  await up.stop();
  for (const { server } of exporters) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(dataFolder, { recursive: true, force: true });
});

test("one query answers over the shards, and the page's data is there", async () => {
  assert.equal(await queryNumber("count(scrapes_total)"), 2);
  const [shard] = await shards();
  assert.equal(shard?.state, "ready");
  assert.equal(shard.targets, 2);
  const { decisions } = await apiData<{ decisions: { kind: string }[] }>(
    `${up.url}/api/v1/decisions`,
  );
  assert.equal(decisions.filter(({ kind }) => kind === "assign").length, 2);
  const { yaml } = await apiData<{ yaml: string }>(`${up.url}/api/v1/status/config`);
  assert.match(yaml, /job_name: tiny/);
});

test("shards aggregate their own series", async () => {
  assert.equal(await queryNumber("sum(up)"), 2);
  const metrics = await (await fetch(`${up.url}/metrics`)).text();
  const pushed = /^shoal_query_pushdown_total\{outcome="pushed"\} (\d+)$/m.exec(metrics)?.[1];
  assert.ok(Number(pushed) > 0, metrics.match(/^shoal_query_pushdown.*$/gm)?.join("\n") ?? "none");
});

test("its query and its shards have the features it was started with", async () => {
  assert.equal(await queryNumber("count(limitk(1, up))"), 1);
  const named = 'count(count by (__name__) (changes({__name__=~"up|scrapes_total"}[1h])))';
  assert.equal(await queryNumber(named), 2);
  const [shard] = await shards();
  const commandLine = readFileSync(`/proc/${shard!.pid}/cmdline`, "utf8").split("\0");
  assert.ok(
    commandLine.includes(
      "--enable-feature=promql-experimental-functions,metadata-wal-records,promql-delayed-name-removal",
    ),
    commandLine.join(" "),
  );
});

test("shoal explain and the samples' rates, through the query process", async () => {
  const shoal = promisify(execFile);
  const run = (...args: string[]): Promise<{ stdout: string }> =>
    shoal(process.execPath, [...SHOAL_COMMAND, ...args, `--url=${up.url}`]);
  const { stdout } = await run("explain", exporters[0]!.address);
  assert.match(stdout, /^http:\/\/127\.0\.0\.1:\d+\/metrics \(job tiny\)\nshard-0 scrapes it: /);
  assert.match(stdout, /What was decided, newest first\n {2}\S+Z {2}assign {2}shard-0/);
  assert.match(stdout, /shard-0 \* +ready +2 +.* has it\n/);
  const json: { why: { shard: string } } = JSON.parse(
    (await run("explain", exporters[0]!.address, "--json")).stdout,
  );
  assert.equal(json.why.shard, "shard-0");
  await assert.rejects(run("explain", "nobody:1"), (error: Error & { code?: number }) => {
    assert.equal(error.code, 1);
    assert.match(error.message, /cannot find a target "nobody:1"/);
    return true;
  });
  assert.match((await run("shards")).stdout, /^shard-0 +ready +2 /m);
  const rates = await apiData<unknown>(`${up.url}/api/v1/samples?with_metrics_detail=true`);
  assert.deepEqual(rates, {
    tiny: { scrapedTotal: 2, total: 2, metricsTotal: { scrapes_total: { total: 2, scraped: 2 } } },
  });
});

test("a second up on the same data folder is refused and says whose it is", () => {
  const second = spawnSync(
    process.execPath,
    [
      "src/cli/main.ts",
      "up",
      `--config.file=${configFile()}`,
      `--storage.tsdb.path=${join(dataFolder, "data")}`,
      "--web.listen-address=127.0.0.1:0",
    ],
    { encoding: "utf8", timeout: 30_000 },
  );
  assert.equal(second.status, 1);
  assert.match(second.stderr, new RegExp(`process ${up.pid}\\b`));
});

/** `shoal up --dry-run` with the running one's configuration. */
async function dryRun(folder: string, ...flags: string[]): Promise<string> {
  const args = ["src/cli/main.ts", "up", `--config.file=${configFile()}`];
  const { stdout } = await promisify(execFile)(
    process.execPath,
    [...args, `--storage.tsdb.path=${folder}`, ...flags],
    { timeout: 60_000 },
  );
  return stdout;
}

test("a dry run beside it sees its shard and targets, plans no change and disturbs nothing", async () => {
  const before = await decisions();
  const printed = await dryRun(join(dataFolder, "data"), "--dry-run");
  assert.match(printed, /^scale 1\nshard-0: 2 targets, \d+ series\n( {2}\d+\n){2}$/);
  await scrapedOnce(2);
  assert.deepEqual(await decisions(), before);
});

test("a dry run on an empty folder says how many shards it would take, and leaves it empty", async () => {
  const folder = join(temporaryFolder("dry-run"), "data");
  const printed = await dryRun(folder, "--dry-run=json", "--shard.max-series=9");
  const { plans } = JSON.parse(printed) as {
    plans: { replica: string; scale: number; conditions: { kind: string; url: string }[] }[];
  };
  assert.deepEqual(
    plans.map(({ replica, scale }) => [replica, scale]),
    [["", 2]],
  );
  assert.deepEqual(
    plans[0]!.conditions.map(({ kind, url }) => `${kind} ${url}`).sort(),
    exporters.map(({ address }) => `unassigned http://${address}/metrics`).sort(),
  );
  assert.equal(existsSync(folder), false);
  rmSync(join(folder, ".."), { recursive: true });
});

test("a port in use is refused and says whose it is", () => {
  const other = temporaryFolder("port");
  const port = new URL(up.url).port;
  const second = spawnSync(
    process.execPath,
    [
      "src/cli/main.ts",
      "up",
      `--config.file=${configFile()}`,
      `--storage.tsdb.path=${join(other, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
    ],
    { encoding: "utf8", timeout: 60_000 },
  );
  assert.equal(second.status, 1);
  assert.match(
    second.stderr,
    new RegExp(`127\\.0\\.0\\.1:${port}: the port is in use by process \\d+`),
  );
  rmSync(other, { recursive: true, force: true });
});

test("a killed shard comes back with its targets and its samples", async () => {
  const [before] = await shards();
  const samples = await queryNumber("count_over_time(scrapes_total[10m])");
  process.kill(before!.pid, "SIGKILL");
  const answer = await fetch(`${up.url}/api/v1/query?query=up`);
  assert.match(await answer.text(), /"warnings":\[.*the answer is incomplete: 0 of 1 stores/);
  await until("the shard is back", async () => {
    const [shard] = await shards();
    return shard?.state === "ready" && shard.pid !== before!.pid ? true : undefined;
  });
  await until("both targets are up", settled);
  await scrapedOnce(3);
  const [shard] = await shards();
  assert.equal(shard?.restarts, before!.restarts + 1);
  assert.equal(shard.targets, 2);
  assert.ok((await queryNumber("count_over_time(scrapes_total[10m])")) > samples);
  assert.equal(await queryNumber("count(scrapes_total)"), 2);
});

test("a killed query process comes back on its port", async () => {
  const shardPids = new Set((await shards()).map((shard) => shard.pid));
  const query = childrenOf(up.pid).find((pid) => !shardPids.has(pid));
  assert.ok(query !== undefined);
  process.kill(query, "SIGKILL");
  await until("the query process is gone", async () => (isAlive(query) ? undefined : true));
  await until("both targets are up", settled);
});

test("a killed coordinator: shards scrape on, its successor takes them over and changes nothing", async () => {
  const [before] = await shards();
  const decided = await decisions();
  assert.ok(decided.length >= 2, "both targets were assigned");
  const port = Number(new URL(up.url).port);
  process.kill(up.pid, "SIGKILL");
  await scrapedOnce(3);
  assert.ok(isAlive(before!.pid));
  up = await startUp(port);
  await until("both targets are up", settled);
  await scrapedOnce(3);
  const [shard] = await shards();
  assert.equal(shard?.pid, before!.pid);
  assert.deepEqual(
    await decisions(),
    decided,
    "it knows what was decided, and decides nothing new",
  );
  assert.equal(await queryNumber("count(scrapes_total)"), 2);
});

test("SIGHUP reloads: a broken file changes nothing, a good one leaves the other targets alone", async () => {
  writeFileSync(configFile(), "scrape_confgs: []");
  up.child.kill("SIGHUP");
  await until("the broken file is reported", async () =>
    /cannot reload the configuration.*scrape_confgs/.test(up.output()) ? true : undefined,
  );
  await scrapedOnce(2);
  const third = await startExporter();
  writeFileSync(configFile(), config([...exporters, third]));
  up.child.kill("SIGHUP");
  await until("the third target is scraped", async () =>
    third.scrapes.length >= 2 ? true : undefined,
  );
  exporters.push(third);
  await scrapedOnce(2);
  for (const { scrapes } of exporters.slice(0, 2))
    for (let i = 1; i < scrapes.length; i++)
      if (scrapes[i]! > third.scrapes[0]! - 2 * SCRAPE_MS)
        assert.ok(scrapes[i]! - scrapes[i - 1]! < 1.5 * SCRAPE_MS, "the reload left a gap");
});

test("SIGTERM drains: exit 0, and no process stays", async () => {
  const pids = (await shards()).map((shard) => shard.pid);
  up.child.kill("SIGTERM");
  const [code] = await once(up.child, "exit");
  assert.equal(code, 0);
  for (const pid of pids) assert.equal(isAlive(pid), false);
});
