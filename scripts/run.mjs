// The one entry of every npm script and of bin/shoal: sets up what is missing, then runs the named task on a modern Node.
// Plain JavaScript without dependencies, because it is what runs first on a fresh clone, on whatever Node is there.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const MINIMUM_NODE = [22, 19];

const nodeFlags = ["--disable-warning=ExperimentalWarning"];

/** Runs a set-up command with its output on stderr (stdout belongs to the task); exits with a clear line when it fails. */
function setup(what, command, args, cwd = root) {
  process.stderr.write(`shoal: ${what} …\n`);
  const result = spawnSync(command, args, {
    cwd,
    stdio: ["ignore", "pipe", "pipe"],
    encoding: "utf8",
  });
  if (result.status === 0) return;
  process.stderr.write(`${result.stdout ?? ""}${result.stderr ?? ""}`);
  process.stderr.write(
    `shoal: cannot do: ${command} ${args.join(" ")} (in ${cwd}): ${result.error?.message ?? `exit ${result.status}`}\n`,
  );
  process.exit(1);
}

/** Installs `folder`'s locked packages unless exactly these are already there. */
function installPackages(folder, what) {
  const lock = createHash("sha256")
    .update(readFileSync(join(folder, "package-lock.json")))
    .digest("hex");
  const stamp = join(folder, "node_modules", ".shoal-lock");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === lock) return;
  setup(
    what,
    "npm",
    ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
    folder,
  );
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, lock);
}

function isModern() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  return major > MINIMUM_NODE[0] || (major === MINIMUM_NODE[0] && minor >= MINIMUM_NODE[1]);
}

/** The Node to run on: this one when it is modern enough, else the pinned one, fetched as an ordinary package. */
function modernNode() {
  if (isModern()) return process.execPath;
  const folder = join(root, "scripts", "runtime");
  const pinned = join(
    folder,
    "node_modules",
    `node-${process.platform}-${process.arch}`,
    "bin",
    "node",
  );
  if (!existsSync(pinned))
    installPackages(folder, `this is Node ${process.versions.node}; fetching the pinned Node 24`);
  if (existsSync(pinned)) return pinned;
  process.stderr.write(
    `shoal: Node ${MINIMUM_NODE.join(".")} or newer is needed and no pinned one exists for ${process.platform}-${process.arch}: install it and run again\n`,
  );
  process.exit(1);
}

/** Two first runs at once must not install over each other: one works, the other waits. */
function withLock(action) {
  const lock = join(root, ".shoal-setup.lock");
  const staleAfterMs = 10 * 60_000;
  for (;;) {
    try {
      mkdirSync(lock);
      break;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
      const age = Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
      if (age > staleAfterMs) rmSync(lock, { recursive: true, force: true });
      else Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    }
  }
  const release = () => rmSync(lock, { recursive: true, force: true });
  process.once("exit", release);
  try {
    const now = new Date();
    utimesSync(lock, now, now);
    return action();
  } finally {
    release();
    process.removeListener("exit", release);
  }
}

const [task = "help", ...rest] = process.argv.slice(2);
const app = join(root, "dist", "app", "main.js");
/** A nursery that holds what a query makes: in a smaller one half of it is copied before it dies. Idle processes leave it empty. */
const appFlags = ["--max-semi-space-size=16", app];
const needsPage = new Set(["start", "demo", "test", "cli", "page", "system", "kubernetes"]);
const needsApp = new Set([
  "start",
  "demo",
  "test",
  "cli",
  "system",
  "bench",
  "faults",
  "kubernetes",
  "thanos",
  "kvass",
  "vmagent",
]);

const node = withLock(() => {
  const path = modernNode();
  installPackages(root, "installing packages");
  if (needsPage.has(task)) buildPage(path);
  if (needsApp.has(task)) bundleApp();
  return path;
});

/** Whether any of `sources` (files and folders below `folder`) is newer than `built`, or that is not there. */
function isOutdated(built, folder, sources) {
  if (!existsSync(built)) return true;
  const newer = spawnSync(
    "find",
    [...sources, "-type", "f", "-not", "-name", "*.test.ts", "-newer", built, "-print", "-quit"],
    { cwd: folder, encoding: "utf8" },
  );
  return newer.status !== 0 || newer.stdout.trim() !== "";
}

/** Builds the page when its sources changed since the last build. */
function buildPage(nodePath) {
  const ui = join(root, "ui");
  if (
    !isOutdated(join(ui, "dist", "index.html"), ui, [
      "src",
      "public",
      "index.html",
      "package-lock.json",
      "vite.config.ts",
    ])
  )
    return;
  installPackages(ui, "installing the page's packages");
  setup(
    "building the page",
    nodePath,
    [join(ui, "node_modules", "vite", "bin", "vite.js"), "build"],
    ui,
  );
}

/** Bundles the program when its sources changed: a bundle starts twice as fast and takes two thirds of the memory. */
function bundleApp() {
  if (!isOutdated(app, root, ["src", "package-lock.json"])) return;
  // Some packages inside are CommonJS and ask for Node's own modules with require.
  const banner =
    'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);';
  const flags = [
    "--bundle",
    "--splitting",
    "--platform=node",
    "--format=esm",
    "--target=node22",
    "--sourcemap=linked",
    "--log-level=error",
    `--outdir=${dirname(app)}`,
    "--entry-names=[name]",
    `--banner:js=${banner}`,
  ];
  setup("bundling the program", join(root, "node_modules", ".bin", "esbuild"), [
    join(root, "src", "cli", "main.ts"),
    // Threads that evaluate queries have an entry point of their own.
    join(root, "src", "promql", "engine-worker.ts"),
    ...flags,
  ]);
}

/** Whether the demonstration is asked for on real Prometheus servers, and none is named or installed. */
function needsPrometheus() {
  const text = ` ${rest.join(" ")} `;
  return (
    /\s--engine[= ]prometheus\s/.test(text) &&
    !/\s--prometheus\.binary[= ]/.test(text) &&
    process.env.SHOAL_PROMETHEUS_BINARY === undefined &&
    !(process.env.PATH ?? "").split(":").some((folder) => existsSync(join(folder, "prometheus")))
  );
}

/** The path of a real Prometheus, fetched on first use; exits when there is none to be had. */
function fetchPrometheus() {
  const result = withLock(() =>
    spawnSync(node, [...nodeFlags, join(root, "scripts", "prometheus.ts")], {
      stdio: ["ignore", "pipe", "inherit"],
      encoding: "utf8",
    }),
  );
  if (result.status !== 0) process.exit(1);
  return result.stdout.trim();
}

function run(args, environment = {}) {
  const path = `${dirname(node)}:${join(root, "node_modules", ".bin")}:${process.env.PATH}`;
  const child = spawn(node, args, {
    stdio: "inherit",
    env: { ...process.env, PATH: path, ...environment },
  });
  const forwarded = ["SIGTERM", "SIGHUP"];
  for (const signal of forwarded) process.on(signal, () => child.kill(signal));
  // The terminal sends Ctrl-C to the whole process group: the child handles it, this launcher only waits.
  process.on("SIGINT", () => {});
  child.on("error", (error) => {
    process.stderr.write(`shoal: cannot start ${node}: ${error.message}\n`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}

switch (task) {
  case "start":
    run([...appFlags, "up", ...rest]);
    break;
  case "demo":
    run(
      [...appFlags, "demo", ...rest],
      needsPrometheus() ? { SHOAL_PROMETHEUS_BINARY: fetchPrometheus() } : {},
    );
    break;
  case "cli":
    run([...appFlags, ...rest]);
    break;
  case "exec":
    run([join(root, "node_modules", ".bin", rest[0]), ...rest.slice(1)]);
    break;
  default:
    run([...nodeFlags, join(root, "scripts", "tasks.ts"), task, ...rest], {
      SHOAL_APP: needsApp.has(task) ? app : "",
    });
}
