import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { writeError } from "../index/file-writer.ts";
import type { Matcher } from "../model/matcher.ts";
import type { Block } from "./block.ts";
import {
  addInterval,
  countTombstones,
  type Interval,
  TOMBSTONES_FILE,
  writeTombstones,
} from "./tombstones.ts";
import { syncFolder, writeMeta } from "./writer.ts";

/**
 * Marks the samples of matching series that are in the range (ms, both ends inclusive) as deleted; false when there are
 * none. When it resolves the tombstones are on disk, the block is to be opened anew. A crash leaves the block with the
 * tombstones as they were or as they are to be.
 */
export async function deleteFromBlock(
  block: Block,
  {
    matchers,
    minTimeMs,
    maxTimeMs,
  }: {
    matchers: readonly Matcher[];
    minTimeMs: number;
    maxTimeMs: number;
  },
): Promise<boolean> {
  const { folder, index, meta } = block;
  const refs = await index.matching(matchers);
  const tombstones = new Map<number, readonly Interval[]>(block.tombstones);
  let isChanged = false;
  await index.forEachSeries(refs, { from: 0, to: refs.length }, (entry) => {
    const { ref, chunkCount, minTimes, maxTimes } = entry;
    let isInRange = false;
    for (let i = 0; i < chunkCount && !isInRange; i++)
      isInRange = minTimes[i]! <= maxTimeMs && maxTimes[i]! >= minTimeMs;
    if (!isInRange) return;
    // As Prometheus: no further than the samples of the series reach.
    const minTime = Math.max(minTimeMs, minTimes[0]!);
    const maxTime = Math.min(maxTimeMs, maxTimes[chunkCount - 1]!);
    tombstones.set(ref, addInterval(tombstones.get(ref) ?? [], { minTime, maxTime }));
    isChanged = true;
  });
  if (!isChanged) return false;
  const path = join(folder, TOMBSTONES_FILE);
  const building = `${path}.tmp`;
  try {
    await rm(building, { force: true });
    await writeTombstones(building, tombstones);
    await rename(building, path);
    const numTombstones = countTombstones(tombstones);
    await writeMeta(folder, { ...meta, stats: { ...meta.stats, numTombstones } });
    await syncFolder(folder);
  } catch (error) {
    throw writeError(folder, error);
  }
  return true;
}
