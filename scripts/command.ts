import { spawnSync } from "node:child_process";

/** Runs a program to its end; its standard output. Throws with the last lines of what it said when it fails. */
export function command(
  name: string,
  args: readonly string[],
  options: { cwd?: string; environment?: Record<string, string> } = {},
): string {
  const result = spawnSync(name, args, {
    encoding: "utf8",
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, ...options.environment },
    ...(options.cwd !== undefined && { cwd: options.cwd }),
  });
  if (result.error !== undefined) throw new Error(`cannot run ${name}: ${result.error.message}`);
  if (result.status === 0) return result.stdout;
  const said = (result.stderr || result.stdout).trim().split("\n").slice(-5).join(" · ");
  throw new Error(`cannot run ${name} ${args.slice(-3).join(" ")}: ${said}`);
}
