import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import { messageOf } from "../base/errors.ts";
import { Engine } from "../promql/engine.ts";
import { MemoryStorage } from "../promql/testing/memory-storage.ts";
import {
  runScript,
  SCRIPT_ENGINE_OPTIONS,
  type EvalOutcome,
} from "../promql/testing/run-script.ts";

/** Adds `test promql FILE…`: runs promqltest scripts; exits 1 when an eval fails or a file is not a script. */
export function registerTestPromql(program: Command): void {
  const test =
    program.commands.find((command) => command.name() === "test") ??
    program.command("test").description("run tests written for Prometheus");
  test
    .command("promql")
    .description("run promqltest scripts against the query engine")
    .argument("<files...>", "scripts (*.test)")
    .action(async (files: string[]) => {
      const { failed } = await testScripts(files, (line) => console.log(line));
      if (failed > 0) process.exitCode = 1;
    });
}

/** Runs each file and tells about it; the last line is `N passed, M failed`. A file that cannot be run fails once. */
export async function testScripts(
  files: readonly string[],
  print: (line: string) => void,
): Promise<{ passed: number; failed: number }> {
  const total = { passed: 0, failed: 0 };
  for (const file of files) {
    try {
      const outcomes = await runFile(file);
      const failures = outcomes.filter(({ failure }) => failure !== undefined);
      total.passed += outcomes.length - failures.length;
      total.failed += failures.length;
      print(`${file}: ${outcomes.length - failures.length} passed, ${failures.length} failed`);
      for (const outcome of failures) printFailure(file, outcome, print);
    } catch (error) {
      total.failed++;
      print(`${file}: cannot run: ${messageOf(error)}`);
    }
  }
  print(`${total.passed} passed, ${total.failed} failed`);
  return total;
}

async function runFile(file: string): Promise<EvalOutcome[]> {
  const text = await readFile(file, "utf8");
  return runScript(text, file, {
    engine: new Engine(SCRIPT_ENGINE_OPTIONS),
    openStorage: () => new MemoryStorage(),
  });
}

function printFailure(
  file: string,
  { line, text, failure }: EvalOutcome,
  print: (line: string) => void,
): void {
  print(`  ${file}:${line}: ${text}`);
  for (const part of failure ?? []) print(`      ${part}`);
}
