/** The project's tasks beyond running the program: `node scripts/run.mjs <task>`. */
import { spawnSync } from "node:child_process";
import { existsSync, globSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);

type Step = {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
};

const bin = (name: string): string => join(root, "node_modules", ".bin", name);
const nodeFlags = ["--disable-warning=ExperimentalWarning"];

function nodeTests(
  patterns: readonly string[],
  options: { concurrency?: number } = {},
): readonly string[] {
  const files = patterns.flatMap((pattern) => globSync(pattern)).sort();
  return [
    ...nodeFlags,
    "--test",

    "--test-reporter=./scripts/test-summary.ts",
    "--test-reporter-destination=stdout",
    "--test-reporter-destination=stdout",
    `--test-concurrency=${options.concurrency ?? 2}`,
    ...files,
  ];
}

const steps: Record<string, () => Step[]> = {
  typecheck: () => [{ name: "types", command: bin("tsc"), args: ["--noEmit"] }],
  lint: () => [
    { name: "format", command: bin("oxfmt"), args: ["--check"] },
    { name: "lint", command: bin("oxlint"), args: ["--type-aware", "--deny-warnings"] },
    { name: "layers", command: process.execPath, args: [...nodeFlags, "scripts/check-layers.ts"] },
  ],
  unit: () => [
    { name: "unit tests", command: process.execPath, args: nodeTests(["src/**/*.test.ts"]) },
  ],
  system: () => [
    {
      name: "system tests",
      command: process.execPath,
      args: nodeTests(["test/**/*.test.ts"], { concurrency: 1 }),
    },
  ],
  bench: () => [
    {
      name: "benchmarks",
      command: process.execPath,
      args: [...nodeFlags, "bench/run.ts", ...process.argv.slice(3)],
    },
  ],
};

const groups: Record<string, readonly string[]> = {
  test: ["typecheck", "lint", "unit", "system"],
};

const task = process.argv[2] ?? "help";
const names = groups[task] ?? [task];
if (names.some((name) => steps[name] === undefined)) {
  console.error(
    `shoal: no task ${JSON.stringify(task)}; there are: ${[...Object.keys(groups), ...Object.keys(steps)].join(", ")}`,
  );
  process.exit(2);
}
for (const name of names) {
  for (const step of steps[name]!()) {
    if (!existsSync(step.command))
      throw new Error(`cannot run ${step.name}: ${step.command} is missing`);
    const startedMs = performance.now();
    console.error(`── ${step.name}`);
    const result = spawnSync(step.command, step.args, {
      stdio: "inherit",
      env: { ...process.env, ...step.environment },
    });
    if (result.status !== 0) {
      console.error(`── ${step.name}: failed`);
      process.exit(result.status ?? 1);
    }
    console.error(`── ${step.name}: ok (${((performance.now() - startedMs) / 1000).toFixed(1)} s)`);
  }
}
