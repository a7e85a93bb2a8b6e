/** The project's tasks beyond running the program: `node scripts/run.mjs <task>`. */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { buildControlPlane } from "./kubernetes-build.ts";
import { controlPlaneFolder } from "./kubernetes-control-plane.ts";
import { fetchParts } from "./parts.ts";
import { thanosPath } from "./thanos.ts";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
process.chdir(root);

interface Step {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** Whether the step needs the real Prometheus, Chromium and the like. */
  readonly parts?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
}

const bin = (name: string): string => join(root, "node_modules", ".bin", name);
/** Of a test that names no time of its own, and of one in its long form. */
const TEST_TIMEOUT_MS = 600_000;
const LONG_TIMEOUT_MS = 4 * 3_600_000;
const nodeFlags = ["--disable-warning=ExperimentalWarning"];
const rest = process.argv.slice(3);

/** The step that runs node's test runner over `patterns`; words after the task's name choose files by substring. */
function nodeTests(
  name: string,
  patterns: readonly string[],
  options: { concurrency: number; timeoutMs?: number },
): Step {
  const files = patterns
    .flatMap((pattern) => globSync(pattern))
    .filter((file) => rest.length === 0 || rest.some((word) => file.includes(word)))
    .sort();
  if (files.length === 0) throw new Error(`no ${name} match ${rest.join(" ")}`);
  const args = [
    "--test",
    "--test-reporter=./scripts/test-summary.ts",
    "--test-reporter-destination=stdout",
    `--test-concurrency=${options.concurrency}`,
    // Whatever a failed test leaves open must not keep the run from ending.
    "--test-force-exit",
    `--test-timeout=${options.timeoutMs ?? TEST_TIMEOUT_MS}`,
  ];
  return { name, command: process.execPath, args: [...nodeFlags, ...args, ...files], parts: true };
}

const steps: Record<string, () => Step[]> = {
  page: () => [{ name: "page types", command: bin("tsc"), args: ["--noEmit", "-p", "ui"] }],
  typecheck: () => [{ name: "types", command: bin("tsc"), args: ["--noEmit"] }],
  lint: () => [
    { name: "format", command: bin("oxfmt"), args: ["--check"] },
    { name: "lint", command: bin("oxlint"), args: ["--type-aware", "--deny-warnings"] },
    {
      name: "unused files and dependencies",
      command: bin("knip"),
      args: ["--no-progress", "--include", "files,dependencies,unlisted,unresolved"],
    },
    { name: "layers", command: process.execPath, args: [...nodeFlags, "scripts/check-layers.ts"] },
  ],
  unit: () => [
    nodeTests("unit tests", ["src/**/*.test.ts", "ui/src/**/*.test.ts"], { concurrency: 2 }),
  ],
  system: () => [nodeTests("system tests", ["test/**/*.test.ts"], { concurrency: 1 })],
  faults: () => [
    nodeTests("fault tests, long form", ["src/**/*.faults.ts", "test/**/*.faults.ts"], {
      concurrency: 1,
      timeoutMs: LONG_TIMEOUT_MS,
    }),
  ],
  kubernetes: () => {
    // The same tests run on a fake API server elsewhere.
    const folder = controlPlaneFolder();
    buildControlPlane(folder);
    process.env["SHOAL_KUBERNETES"] = folder;
    const tests = ["test/kubernetes*.test.ts"];
    return [nodeTests("Kubernetes tests on a real control plane", tests, { concurrency: 1 })];
  },
  fuzz: () => [
    nodeTests("fuzz tests, long form", ["src/**/*.fuzz.ts", "test/**/*.fuzz.ts"], {
      concurrency: 1,
      timeoutMs: LONG_TIMEOUT_MS,
    }),
  ],
  thanos: () => [
    {
      ...nodeTests("tests beside a real Thanos", ["test/thanos*.peer.ts"], { concurrency: 1 }),
      environment: { SHOAL_THANOS: thanosPath(root) },
    },
  ],
  // These name their own programs (KVASS_BINARY, VMAGENT_BINARY, PROMETHEUS_BINARY), and are skipped without.
  kvass: () => [
    nodeTests("tests beside a real Kvass", ["test/kvass*.peer.ts"], { concurrency: 1 }),
  ],
  otlp: () => [
    nodeTests("tests beside a real OTLP receiver", ["test/otlp*.peer.ts"], { concurrency: 1 }),
  ],
  vmagent: () => [
    nodeTests("tests beside a real vmagent", ["test/vmagent*.peer.ts"], { concurrency: 1 }),
  ],
  bench: () => [
    {
      name: "benchmarks",
      command: process.execPath,
      args: [...nodeFlags, "bench/run.ts", ...rest],
      parts: true,
    },
  ],
};

const groups: Record<string, readonly string[]> = {
  test: ["typecheck", "page", "lint", "unit", "system"],
};

const task = process.argv[2] ?? "help";
const names = groups[task] ?? [task];
if (names.some((name) => steps[name] === undefined)) {
  console.error(
    `shoal: no task ${JSON.stringify(task)}; there are: ${[...Object.keys(groups), ...Object.keys(steps)].join(", ")}`,
  );
  process.exit(2);
}
let parts: Record<string, string> | undefined;
for (const name of names) {
  for (const step of steps[name]!()) {
    if (step.parts === true) parts ??= fetchParts(root);
    console.error(`── ${step.name}`);
    const startedMs = performance.now();
    const result = spawnSync(step.command, step.args, {
      stdio: "inherit",
      env: { ...process.env, ...parts, ...step.environment },
    });
    if (result.status !== 0) {
      console.error(`── ${step.name}: failed`);
      process.exit(result.status ?? 1);
    }
    console.error(`── ${step.name}: ok (${((performance.now() - startedMs) / 1000).toFixed(1)} s)`);
  }
}
