import { spawnSync } from "node:child_process";

/** Keeps all threads of a process on some cores (Linux's taskset). */
export function pin(pid: number, cores: string): void {
  const result = spawnSync("taskset", ["-a", "-c", "-p", cores, String(pid)], { encoding: "utf8" });
  if (result.status !== 0) throw new Error(`cannot run taskset: ${result.stderr}`);
}
