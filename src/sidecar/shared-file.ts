import { readFile } from "node:fs/promises";
import { writeFileAtomic } from "../base/atomic-file.ts";
import { AppError, messageOf, systemCode } from "../base/errors.ts";

/**
 * Files that the neighbour reads, perhaps as another user of the same group: they may hold secrets, so nobody else can
 * read them.
 */
const MODE = 0o640;

/** Replaces `path` so that its reader, a crash or a power cut finds the old or the new text, never a mixture. */
export async function writeSharedFile(path: string, text: string): Promise<void> {
  try {
    await writeFileAtomic(path, text, MODE);
  } catch (error) {
    throw new AppError("unavailable", `cannot write ${path}: ${messageOf(error)}`, {
      cause: error,
    });
  }
}

/** Undefined when there is none. */
export async function readSharedFile(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return undefined;
    throw new AppError("unavailable", `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
}
