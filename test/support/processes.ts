/**
 * Real processes for system tests and benchmarks: Shoal itself, and the real programs that the task runner fetched
 * (`SHOAL_PARTS`). Everything listens on loopback, on ports the system chose, with data in temporary folders.
 */
import { type ChildProcess, type ChildProcessByStdio, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { freePort } from "../../src/base/free-port.ts";

export { freePort };

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** What runs as `shoal`: the bundle that users run when the task runner has made it, else the sources. */
export const SHOAL_COMMAND: readonly string[] = process.env["SHOAL_APP"]
  ? ["--max-semi-space-size=16", process.env["SHOAL_APP"]]
  : ["--disable-warning=ExperimentalWarning", join(root, "src/cli/main.ts")];

/** How long a program may take until it answers that it is ready. */
const READY_TIMEOUT_MS = 60_000;

/** How long a program may take to stop after SIGTERM before it is killed. */
const STOP_TIMEOUT_MS = 15_000;

export const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));

/** The path of a real program, or undefined where the real parts are not there. */
export function partPath(program: string): string | undefined {
  const folder = process.env["SHOAL_PARTS"];
  if (folder === undefined) return undefined;
  const path = join(folder, "root/usr/bin", program);
  return existsSync(path) ? path : undefined;
}

/** For node:test's `skip`: false when the real parts are there, else the line that says why. In CI it is an error. */
export function skipWithoutParts(): false | string {
  if (partPath("prometheus") !== undefined) return false;
  if (process.env["CI"] === "true")
    throw new Error("the real Prometheus is missing, and CI skips nothing");
  return "skipped: no real Prometheus here (SHOAL_PARTS)";
}

export interface RunningProcess {
  readonly url: string;
  readonly pid: number;
  readonly child: ChildProcess;
  /** Everything the process has printed so far. */
  readonly output: () => string;
  readonly stop: () => Promise<void>;
}

/** Starts the real Prometheus on `config` (YAML text), or on a `configFile` that others write, and waits until it is
 * ready; undefined where it is not there. */
export async function startPrometheus(options: {
  config?: string;
  configFile?: string;
  dataFolder?: string;
  port?: number;
  flags?: readonly string[];
  /** Another Prometheus than the one among the parts. */
  program?: string;
  /** Default one minute. */
  readyTimeoutMs?: number;
}): Promise<RunningProcess | undefined> {
  const program = options.program ?? partPath("prometheus");
  if (program === undefined) {
    console.log("no real Prometheus here (SHOAL_PARTS): figures stand alone");
    return undefined;
  }
  const folder = temporaryFolder("prometheus");
  const configFile = options.configFile ?? join(folder, "prometheus.yml");
  if (options.configFile === undefined) writeFileSync(configFile, options.config ?? "");
  const port = options.port ?? (await freePort());
  const args = [
    `--config.file=${configFile}`,
    `--storage.tsdb.path=${options.dataFolder ?? join(folder, "data")}`,
    `--web.listen-address=127.0.0.1:${port}`,
    "--log.level=error",
    ...(options.flags ?? []),
  ];
  const { readyTimeoutMs = READY_TIMEOUT_MS } = options;
  const url = `http://127.0.0.1:${port}`;
  return startProgram(program, args, { url, folder, readyTimeoutMs });
}

/** Starts the real node_exporter; only for tests that are skipped without the real parts. */
export async function startNodeExporter(): Promise<RunningProcess> {
  const port = await freePort();
  const program = partPath("prometheus-node-exporter");
  if (program === undefined) throw new Error("node_exporter is not there");
  return startProgram(program, [`--web.listen-address=127.0.0.1:${port}`, "--log.level=error"], {
    url: `http://127.0.0.1:${port}`,
    readyPath: "/metrics",
  });
}

export interface ShoalOptions {
  /** Subcommand and flags after it. */
  readonly args: readonly string[];
  /** YAML text for `--config.file`. */
  readonly config?: string;
  /** Kept across restarts by the caller; else a temporary folder that goes with the process. */
  readonly dataFolder?: string;
  readonly port?: number;
}

/** Starts `shoal` with a free port for its API, and waits until it is ready. */
export async function startShoal(options: ShoalOptions): Promise<RunningProcess> {
  const folder = temporaryFolder("shoal");
  const port = options.port ?? (await freePort());
  const args = [...SHOAL_COMMAND, ...options.args, `--web.listen-address=127.0.0.1:${port}`];
  if (options.config !== undefined) {
    const configFile = join(folder, "prometheus.yml");
    writeFileSync(configFile, options.config);
    args.push(
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${options.dataFolder ?? join(folder, "data")}`,
    );
  }
  return startProgram(process.execPath, args, { url: `http://127.0.0.1:${port}`, folder });
}

/** Everything started here that still runs: it ends with the test file, however that ends. */
const running = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of running) child.kill("SIGKILL");
});

/** Starts a program with its output piped here. */
export function startChild(
  program: string,
  args: readonly string[],
): ChildProcessByStdio<null, Readable, Readable> {
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"] });
  running.add(child);
  child.once("exit", () => running.delete(child));
  child.once("error", () => running.delete(child));
  return child;
}

export async function startProgram(
  program: string,
  args: readonly string[],
  options: { url: string; folder?: string; readyPath?: string; readyTimeoutMs?: number },
): Promise<RunningProcess> {
  const child = startChild(program, args);
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (data: Buffer) => (output += data.toString()));
  const stop = async (): Promise<void> => {
    await stopProcess(child);
    if (options.folder !== undefined) rmSync(options.folder, { recursive: true, force: true });
  };
  try {
    const url = `${options.url}${options.readyPath ?? "/-/ready"}`;
    await untilReady(url, child, options.readyTimeoutMs);
  } catch (error) {
    await stop();
    throw new Error(`cannot start ${program} ${args.join(" ")}: ${output}`, { cause: error });
  }
  return { url: options.url, pid: child.pid!, child, output: () => output, stop };
}

export async function untilReady(
  url: string,
  child: ChildProcess,
  timeoutMs = READY_TIMEOUT_MS,
): Promise<void> {
  await until(
    `${url} answers`,
    async () => {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`it exited with ${child.exitCode ?? child.signalCode}`);
      const response = await fetch(url).catch(() => undefined);
      return response?.ok === true ? true : undefined;
    },
    timeoutMs,
  );
}

/** Asks `condition` until it gives a value, and fails with `what` after a deadline. */
export async function until<T>(
  what: string,
  condition: () => Promise<T | undefined>,
  timeoutMs = READY_TIMEOUT_MS,
): Promise<T> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined) return value;
    if (performance.now() > deadlineMs)
      throw new Error(`after ${timeoutMs / 1000} s still not: ${what}`);
    await sleep(100);
  }
}

export async function stopProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  const timer = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await once(child, "exit");
  clearTimeout(timer);
}

export function temporaryFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `shoal-test-${name}-`));
}

/** CPU time a process has used so far (user and system), in seconds. */
export function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  // Fields 14 and 15 of proc(5), counted from 1 with pid and comm before; in clock ticks of 1/100 s.
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

export function rssBytes(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"));
  return Number(line?.[1] ?? 0) * 1024;
}

export function runTool(program: string, args: readonly string[]): void {
  const path = partPath(program);
  if (path === undefined) throw new Error(`${program} is not there`);
  const result = spawnSync(path, args, { encoding: "utf8" });
  if (result.status !== 0)
    throw new Error(`cannot run ${program} ${args.join(" ")}: ${result.stderr}`);
}

/** The `data` of a successful API answer. */
export async function apiData<T>(url: string): Promise<T> {
  const response = await fetch(url);
  const body = (await response.json()) as { status: string; data: T; error?: string };
  if (body.status !== "success") throw new Error(`${url}: ${body.error ?? response.statusText}`);
  return body.data;
}
