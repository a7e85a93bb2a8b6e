/** A real Prometheus beside the benchmark, from the folder that the task runner fetched real parts into. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";

export function partPath(program: string): string | undefined {
  const folder = process.env["SHOAL_PARTS"];
  if (folder === undefined) return undefined;
  const path = join(folder, "root/usr/bin", program);
  return existsSync(path) ? path : undefined;
}

export interface RunningProcess {
  readonly url: string;
  readonly pid: number;
  readonly folder: string;
  stop(): Promise<void>;
}

/** Starts Prometheus on `config` (YAML text) and a data folder, which may hold blocks already; waits until it is ready. */
export async function startPrometheus(options: {
  config: string;
  dataFolder?: string;
  flags?: readonly string[];
}): Promise<RunningProcess | undefined> {
  const program = partPath("prometheus");
  if (program === undefined) {
    console.log("no real Prometheus here (SHOAL_PARTS): figures stand alone");
    return undefined;
  }
  const folder = mkdtempSync(join(tmpdir(), "shoal-bench-prometheus-"));
  const configFile = join(folder, "prometheus.yml");
  writeFileSync(configFile, options.config);
  const port = await freePort();
  const child = spawn(
    program,
    [
      `--config.file=${configFile}`,
      `--storage.tsdb.path=${options.dataFolder ?? join(folder, "data")}`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--log.level=error",
      ...(options.flags ?? []),
    ],
    { stdio: "ignore" },
  );
  const url = `http://127.0.0.1:${port}`;
  await untilReady(url, child);
  return { url, pid: child.pid!, folder, stop: () => stopProcess(child, folder) };
}

export async function untilReady(url: string, child: ChildProcess): Promise<void> {
  for (let i = 0; i < 600; i++) {
    if (child.exitCode !== null) throw new Error(`${url} exited with ${child.exitCode}`);
    const response = await fetch(`${url}/-/ready`).catch(() => undefined);
    if (response?.ok === true) return;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${url} is not ready after 60 s`);
}

export async function stopProcess(child: ChildProcess, folder?: string): Promise<void> {
  if (child.exitCode === null && child.signalCode === null) {
    child.kill("SIGTERM");
    const timer = setTimeout(() => child.kill("SIGKILL"), 10_000);
    await once(child, "exit");
    clearTimeout(timer);
  }
  if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
}

export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  if (address === null || typeof address === "string")
    throw new Error("BUG: a TCP server has a port");
  return address.port;
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
