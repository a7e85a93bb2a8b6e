import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { EXPORTER_SERIES, METRIC_SERIES, MetricGenerator } from "./demo-exporters.ts";
import { COORDINATOR_ROLE_FLAGS } from "./commands.ts";
import { readEnvironment, spellSwitches } from "./flags.ts";
import { createProgram, everyCommand } from "./program.ts";
import { SIDECAR_FLAGS } from "./sidecar-flags.ts";

/** Help texts are part of the program: `SHOAL_REWRITE=1` writes what it says now; read the difference. */
test("the help of all commands is as written down", async () => {
  const program = await createProgram(undefined);
  const help = everyCommand(program)
    .map((command) => command.configureHelp({ helpWidth: 100 }).helpInformation())
    .join("\n---\n");
  const golden = join(import.meta.dirname, "testdata", "help.txt");
  if (process.env["SHOAL_REWRITE"] === "1") writeFileSync(golden, help);
  assert.equal(help, readFileSync(golden, "utf8"));
});

function shoal(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const main = join(import.meta.dirname, "main.ts");
  return spawnSync(process.execPath, ["--disable-warning=ExperimentalWarning", main, ...args], {
    encoding: "utf8",
  });
}

test("exit codes: 0 for help and version, 2 for a wrong command line, 1 for what does not work", () => {
  assert.equal(shoal("version").status, 0);
  const wrong = shoal("up", "--config.fil=x");
  assert.equal(wrong.status, 2);
  assert.match(
    wrong.stderr,
    /^shoal: unknown option '--config\.fil=x'\n\(Did you mean --config\.file\?\)/,
  );
  const missing = shoal(
    "up",
    "--config.file=/nonexistent.yml",
    "--storage.tsdb.path=/tmp/shoal-none",
  );
  assert.equal(missing.status, 1);
  assert.equal(missing.stderr, 'shoal: cannot read "/nonexistent.yml": it does not exist\n');
});

test("Kvass's command lines are taken", async () => {
  const f = async (...args: string[]): Promise<Record<string, unknown>> => {
    const program = await createProgram(args[0]);
    const command = program.commands.find((one) => one.name() === args[0])!;
    command.action(() => {});
    await program.parseAsync(spellSwitches(command, args), { from: "user" });
    readEnvironment(command, args[0] === "sidecar" ? SIDECAR_FLAGS : COORDINATOR_ROLE_FLAGS, {});
    return command.opts();
  };
  const coordinator = await f(
    "coordinator",
    "--shard.static-file=static-shards.yaml",
    "--shard.max-head-series=750000",
    "--shard.max-process-series=1000000",
    "--shard.max-shard=999999",
    "--shard.min-shard=0",
    "--shard.max-idle-time=3h",
    "--shard.disable-alleviate=false",
    "--explore.concurrence=200",
    "--scrape.disable-keep-alive=true",
    "--discovery.disable-keep-alive=false",
    "--web.address=:9090",
    "--config.file=/etc/prometheus/config_out/prometheus.env.yaml",
    "--coordinator.interval=10s",
    "--sd.init-timeout=1m",
    "--inject.kubernetes-url=https://k:6443",
    "--inject.kubernetes-proxy=http://p:1",
    "--inject.kubernetes-sa-path=/sa",
  );
  assert.equal(coordinator["web.listenAddress"], ":9090");
  assert.equal(coordinator["scrape.disableKeepAlive"], true);
  assert.equal(coordinator["shard.disableAlleviate"], false);
  const sidecar = await f(
    "sidecar",
    "--web.api-addr=:8080",
    "--prometheus.url=http://127.0.0.1:9090",
    "--config.file=/etc/prometheus/config_out/prometheus.env.yaml",
    "--config.output-file=/etc/prometheus/config_out/prometheus_injected.yaml",
    "--store.path=/prometheus/",
    "--web.proxy-addr=:8008",
    "--inject.proxy=http://127.0.0.1:8008",
    "--inject.kubernetes-sa-path=/sa",
    "--shard.fetch-head-series=true",
    "--scrape.disable-keep-alive=false",
    "--shard.self-monitor=true",
  );
  assert.equal(sidecar["web.listenAddress"], ":8080");
  assert.equal(sidecar["shard.selfMonitor"], true);
});

test("completion scripts are valid and know the flags", (context) => {
  const script = shoal("completion", "bash").stdout;
  assert.match(script, /--shard\.max-series/);
  const bash = spawnSync("bash", ["-n"], { input: script, encoding: "utf8" });
  if (bash.error !== undefined) context.skip("no bash here");
  else assert.equal(bash.stderr, "");
  assert.match(shoal("completion", "zsh").stdout, /^#compdef shoal/);
  assert.match(shoal("completion", "fish").stdout, /complete -c shoal/);
});

test("a demonstration target exposes 10,045 series, each once", () => {
  const lines = new MetricGenerator().expose().trimEnd().split("\n");
  const series = lines
    .filter((line) => !line.startsWith("#"))
    .map((line) => line.split(/ (?=[^ ]*$)/)[0]!);
  assert.equal(series.length, EXPORTER_SERIES);
  assert.equal(new Set(series).size, EXPORTER_SERIES);
  const metric = series.filter((name) => name.startsWith("a00000000000metrics0{"));
  assert.equal(metric.length, METRIC_SERIES);
});
