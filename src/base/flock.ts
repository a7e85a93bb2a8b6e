import { type ChildProcess, spawn } from "node:child_process";
import type { BigIntStats } from "node:fs";
import { readFile } from "node:fs/promises";
import { programOf } from "./port-owner.ts";

/** A helper that does not come back, as on a file system whose server is away, is given up. */
const HELPER_MAX_MS = 10_000;

/**
 * Tries to take the flock(2) of an open file: `held`, `refused` because another process has it, or `unknown` where that
 * cannot be had. Node has no such call, the program `flock` of util-linux and busybox has it: a flock belongs to the open
 * file description, which a child shares that gets the descriptor as its own, so what the child locks stays locked
 * until this process closes `fd` or dies.
 */
export function tryFlock(fd: number): Promise<"held" | "refused" | "unknown"> {
  return new Promise((resolve) => {
    let child: ChildProcess;
    try {
      child = spawn("flock", ["-n", "3"], {
        stdio: ["ignore", "ignore", "pipe", fd],
        timeout: HELPER_MAX_MS,
      });
    } catch {
      // Not every process may start others.
      resolve("unknown");
      return;
    }
    let complaint = "";
    child.stderr?.on("data", (data: Buffer) => (complaint += data.toString()));
    child.on("error", () => resolve("unknown"));
    child.on("close", (code) => {
      // A refusal is silent; every other trouble is told.
      if (code === 0) resolve("held");
      else resolve(code === 1 && complaint === "" ? "refused" : "unknown");
    });
  });
}

/**
 * Who has the flock of the file of `stats`, as `process 123 (prometheus)`, where the system tells: Linux's list has the
 * processes of one's own container only, and may name a helper that is gone.
 */
export async function flockHolder({ dev, ino }: BigIntStats): Promise<string | undefined> {
  const locks = await readFile("/proc/locks", "utf8").catch(() => "");
  // Linux's makedev(3): 12 bits of the major number above 8 of the minor, whose other 12 follow.
  const major = Number((dev >> 8n) & 0xfffn);
  const minor = Number((dev & 0xffn) | ((dev >> 12n) & 0xfff00n));
  for (const line of locks.split("\n")) {
    // 1: FLOCK  ADVISORY  WRITE 21604 fe:00:10528450 0 EOF
    const [, kind, , , pid = "", file = ""] = line.trim().split(/\s+/);
    const [majorText = "", minorText = "", inode] = file.split(":");
    if (kind !== "FLOCK" || inode !== String(ino)) continue;
    if (Number.parseInt(majorText, 16) !== major || Number.parseInt(minorText, 16) !== minor)
      continue;
    const program = await programOf(pid).catch(() => undefined);
    if (program !== undefined) return `process ${pid} (${program})`;
  }
  return undefined;
}
