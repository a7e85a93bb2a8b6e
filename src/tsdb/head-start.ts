import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { AppError, messageOf, systemCode } from "../base/errors.ts";
import { syncFolder } from "../block/writer.ts";
import { writeError } from "../index/file-writer.ts";

/**
 * Where a head begins, when no block says it: the end of the newest block does, until that block goes because all of it
 * was deleted. What is older is not read from log and head chunks any more. Format: `{"minTimeMs": …}`.
 */
const FILE = "head-start.json";

/** -Infinity when there is no such file. */
export async function readHeadStart(folder: string): Promise<number> {
  const path = join(folder, FILE);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    if (systemCode(error) === "ENOENT") return -Infinity;
    throw new AppError("unavailable", `cannot read ${path}: ${messageOf(error)}`, { cause: error });
  }
  const time = /^\{"minTimeMs": ?(-?\d+)\}\s*$/.exec(text)?.[1];
  if (time === undefined)
    throw new AppError(
      "corrupt",
      `cannot read ${path}: it is not {"minTimeMs": <ms>}; without the file, samples of deleted blocks may come back from the log`,
    );
  return Number(time);
}

/** Nothing before `minTimeMs` is read into the head again. On disk when it resolves. */
export async function writeHeadStart(folder: string, minTimeMs: number): Promise<void> {
  if (!Number.isFinite(minTimeMs)) return;
  const path = join(folder, FILE);
  const building = `${path}.tmp`;
  try {
    await rm(building, { force: true });
    await writeFile(building, `{"minTimeMs": ${minTimeMs}}\n`, { flush: true });
    await rename(building, path);
    await syncFolder(folder);
  } catch (error) {
    throw writeError(path, error);
  }
}
