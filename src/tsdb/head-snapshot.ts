import type { Clock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import { type CutOptions, cutBlock } from "./cut.ts";
import { isUnreadable } from "../block/unreadable.ts";
import type { Chunk } from "../storage/queryable.ts";
import type { HeadStore } from "./head-store.ts";
import { ChunkReader } from "./select-chunks.ts";

/**
 * Writes all that a head has now to one block and gives its folder, or undefined when there is nothing. Unlike a cut it
 * may meet samples that are still coming: it sees, as a query does, what was there when it began.
 */
export async function snapshotHead(
  store: HeadStore,
  task: Pick<CutOptions, "parent" | "ulid" | "signal" | "onUnreadable"> & {
    readonly clock: Clock;
    /** Of samples that came in order, older ones are in blocks. */
    readonly lowestTimeMs: number;
  },
): Promise<string | undefined> {
  const { lowestTimeMs, ...rest } = task;
  const { outOfOrder } = store;
  const minTimeMs = Math.min(Math.max(store.minTimeMs, lowestTimeMs), outOfOrder.minTimeMs);
  const maxTimeMs = Math.max(store.maxTimeMs, outOfOrder.maxTimeMs);
  if (!(minTimeMs <= maxTimeMs)) return undefined;
  const found: number[] = [];
  store.series.forEach((ref) => found.push(ref));
  const refs = Int32Array.from(found);
  const places = new Map(found.map((ref, i) => [ref, i]));
  const chunks = new ChunkReader(store);
  const request = { matchers: [], minTimeMs, maxTimeMs };
  const view = chunks.view(refs, { request, inOrderMinTimeMs: lowestTimeMs });
  const unreadable = new Set<number>();
  const chunksOf = (ref: number): readonly Chunk[] => {
    if (unreadable.has(ref)) return [];
    try {
      return chunks.read(ref, places.get(ref)!, view) ?? [];
    } catch (error) {
      if (task.onUnreadable === undefined || !isUnreadable(error)) throw error;
      unreadable.add(ref);
      task.onUnreadable(ref, error);
      return [];
    }
  };
  const folder = await cutBlock(
    store,
    { ...rest, minTimeMs, maxTimeMs: maxTimeMs + 1 },
    { refs: found, chunksOf },
  );
  if (view.warnings.length > 0)
    throw new AppError("corrupt", `cannot take a snapshot of the head: ${view.warnings[0]}`);
  return folder;
}
