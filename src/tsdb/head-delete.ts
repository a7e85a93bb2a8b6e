import { setImmediate as nextTurn } from "node:timers/promises";
import { AppError } from "../base/errors.ts";
import type { Matcher } from "../model/matcher.ts";
import { encodeTombstoneRecord, type LoggedTombstone } from "../wal/tombstone-record.ts";
import { RecordGroup, type WalWriter } from "../wal/writer.ts";
import type { HeadStore } from "./head-store.ts";
import type { HeadReader } from "./select.ts";
import { ChunkReader } from "./select-chunks.ts";

export interface DeleteRequest {
  readonly matchers: readonly Matcher[];
  /** ms, inclusive. */
  readonly minTimeMs: number;
  /** ms, inclusive. */
  readonly maxTimeMs: number;
}

/** After so many series the event loop gets a turn. */
const SERIES_PER_TURN = 1024;
const TOMBSTONES_PER_RECORD = 100_000;

/**
 * Deletes the samples of matching series that are in the range, and gives how many series have some. What a series gets
 * later is not deleted, whatever the range says. When it resolves the deletion is on disk. Nothing may be appended
 * meanwhile: the caller holds the log's turn.
 */
export async function deleteSamples(
  parts: { store: HeadStore; reader: HeadReader; wal: WalWriter; lowestTimeMs: number },
  { matchers, minTimeMs, maxTimeMs }: DeleteRequest,
): Promise<number> {
  const { store, reader, wal, lowestTimeMs } = parts;
  const refs = reader.matchingRefs(matchers);
  const chunks = new ChunkReader(store);
  const range = { matchers, minTimeMs, maxTimeMs };
  const view = chunks.view(refs, { request: range, inOrderMinTimeMs: lowestTimeMs });
  const tombstones: LoggedTombstone[] = [];
  for (let i = 0; i < refs.length; i++) {
    const ref = refs[i]!;
    const found = chunks.read(ref, i, view);
    if (found !== undefined && found.length > 0) {
      let first = Infinity;
      let last = -Infinity;
      for (const chunk of found) {
        first = Math.min(first, chunk.minTimeMs);
        last = Math.max(last, chunk.maxTimeMs);
      }
      const tombstone = {
        ref,
        minTime: Math.max(minTimeMs, first),
        maxTime: Math.min(maxTimeMs, last),
      };
      // The range may fall into a gap of the series.
      if (tombstone.minTime <= tombstone.maxTime) tombstones.push(tombstone);
    }
    if (i % SERIES_PER_TURN === SERIES_PER_TURN - 1) await nextTurn();
  }
  // Where an unreadable chunk begins and ends is not known.
  if (view.warnings.length > 0)
    throw new AppError("corrupt", `cannot delete samples: ${view.warnings[0]}`);
  if (tombstones.length === 0) return 0;
  const group = new RecordGroup();
  for (let from = 0; from < tombstones.length; from += TOMBSTONES_PER_RECORD)
    encodeTombstoneRecord(group, tombstones.slice(from, from + TOMBSTONES_PER_RECORD));
  await wal.write(group);
  await wal.sync();
  for (const { ref, minTime, maxTime } of tombstones) store.deleted.add(ref, { minTime, maxTime });
  return tombstones.length;
}
