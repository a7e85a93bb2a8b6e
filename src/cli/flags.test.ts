import assert from "node:assert/strict";
import { test } from "node:test";
import { Command } from "commander";
import { UP_FLAGS } from "./commands.ts";
import {
  addFlags,
  bareChoiceFlag,
  choiceFlag,
  defaultsOf,
  durationFlag,
  environmentName,
  flagArguments,
  flagValues,
  type FlagValues,
  listFlag,
  numberFlag,
  printFlags,
  readEnvironment,
  shareFlag,
  sizeFlag,
  spellSwitches,
  switchFlag,
  textFlag,
  urlFlag,
  warnOfIdleFlags,
} from "./flags.ts";

const TABLE = {
  file: textFlag({ name: "config.file", help: "a file" }, "prometheus.yml"),
  count: numberFlag({ name: "shard.max-shard", help: "a count" }, { fallback: 4, min: 1, max: 9 }),
  share: shareFlag({ name: "shard.target-utilisation", help: "a share" }, 0.85),
  grace: durationFlag({ name: "shard.failover-grace", help: "a time" }, "1m30s"),
  level: choiceFlag(
    { name: "log.level", help: "a level" },
    { fallback: "info", choices: ["info", "warn"] },
  ),
  dryRun: bareChoiceFlag(
    { name: "dry-run", value: "format", help: "a look" },
    { fallback: "off", bare: "text", choices: ["off", "text", "json"] },
  ),
  lifecycle: switchFlag({ name: "web.enable-lifecycle", help: "a switch" }),
  endpoint: listFlag({ name: "endpoint", help: "a list" }),
  partial: switchFlag({ name: "query.partial-response", help: "a switch that is on" }, true),
  listen: textFlag({ name: "web.listen-address", help: "an address", alias: "web.address" }, ":1"),
  proxy: urlFlag({ name: "scrape.proxy", help: "a URL", variable: "SCRAPE_PROXY" }),
  wait: durationFlag({ name: "sd.init-timeout", help: "a time", noEffect: "nobody waits" }, "1m"),
} as const;

function parse(args: string[], environment: NodeJS.ProcessEnv = {}): FlagValues<typeof TABLE> {
  const command = new Command("test").exitOverride().configureOutput({ writeErr: () => {} });
  addFlags(command, TABLE);
  command.parse(spellSwitches(command, args), { from: "user" });
  readEnvironment(command, TABLE, environment);
  return flagValues(TABLE, command.opts());
}

test("defaults, values in both spellings, switches and lists", () => {
  assert.deepEqual(parse([]), {
    file: "prometheus.yml",
    count: 4,
    share: 0.85,
    grace: 90_000,
    level: "info",
    dryRun: "off",
    lifecycle: false,
    endpoint: [],
    partial: true,
    listen: ":1",
    proxy: "",
    wait: 60_000,
  });
  assert.deepEqual(parse([]), defaultsOf(TABLE));
  const given = parse([
    "--config.file=a.yml",
    "--shard.max-shard",
    "9",
    "--shard.target-utilisation=.5",
    "--shard.failover-grace=2h",
    "--web.enable-lifecycle",
    "--endpoint=a:1",
    "--endpoint=b:2",
  ]);
  assert.equal(given.file, "a.yml");
  assert.equal(given.count, 9);
  assert.equal(given.share, 0.5);
  assert.equal(given.grace, 7_200_000);
  assert.equal(given.lifecycle, true);
  assert.deepEqual(given.endpoint, ["a:1", "b:2"]);
  assert.equal(parse(["--web.enable-lifecycle", "--no-web.enable-lifecycle"]).lifecycle, false);
  assert.equal(parse(["--no-query.partial-response"]).partial, false);
  assert.equal(parse(["--query.partial-response"]).partial, true);
  assert.equal(parse([], { SHOAL_QUERY_PARTIAL_RESPONSE: "false" }).partial, false);
});

test("an environment variable stands for each flag, and the command line wins", () => {
  assert.equal(environmentName("shard.max-head-series"), "SHOAL_SHARD_MAX_HEAD_SERIES");
  const environment = {
    SHOAL_CONFIG_FILE: "env.yml",
    SHOAL_WEB_ENABLE_LIFECYCLE: "true",
    SHOAL_ENDPOINT: "a:1,b:2",
  };
  const values = parse([], environment);
  assert.equal(values.file, "env.yml");
  assert.equal(values.lifecycle, true);
  assert.deepEqual(values.endpoint, ["a:1", "b:2"]);
  assert.equal(parse(["--config.file=line.yml"], environment).file, "line.yml");
});

test("wrong values are refused with the flag's name", () => {
  const refuse = (args: string[], message: RegExp, environment = {}): void =>
    assert.throws(() => parse(args, environment), message);
  refuse(["--shard.max-shard=0"], /shard\.max-shard.*whole number from 1 to 9/);
  refuse(["--shard.max-shard=1.5"], /whole number/);
  for (const text of ["0", "1.01", "-0.5", "85%", "1e-1", ""])
    refuse([`--shard.target-utilisation=${text}`], /above 0 and at most 1, such as 0\.85/);
  refuse(["--shard.failover-grace=5"], /not a valid duration/);
  refuse(["--dry-run=yaml"], /one of off, text, json/);
  refuse(["--log.level=loud"], /one of info, warn/);
  refuse(["--config.fil=x"], /unknown option '--config\.fil=x'\n\(Did you mean --config\.file\?\)/);
  refuse([], /SHOAL_SHARD_MAX_SHARD is "x": it must be/, { SHOAL_SHARD_MAX_SHARD: "x" });
});

test("a flag with a meaning of its own takes a value only with =", () => {
  assert.equal(parse(["--dry-run"]).dryRun, "text");
  assert.equal(parse(["--dry-run", "--endpoint=a:1"]).dryRun, "text");
  assert.equal(parse(["--dry-run=json"]).dryRun, "json");
  assert.equal(parse([], { SHOAL_DRY_RUN: "json" }).dryRun, "json");
});

test("what is parsed can be written down and parsed again", () => {
  const args = [
    "--config.file=a b",
    "--shard.failover-grace=45s",
    "--web.enable-lifecycle",
    "--no-query.partial-response",
  ];
  const values = parse(args);
  assert.deepEqual(flagArguments(TABLE, values), args);
  assert.deepEqual(parse(flagArguments(TABLE, values)), values);
  assert.deepEqual(flagArguments(TABLE, defaultsOf(TABLE)), []);
  assert.equal(printFlags(TABLE, values)["shard.failover-grace"], "45s");
});

test("switches take values too, as other programs write them", () => {
  assert.equal(parse(["--web.enable-lifecycle=true"]).lifecycle, true);
  assert.equal(parse(["--web.enable-lifecycle", "--web.enable-lifecycle=false"]).lifecycle, false);
  assert.throws(() => parse(["--web.enable-lifecycle=maybe"]), /it must be true or false/);
  assert.equal(parse(["--config.file=false"]).file, "false");
});

test("a flag goes by its alias too, and by another program's variable", () => {
  assert.equal(parse(["--web.address=:9"]).listen, ":9");
  assert.equal(parse(["--web.address=:9"], { SHOAL_WEB_LISTEN_ADDRESS: ":8" }).listen, ":9");
  assert.throws(
    () => parse(["--web.address=:9", "--web.listen-address=:8"]),
    /--web\.address is another name of --web\.listen-address: give one of them/,
  );
  assert.equal(parse([], { SCRAPE_PROXY: "http://p:1" }).proxy, "http://p:1");
  const both = { SCRAPE_PROXY: "http://p:1", SHOAL_SCRAPE_PROXY: "http://q:1" };
  assert.equal(parse([], both).proxy, "http://q:1");
});

test("a URL's password is not shown", () => {
  const values = parse(["--scrape.proxy=http://u:hunter2@p:1/"]);
  assert.equal(values.proxy, "http://u:hunter2@p:1/");
  assert.equal(printFlags(TABLE, values)["scrape.proxy"], "http://u:xxxxx@p:1/");
  assert.throws(() => parse(["--scrape.proxy=nowhere"]), /it must be a URL/);
});

test("a flag without effect says so when it is given", () => {
  const warned = (...args: string[]): string[] => {
    const command = new Command("test").exitOverride();
    addFlags(command, TABLE);
    command.parse(args, { from: "user" });
    const lines: string[] = [];
    warnOfIdleFlags(command, TABLE, (line) => lines.push(line));
    return lines;
  };
  assert.deepEqual(warned(), []);
  assert.deepEqual(warned("--sd.init-timeout=5m"), [
    "--sd.init-timeout has no effect: nobody waits",
  ]);
});

test("a size that limits something is above zero", () => {
  const flag = sizeFlag({ name: "query.max-response-bytes", help: "a limit" }, "1GB", { min: 1 });
  assert.equal(flag.parse("1KB"), 1024);
  assert.throws(() => flag.parse("0"), /it must be at least 1B/);
  const most = sizeFlag({ name: "query.max-label-value-bytes", help: "a limit" }, "1KB", {
    max: 2048,
  });
  assert.equal(most.parse("2KB"), 2048);
  assert.throws(() => most.parse("3KB"), /it must be at most 2KB/);
  assert.equal(sizeFlag({ name: "retention", help: "0 for none" }, "0").parse("0"), 0);
});

test("of the roles that are joined in one program no flag hides another one under the same key", async () => {
  const modules = await Promise.all(
    ["common", "coordinator", "plan", "query", "remote", "shard"].map(
      (name) => import(`./${name}-flags.ts`) as Promise<Record<string, object>>,
    ),
  );
  const joined = new Set<unknown>(Object.values(UP_FLAGS));
  let groups = 0;
  for (const [name, group] of modules.flatMap((module) => Object.entries(module))) {
    const flags = name.endsWith("_FLAGS") ? Object.entries(group) : [];
    if (!flags.some(([, flag]) => joined.has(flag))) continue;
    groups++;
    for (const [key, flag] of flags) assert.ok(joined.has(flag), `${name}.${key} is hidden`);
  }
  assert.ok(groups > 5);
});
