import type { Logger } from "../base/logger.ts";
import type { Gauge, Registry } from "../base/metrics.ts";
import type { ShardInstance } from "./driver.ts";
import type { Decision } from "./plan-types.ts";

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

const PLACES = ["node", "zone"] as const;

/** Says which replicas stand together: as conditions, as metrics, and in the log when it is new. No plan can change it. */
export class ReplicaSpread {
  readonly #logger: Logger;
  readonly #gauges: ReadonlyMap<Together["place"], Gauge>;
  #told = new Set<string>();

  constructor({ logger, registry }: { logger: Logger; registry: Registry }) {
    this.#logger = logger;
    this.#gauges = new Map(
      PLACES.map((place) => [
        place,
        registry.gauge(
          "shoal_coordinator_replicas_together",
          "Ordinals with replicas on one node, or in one zone where there are several: one failure takes them together.",
          { place },
        ),
      ]),
    );
  }

  /** One condition for each, of kind `together`; `from` names the shards. */
  look(groups: readonly (readonly ShardInstance[])[]): readonly Decision[] {
    // Fast path: a group alone has no replicas.
    const found = groups.length > 1 ? replicasTogether(groups) : [];
    for (const [place, gauge] of this.#gauges)
      gauge.set(found.filter((each) => each.place === place).length);
    const conditions = found.map(conditionOf);
    const told = new Set<string>();
    for (const { from = "", reason } of conditions) {
      told.add(`${from} ${reason}`);
      if (!this.#told.has(`${from} ${reason}`))
        this.#logger.warn("replicas stand together", { shards: from, reason });
    }
    this.#told = told;
    return conditions;
  }
}

function conditionOf({ ids, place, name }: Together): Decision {
  const where = place === "node" ? `on one node (${name})` : `in one zone (${name})`;
  const reason = `they are replicas of each other ${where}: one failure takes them together`;
  return { kind: "together", from: ids.join(", "), reason };
}
