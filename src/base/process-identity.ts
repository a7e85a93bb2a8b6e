import { readFileSync } from "node:fs";
import type { Clock } from "./clock.ts";
import { systemCode } from "./errors.ts";

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

/** How often a process that was asked to end is looked at. */
const ENDING_WATCH_MS = 50;

/** Even a killed process stays while the kernel waits for a device; that is not waited for longer than this. */
const KILLED_WAIT_MS = 5_000;

/** Ends a process that is no child of ours: it may drain for `drainMs`, then it is killed. Resolves when it is gone. */
export async function endProcess(
  identity: ProcessIdentity,
  { clock, drainMs }: { readonly clock: Clock; readonly drainMs: number },
): Promise<void> {
  const signal = (name: NodeJS.Signals): void => {
    try {
      if (isRunning(identity)) process.kill(identity.pid, name);
    } catch (error) {
      // It ended in between.
      if (systemCode(error) !== "ESRCH") throw error;
    }
  };
  signal("SIGTERM");
  const gone = async (waitMs: number): Promise<void> => {
    const deadline = clock.monotonic() + waitMs;
    while (isRunning(identity) && clock.monotonic() < deadline) await clock.sleep(ENDING_WATCH_MS);
  };
  await gone(drainMs);
  signal("SIGKILL");
  await gone(KILLED_WAIT_MS);
}

/** Resident memory; 0 where the system does not tell. */
export function residentBytes(pid: number): number {
  try {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
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
