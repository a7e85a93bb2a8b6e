import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Command } from "commander";
import { checkConfigFiles, registerCheck } from "./check-config.ts";

let folder = "";
before(() => {
  folder = mkdtempSync(join(tmpdir(), "check-"));
});
after(() => rmSync(folder, { recursive: true }));

function write(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

async function check(
  files: readonly string[],
  syntaxOnly = false,
): Promise<{ passed: boolean; out: string; err: string }> {
  const out: string[] = [];
  const err: string[] = [];
  const output = { out: (line: string) => out.push(line), err: (line: string) => err.push(line) };
  const passed = await checkConfigFiles(files, { syntaxOnly, output });
  return { passed, out: out.join("\n"), err: err.join("\n") };
}

test("a valid file, with the files it names", async () => {
  write("rules.yml", "groups: []\n");
  write("targets.json", '[\n\t{"targets": ["a:1"], "labels": {"b": "c"}}\n]\n');
  const path = write(
    "good.yml",
    "rule_files: [rules.yml]\nscrape_configs: [{job_name: a, file_sd_configs: [{files: [targets.json, none.yml]}]}]\n",
  );
  assert.deepEqual(await check([path]), {
    passed: true,
    out: [
      `Checking ${path}`,
      `  WARNING: file "${folder}/none.yml" for file_sd in scrape job "a" does not exist`,
      "  SUCCESS: 1 rule files found",
      `  SUCCESS: ${path} is valid prometheus config file syntax`,
      "",
    ].join("\n"),
    err: "",
  });
});

test("a bad file fails with its place, and the next is still checked", async () => {
  const bad = write("bad.yml", "scrape_configs:\n- job_nam: a\n");
  const good = write("empty.yml", "");
  const { passed, out, err } = await check([bad, good], true);
  assert.equal(passed, false);
  assert(err.startsWith(`  FAILED: ${bad}:2:3: unknown key "job_nam" in a scrape config\n`), err);
  assert.match(out, /SUCCESS: .*empty\.yml/);
});

test("static targets must come out of relabelling as targets", async () => {
  const relabelling = "relabel_configs: [{source_labels: [x], target_label: y}]";
  for (const [name, content, want] of [
    [
      "url",
      `scrape_configs:\n- job_name: a\n  ${relabelling}\n  static_configs:\n  - targets: ['http://b']\n`,
      /url\.yml:5:5: instance 0 in group 0: "http:\/\/b" is not a valid hostname/,
    ],
    [
      "no-address",
      "scrape_configs: [{job_name: a, static_configs: [{targets: [null]}]}]",
      /instance 0 in group 0: no address/,
    ],
    [
      "alertmanager",
      `alerting: {alertmanagers: [{static_configs: [{targets: ['http://b']}], ${relabelling}}]}`,
      /"http:\/\/b" is not a valid hostname/,
    ],
    [
      "certificate",
      "scrape_configs: [{job_name: a, tls_config: {cert: a, key_file: b}}]",
      /client key file ".*b" specified without client cert file/,
    ],
  ] as const) {
    const { passed, err } = await check([write(`${name}.yml`, content)], true);
    assert.equal(passed, false, name);
    assert.match(err, want);
  }
});

test("named files are looked at unless told otherwise", async () => {
  write("broken.yml", "a: [\n");
  for (const [name, content, want] of [
    ["no-rules", "rule_files: [none.yml]", /none\.yml" does not point to an existing file/],
    ["bad-rules", "rule_files: [broken.yml]", /broken\.yml:\d+:\d+: this is not valid YAML/],
    [
      "bad-targets",
      "scrape_configs: [{job_name: a, file_sd_configs: [{files: [broken.yml]}]}]",
      /broken\.yml:\d+:\d+: /,
    ],
    [
      "no-token",
      "scrape_configs: [{job_name: a, authorization: {credentials_file: none}}]",
      /cannot use authorization credentials or bearer token file ".*none" of scrape job "a": it does not exist/,
    ],
  ] as const) {
    const path = write(`${name}.yml`, content);
    const { passed, err } = await check([path]);
    assert.equal(passed, false, name);
    assert.match(err, want);
    assert.equal((await check([path], true)).passed, true, name);
  }
});

test("the command sets the exit code", async (t) => {
  t.mock.method(console, "log", () => {});
  t.mock.method(console, "error", () => {});
  const program = new Command().exitOverride();
  registerCheck(program);
  const before = process.exitCode;
  await program.parseAsync(["check", "config", "--syntax-only", write("ok.yml", "")], {
    from: "user",
  });
  assert.equal(process.exitCode, before);
  await program.parseAsync(["check", "config", write("no.yml", "x: 1")], { from: "user" });
  assert.equal(process.exitCode, 1);
  process.exitCode = before;
});
