import { statfs } from "node:fs/promises";
import { AppError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";

/** Kinds of file systems that matter for a log that must survive: `ok` is every other. */
export type FileSystemKind = "ok" | "network" | "memory" | "container";

/** The magic numbers of statfs(2) in Linux's <linux/magic.h>. */
const KINDS = new Map<number, FileSystemKind>([
  [0x6969, "network"], // NFS
  [0xff534d42, "network"], // CIFS
  [0xfe534d42, "network"], // SMB2
  [0x01021994, "memory"], // tmpfs
  [0x858458f6, "memory"], // ramfs
  [0x794c7630, "container"], // overlayfs
]);

export function fileSystemKind(magic: number): FileSystemKind {
  return KINDS.get(magic >>> 0) ?? "ok";
}

/**
 * Refuses a data folder on a network file system, where neither locks nor a write's order can be relied on, and warns
 * of one that does not outlive the machine or the container. Only Linux tells; elsewhere every folder passes.
 */
export async function checkFileSystem(folder: string, logger: Logger): Promise<void> {
  if (process.platform !== "linux") return;
  const { type } = await statfs(folder);
  refuseOrWarn(fileSystemKind(type), folder, logger);
}

export function refuseOrWarn(kind: FileSystemKind, folder: string, logger: Logger): void {
  if (kind === "network")
    throw new AppError(
      "unavailable",
      `cannot use data folder ${folder}: it is on a network file system; use a local disk or a block volume`,
    );
  if (kind === "memory")
    logger.warn("the data folder is in memory: its data is lost when the machine stops", {
      folder,
    });
  if (kind === "container")
    logger.warn("the data folder is inside the container's layer: its data is lost with it", {
      folder,
    });
}
