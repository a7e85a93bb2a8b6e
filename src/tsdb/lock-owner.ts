import { readFileSync, readlinkSync } from "node:fs";
import { hostname } from "node:os";
import { identifyProcess, isRunning } from "../base/process-identity.ts";

/** Who owns a data folder, as its file `lock` tells. */
export interface LockOwner {
  readonly pid: number;
  /** When the process started, in the system's own unit, to tell it from a later process with the same pid. */
  readonly startTime: string;
  readonly host: string;
  /** This run of the machine and the numbering its pid belongs to; "" where the system does not tell. */
  readonly bootId: string;
  readonly pidNamespace: string;
  /** Of this taking of the folder. */
  readonly id: string;
  /** Whether it holds the file's flock(2), so that who gets that knows the owner is gone. */
  readonly hasFlock: boolean;
}

export function thisProcess(own: { id: string; hasFlock: boolean }): LockOwner {
  const { pid, startTicks } = identifyProcess(process.pid);
  return {
    pid,
    startTime: startTicks,
    host: hostname(),
    bootId: textOr("", () => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim()),
    pidNamespace: textOr("", () => readlinkSync("/proc/self/ns/pid")),
    ...own,
  };
}

function textOr(fallback: string, read: () => string): string {
  try {
    return read();
  } catch {
    return fallback;
  }
}

/** Undefined for an empty file, as Prometheus leaves it, and for a torn one: nobody is named. */
export function parseLockOwner(text: string): LockOwner | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof parsed !== "object" || parsed === null) return undefined;
  const { pid, startTime, host, ...rest } = parsed as Partial<LockOwner>;
  if (typeof pid !== "number" || typeof startTime !== "string" || typeof host !== "string")
    return undefined;
  const textOf = (value: unknown): string => (typeof value === "string" ? value : "");
  return {
    pid,
    startTime,
    host,
    bootId: textOf(rest.bootId),
    pidNamespace: textOf(rest.pidNamespace),
    id: textOf(rest.id),
    hasFlock: rest.hasFlock === true,
  };
}

/**
 * Whether the owner still has the folder, as `self` sees it, which holds the socket and, if it `hasFlock`, the flock:
 * `elsewhere` when it may live where nobody here sees it, and only the time of its file tells.
 */
export function livenessOf(owner: LockOwner, self: LockOwner): "alive" | "dead" | "elsewhere" {
  const isSameBoot = owner.bootId !== "" && owner.bootId === self.bootId;
  if (isSameBoot && owner.hasFlock && self.hasFlock) return "dead";
  if (isVisible(owner, self)) {
    const { pid, startTime } = owner;
    // Of this process itself only the socket of Linux says whether it still holds the folder, and it does not.
    if (pid === self.pid && startTime === self.startTime)
      return process.platform === "linux" ? "dead" : "alive";
    return isRunning({ pid, startTicks: startTime }) ? "alive" : "dead";
  }
  // Without an id it keeps no heartbeat: a Shoal before there was one.
  return owner.id === "" ? "dead" : "elsewhere";
}

/** Whether the owner's pid means here what it means there. */
function isVisible(owner: LockOwner, self: LockOwner): boolean {
  return owner.bootId === "" || self.bootId === ""
    ? owner.host === self.host
    : owner.bootId === self.bootId && owner.pidNamespace === self.pidNamespace;
}
