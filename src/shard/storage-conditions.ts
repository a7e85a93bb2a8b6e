import type { Decision } from "./plan-types.ts";
import type { ShardRecord } from "./shard-record.ts";

/** Shards that answer and say that they cannot store what they scrape. */
export function storageConditions(
  records: readonly Pick<ShardRecord, "instance" | "answers" | "runtime">[],
): Decision[] {
  return records.flatMap(({ instance, answers, runtime }) => {
    const reason = runtime?.storageError ?? "";
    return answers && reason !== "" ? [{ kind: "storage", from: instance.id, reason }] : [];
  });
}
