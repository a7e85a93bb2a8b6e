import { HINT_OUT_OF_ORDER } from "../block/meta.ts";
import { type CutOptions, cutBlock, type CutSource } from "./cut.ts";
import type { HeadStore } from "./head-store.ts";

/**
 * Writes the frozen samples out of order of a head to blocks, one for each range of `rangeMs` that has some, and gives
 * their folders. Samples before `oldestMs` are left out.
 */
export async function cutFrozen(
  store: HeadStore,
  task: Pick<CutOptions, "clock" | "parent" | "signal" | "onStep" | "onUnreadable"> & {
    oldestMs: number;
    rangeMs: number;
    newUlid: () => string;
  },
): Promise<readonly string[]> {
  const { outOfOrder } = store;
  const { oldestMs, rangeMs, newUlid, ...rest } = task;
  const source: CutSource = {
    refs: outOfOrder.frozenRefs(),
    chunksOf: (ref, range) => outOfOrder.frozenChunks(ref, range),
  };
  const folders: string[] = [];
  if (source.refs.length === 0) return folders;
  const firstMs = Math.floor(Math.max(outOfOrder.minTimeMs, oldestMs) / rangeMs) * rangeMs;
  for (let minTimeMs = firstMs; minTimeMs <= outOfOrder.maxTimeMs; minTimeMs += rangeMs) {
    const range = { minTimeMs, maxTimeMs: minTimeMs + rangeMs };
    const hints = [HINT_OUT_OF_ORDER];
    const folder = await cutBlock(store, { ...rest, ...range, hints, ulid: newUlid() }, source);
    if (folder !== undefined) folders.push(folder);
  }
  return folders;
}
