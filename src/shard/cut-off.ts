import type { KnownTarget, ShardRecord } from "./shard-record.ts";

/**
 * A shard that fails on all of its targets is suspected to be cut off from them. It is, when a test scrape from here reaches
 * one of the few that witness for it; when most shards look like that, it is the test scrape that says nothing.
 */

/** Targets of a suspected shard that are tried from here. */
const WITNESSES = 3;

/** Shards on which every target fails. */
export function suspectsOf(shards: readonly ShardRecord[]): ShardRecord[] {
  return shards.filter(({ failingSinceMs }) => failingSinceMs !== undefined);
}

export function witnessesOf(record: ShardRecord): (readonly [hash: string, KnownTarget])[] {
  return [...record.specs].slice(0, WITNESSES);
}

/** Marks those of `shards` that are cut off; `isReached` tells whether a test scrape has reached a target. */
export function markCutOff(
  shards: readonly ShardRecord[],
  isReached: (hash: string) => boolean,
): void {
  const cutOff = suspectsOf(shards).filter((record) =>
    witnessesOf(record).some(([hash]) => isReached(hash)),
  );
  const busy = shards.filter(({ state, statuses }) => state === "ready" && statuses.size > 0);
  if (cutOff.length > 0 && cutOff.length * 2 <= busy.length)
    for (const record of cutOff) record.markCutOff();
}
