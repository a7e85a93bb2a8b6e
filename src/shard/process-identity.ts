import { readFileSync } from "node:fs";
import { systemCode } from "../base/errors.ts";

/** A process, told apart from a later one that got the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in the kernel's clock ticks since boot; "" where the system does not tell. */
  readonly startTicks: string;
}

export function identifyProcess(pid: number): ProcessIdentity {
  return { pid, startTicks: startTicksOf(pid) };
}

/** Whether exactly this process still runs. */
export function isRunning({ pid, startTicks }: ProcessIdentity): boolean {
  try {
    process.kill(pid, 0);
  } catch (error) {
    // EPERM: it runs, as somebody else.
    if (systemCode(error) !== "EPERM") return false;
  }
  const now = startTicksOf(pid);
  return startTicks === "" || now === startTicks;
}

/** Field 22 of /proc/<pid>/stat; "" for a zombie, which holds nothing any more, and where there is no /proc. */
function startTicksOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    // The command in field 2 may hold spaces and parentheses: count from its last one.
    const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
    return fields[0] === "Z" ? "" : (fields[19] ?? "");
  } catch {
    return "";
  }
}

export function parseIdentity(value: unknown): ProcessIdentity | undefined {
  if (typeof value !== "object" || value === null || !("pid" in value)) return undefined;
  const { pid } = value;
  if (typeof pid !== "number" || !Number.isInteger(pid) || pid <= 0) return undefined;
  const startTicks = "startTicks" in value ? value.startTicks : "";
  return { pid, startTicks: typeof startTicks === "string" ? startTicks : "" };
}
