import { link, mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { type Random, randomInt } from "../base/random.ts";
import type { Block } from "../block/block.ts";
import { CHUNKS_FOLDER } from "../block/chunk-files.ts";
import { META_FILE } from "../block/meta.ts";
import { TOMBSTONES_FILE } from "../block/tombstones.ts";
import { newUlid } from "../block/ulid.ts";
import { syncFolder } from "../block/writer.ts";
import { writeError } from "../index/file-writer.ts";
import { systemCode } from "../base/errors.ts";
import type { AdminParts } from "./database-admin.ts";
import { tellUnreadable } from "./database-maintenance.ts";

/** The folder of the snapshots, in the data folder. */
const SNAPSHOTS_FOLDER = "snapshots";
/** What a snapshot is called while it is made. */
const BUILDING_SUFFIX = ".tmp";

/**
 * Makes a data folder of its own with all samples of now, and gives its name below `snapshots`: the files of blocks are
 * hard links and take no space, the head becomes a block. It is there whole or not at all.
 */
export async function takeSnapshot(
  parts: AdminParts,
  { skipHead }: { skipHead: boolean },
): Promise<string> {
  const { folder, blocks, head, clock, random, signal, logger } = parts;
  const name = snapshotName(clock.now(), random);
  const parent = join(folder, SNAPSHOTS_FOLDER);
  const building = join(parent, `${name}${BUILDING_SUFFIX}`);
  try {
    await mkdir(parent, { recursive: true });
    // What a crash left behind.
    for (const entry of await readdir(parent))
      if (entry.endsWith(BUILDING_SUFFIX)) await rm(join(parent, entry), { recursive: true });
    await mkdir(building);
    // First the head: what is cut from it meanwhile waits for its turn.
    const ulid = newUlid({ clock, random });
    if (!skipHead)
      await head.snapshot({
        parent: building,
        ulid,
        signal,
        onUnreadable: (labels, error) => tellUnreadable(logger, labels, error),
      });
    for (const block of blocks.blocks) await linkBlock(block, join(building, block.meta.ulid));
    await syncFolder(building);
    await rename(building, join(parent, name));
    await syncFolder(parent);
  } catch (error) {
    await rm(building, { recursive: true, force: true });
    throw writeError(building, error);
  }
  logger.info("took a snapshot", { name, blocks: blocks.blocks.length, head: !skipHead });
  return name;
}

/** As Prometheus names them: the time in UTC and 64 bits of chance. */
function snapshotName(nowMs: number, random: Random): string {
  const time = new Date(nowMs).toISOString().replace(/\.\d+/, "").replaceAll(/[-:]/g, "");
  let chance = "";
  for (let i = 0; i < 16; i++) chance += randomInt(random, 16).toString(16);
  return `${time}-${chance}`;
}

async function linkBlock(block: Block, to: string): Promise<void> {
  const chunks = join(to, CHUNKS_FOLDER);
  await mkdir(chunks, { recursive: true });
  for (const name of [META_FILE, "index"]) await link(join(block.folder, name), join(to, name));
  try {
    await link(join(block.folder, TOMBSTONES_FILE), join(to, TOMBSTONES_FILE));
  } catch (error) {
    // A block without the file has none.
    if (systemCode(error) !== "ENOENT") throw error;
  }
  for (const name of await readdir(join(block.folder, CHUNKS_FOLDER)))
    await link(join(block.folder, CHUNKS_FOLDER, name), join(chunks, name));
  await syncFolder(chunks);
  await syncFolder(to);
}
