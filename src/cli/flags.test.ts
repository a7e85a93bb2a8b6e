import assert from "node:assert/strict";
import { test } from "node:test";
import { Command } from "commander";
import {
  addFlags,
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
  switchFlag,
  textFlag,
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
  lifecycle: switchFlag({ name: "web.enable-lifecycle", help: "a switch" }),
  endpoint: listFlag({ name: "endpoint", help: "a list" }),
  partial: switchFlag({ name: "query.partial-response", help: "a switch that is on" }, true),
} as const;

function parse(args: string[], environment: NodeJS.ProcessEnv = {}): FlagValues<typeof TABLE> {
  const command = new Command("test").exitOverride().configureOutput({ writeErr: () => {} });
  addFlags(command, TABLE);
  command.parse(args, { from: "user" });
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
    lifecycle: false,
    endpoint: [],
    partial: true,
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
  refuse(["--log.level=loud"], /one of info, warn/);
  refuse(["--config.fil=x"], /unknown option '--config\.fil=x'\n\(Did you mean --config\.file\?\)/);
  refuse([], /SHOAL_SHARD_MAX_SHARD is "x": it must be/, { SHOAL_SHARD_MAX_SHARD: "x" });
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
