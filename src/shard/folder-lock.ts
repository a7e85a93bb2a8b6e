import { readFileSync } from "node:fs";
import { link, mkdir, readFile, unlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AppError, systemCode } from "../base/errors.ts";

/** A process, told apart from a later one that got the same number. */
export interface ProcessIdentity {
  readonly pid: number;
  /** When it started, in the kernel's clock ticks since boot; "" where the system does not tell. */
  readonly startTicks: string;
}

const LOCK_FILE = "lock";

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

/**
 * Makes this process the only owner of `folder`, created when missing. A lock left by a process that is gone is taken
 * over; a living owner's is refused with `already-exists` and its process number. The result gives the folder back.
 */
export async function lockFolder(folder: string): Promise<() => Promise<void>> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, LOCK_FILE);
  const mine = JSON.stringify(identifyProcess(process.pid));
  const draft = join(folder, `.${LOCK_FILE}-${process.pid}`);
  await writeFile(draft, mine);
  try {
    for (let attempt = 0; attempt < 10; attempt++) {
      try {
        // A hard link appears whole or not at all, and never over another.
        await link(draft, path);
        return async () => {
          if ((await readFile(path, "utf8").catch(() => "")) === mine) await unlink(path);
        };
      } catch (error) {
        if (systemCode(error) !== "EEXIST") throw error;
      }
      const owner = await readOwner(path);
      if (owner !== undefined && isRunning(owner) && owner.pid !== process.pid)
        throw new AppError(
          "already-exists",
          `cannot use the data folder ${folder}: process ${owner.pid} owns it; stop that process or choose another folder`,
        );
      await unlink(path).catch(() => {});
    }
    throw new AppError(
      "unavailable",
      `cannot lock the data folder ${folder}: others keep taking it`,
    );
  } catch (error) {
    if (error instanceof AppError) throw error;
    throw new AppError("unavailable", `cannot lock the data folder ${folder}`, { cause: error });
  } finally {
    await unlink(draft).catch(() => {});
  }
}

async function readOwner(path: string): Promise<ProcessIdentity | undefined> {
  try {
    const parsed: unknown = JSON.parse(await readFile(path, "utf8"));
    return parseIdentity(parsed);
  } catch {
    return undefined;
  }
}

export function parseIdentity(value: unknown): ProcessIdentity | undefined {
  if (typeof value !== "object" || value === null || !("pid" in value)) return undefined;
  const { pid } = value;
  if (typeof pid !== "number" || !Number.isInteger(pid) || pid <= 0) return undefined;
  const startTicks = "startTicks" in value ? value.startTicks : "";
  return { pid, startTicks: typeof startTicks === "string" ? startTicks : "" };
}
