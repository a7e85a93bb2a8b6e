import { AppError } from "../base/errors.ts";
import type { Labels } from "../model/labels.ts";
import { hashLabels64 } from "../model/target-hash.ts";
import type { ShardInfoMessage } from "../proto/series-request.ts";

/** Shards of one request; more would make the remainder inexact. */
const MAX_SHARDS = 1_000_000;

/**
 * The series of one vertical shard of a query: those whose chosen labels hash to it (xxhash64 over name 0xFF value
 * 0xFF …). Every store answers the same request alike, so the shards of a query never share a group.
 */
export function createShardFilter(shard: ShardInfoMessage): (labels: Labels) => boolean {
  const { shardIndex, totalShards, by } = shard;
  if (!(totalShards <= MAX_SHARDS && shardIndex >= 0 && shardIndex < totalShards))
    throw new AppError("bad-data", `cannot select shard ${shardIndex} of ${totalShards}`);
  const names = new Set(shard.labels);
  const scale = 2 ** 32 % totalShards;
  return (labels) => {
    const { high, low } = hashLabels64(by ? labels.only(names) : labels.without(names));
    return ((high % totalShards) * scale + (low % totalShards)) % totalShards === shardIndex;
  };
}
