import type { ShardInstance } from "./driver.ts";

/** Replicas of one shard that one failure takes together. */
export interface Together {
  readonly ordinal: number;
  readonly ids: readonly string[];
  readonly place: "node" | "zone";
  readonly name: string;
}

/**
 * Which replicas of the same ordinal share a node, or a zone where there is more than one zone to choose from. A shared
 * node is told as such, not as a shared zone besides.
 */
export function replicasTogether(groups: readonly (readonly ShardInstance[])[]): Together[] {
  const instances = groups.flat();
  const zones = new Set(instances.map(({ zone = "" }) => zone).filter((zone) => zone !== ""));
  const byOrdinal = Map.groupBy(instances, ({ ordinal }) => ordinal);
  return [...byOrdinal].flatMap(([ordinal, replicas]) => {
    const on = (place: "node" | "zone"): Together[] =>
      [...Map.groupBy(replicas, (replica) => replica[place] ?? "")]
        .filter(([name, sharing]) => name !== "" && sharing.length > 1)
        .map(([name, sharing]) => ({ ordinal, ids: sharing.map(({ id }) => id), place, name }));
    const nodes = on("node");
    return nodes.length > 0 || zones.size < 2 ? nodes : on("zone");
  });
}

export function printTogether({ ids, place, name }: Together): string {
  return `${ids.join(" and ")} are replicas of each other on one ${place} (${name})`;
}
