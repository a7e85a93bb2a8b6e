import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { Command } from "commander";
import { registerTestPromql, testScripts } from "./test-promql.ts";

void test("scripts are run, failures shown and counted", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "shoal-test-promql-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const good = join(folder, "good.test");
  const bad = join(folder, "bad.test");
  const broken = join(folder, "broken.test");
  writeFileSync(good, "eval instant at 0 1 + 1\n  2\n");
  writeFileSync(bad, "eval instant at 0 1\n  1\n\neval instant at 0 vector(1)\n  {} 2\n");
  writeFileSync(broken, "nonsense\n");
  const lines: string[] = [];
  const counts = await testScripts([good, bad, broken, join(folder, "none.test")], (line) =>
    lines.push(line.replaceAll(`${folder}/`, "")),
  );
  assert.deepEqual(counts, { passed: 2, failed: 3 });
  assert.deepEqual(lines, [
    "good.test: 1 passed, 0 failed",
    "bad.test: 1 passed, 1 failed",
    "  bad.test:4: vector(1)",
    "      - {} 2",
    "      + {} 1",
    'broken.test: cannot run: broken.test:1: invalid command "nonsense"',
    "none.test: cannot run: ENOENT: no such file or directory, open 'none.test'",
    "2 passed, 3 failed",
  ]);
});

void test("the exit code tells whether all passed", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), "shoal-test-promql-"));
  t.after(() => {
    rmSync(folder, { recursive: true });
    process.exitCode = 0;
  });
  const log = t.mock.method(console, "log", () => undefined);
  const file = join(folder, "x.test");
  const run = async (): Promise<number | string | undefined> => {
    const program = new Command("shoal");
    registerTestPromql(program);
    await program.parseAsync(["test", "promql", file], { from: "user" });
    return process.exitCode ?? undefined;
  };
  process.exitCode = 0;
  writeFileSync(file, "eval instant at 0 1\n  1\n");
  assert.equal(await run(), 0);
  assert.equal(log.mock.calls.at(-1)?.arguments[0], "1 passed, 0 failed");
  writeFileSync(file, "eval instant at 0 1\n  2\n");
  assert.equal(await run(), 1);
  process.exitCode = 0;
});
