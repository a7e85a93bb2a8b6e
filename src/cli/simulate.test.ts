import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import type { Report } from "../simulate/report.ts";

const folder = mkdtempSync(join(tmpdir(), "shoal-simulate-"));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

async function simulate(...args: string[]): Promise<Ended> {
  const main = join(import.meta.dirname, "main.ts");
  const flags = ["--disable-warning=ExperimentalWarning", main, "simulate", ...args];
  const child = spawn(process.execPath, flags);
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (piece: Buffer) => (stdout += String(piece)));
  child.stderr.on("data", (piece: Buffer) => (stderr += String(piece)));
  const [status]: (number | null)[] = await once(child, "close");
  return { status: status!, stdout, stderr };
}

/** Twelve targets of 10,000 series on two shards, as a coordinator tells it. */
const DUMP = JSON.stringify({
  status: "success",
  data: {
    activeTargets: Array.from({ length: 12 }, (_, i) => ({
      labels: { job: "node", instance: `n${i}:1` },
      scrapePool: "node",
      scrapeUrl: `http://n${i}:1/metrics`,
      scrapeInterval: "",
      series: 10_000,
      totalSeries: 10_000,
      shards: [`shard-${i % 2}`],
    })),
  },
});

const QUIET = ["--targets.churn=0", "--series.growth=0", "--series.churn=0", "--duration=20m"];

test("a summary for people, a picture, and the same again for the same seed", async () => {
  const svg = join(folder, "run.svg");
  const flags = ["--targets=40", "--duration=30m", "--shard.max-series=20000", "--shard.losses=1"];
  const first = await simulate(...flags, `--svg=${svg}`, "--cost.per-shard-hour=0.25");
  assert.equal(first.status, 0, first.stderr);
  assert.equal(first.stderr, "");
  assert.match(
    first.stdout,
    /^30m of a made-up fleet: 40 targets and [\d,]+ series at most, seed 1\n/,
  );
  for (const line of [
    /^ {2}shards +\d+ → \d+; \d+ scale-ups/m,
    /^ {2}cost +[\d.]+ for [\d.]+ shard hours at 0\.25$/m,
  ])
    assert.match(first.stdout, line);
  assert.match(first.stdout, /\nverdict: all 5 promises kept\ntiming: \d+ cycles in /);
  const picture = readFileSync(svg, "utf8");
  assert.match(picture, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"/);
  const again = await simulate(...flags, `--svg=${svg}`, "--cost.per-shard-hour=0.25");
  const untimed = ({ stdout }: Ended): string => stdout.replace(/^timing: .*$/m, "");
  assert.equal(untimed(again), untimed(first));
  assert.equal(readFileSync(svg, "utf8"), picture);
  const other = await simulate(...flags, "--seed=2");
  assert.notEqual(untimed(other), untimed(first));
});

test("what if: a dump from a file or a coordinator, with other limits", async () => {
  const path = join(folder, "targets.json");
  writeFileSync(path, DUMP);
  const same = await simulate(`--from=${path}`, "--shard.max-series=100000", "--json", ...QUIET);
  assert.equal(same.status, 0, same.stderr);
  const asIs: Report = JSON.parse(same.stdout);
  assert.deepEqual([asIs.figures.shards.first, asIs.figures.shards.last], [2, 2]);
  assert.deepEqual([asIs.figures.moves.total, asIs.figures.assigned], [0, 0]);
  assert.equal(asIs.fleet, path);
  assert.equal(asIs.scenario["shard.max-series"], "100000");
  assert.equal(asIs.timeline.at(-1)?.series, 120_000);
  const server = createServer((_, response) => response.end(DUMP));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const from = `--from=http://127.0.0.1:${port}/api/v1/targets`;
  const smaller = await simulate(from, "--shard.max-series=35000", "--json", ...QUIET);
  const fresh = await simulate(from, "--shard.max-series=35000", "--json", "--fresh", ...QUIET);
  server.close();
  const { figures }: Report = JSON.parse(smaller.stdout);
  assert.equal(figures.shards.first, 2);
  assert.ok(figures.shards.last >= 4 && figures.moves.total >= 6, smaller.stdout.slice(0, 2000));
  const anew: Report = JSON.parse(fresh.stdout);
  assert.deepEqual([anew.figures.shards.last, anew.figures.assigned], [4, 12]);
});

test("--check ends with 1 when a promise is broken, and says which", async () => {
  const flags = [
    "--targets=40",
    "--duration=30m",
    "--shard.max-series=20000",
    "--shard.max-shard=1",
  ];
  const told = await simulate(...flags);
  assert.equal(told.status, 0);
  assert.match(
    told.stdout,
    /BROKEN {2}no target waits longer than 10m for a shard that runs: \d+ did/,
  );
  assert.match(
    told.stdout,
    /lost: http:\/\/10\.[\d.]+:9100\/metrics from 00:00:00 for 30m, never on a shard/,
  );
  assert.match(told.stdout, /\nverdict: 1 of 5 promises broken\n/);
  assert.equal((await simulate(...flags, "--check")).status, 1);
});

test("what cannot be read or makes no sense is refused with how to do it", async () => {
  const refused = async (status: number, message: RegExp, ...args: string[]): Promise<void> => {
    const ended = await simulate(...args);
    assert.deepEqual([ended.status, ended.stdout], [status, ""], ended.stderr);
    assert.match(ended.stderr, message);
  };
  const broken = join(folder, "broken.json");
  writeFileSync(broken, '{"data":\n  {"activeTargets": [}}');
  await Promise.all([
    refused(
      1,
      /^shoal: cannot read .*broken\.json:2:22: it is not JSON: Unexpected token '}'\n$/,
      `--from=${broken}`,
    ),
    refused(1, /^shoal: cannot read \/nonexistent: ENOENT/, "--from=/nonexistent"),
    refused(1, /^shoal: cannot read http:\/\/127\.0\.0\.1:1\/: /, "--from=http://127.0.0.1:1/"),
    refused(2, /--fleet.*is not a time and a share/, "--fleet=soon"),
    refused(2, /--series\.sigma.*it must be a number from 0 to 5/, "--series.sigma=-1"),
    refused(2, /--targets\.intervals.*durations above 0/, "--targets.intervals=0s"),
    refused(1, /lower --shard\.min-shard/, "--shard.min-shard=3", "--shard.max-shard=2"),
    refused(
      1,
      /^shoal: cannot write \/nonexistent\/a\.svg/,
      "--svg=/nonexistent/a.svg",
      "--targets=1",
      "--duration=1m",
    ),
  ]);
});
