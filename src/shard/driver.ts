/** Where the shards of one replica group come from: local processes, a fixed list, a Kubernetes StatefulSet. */
export interface ShardDriver {
  /** All shards that are asked for, by ordinal, running or not. */
  list(): Promise<readonly ShardInstance[]>;
  /** How many shards were last asked for. The base of every scale decision, never what happens to be visible. */
  readonly desired: number;
  /**
   * Asks for `count` shards, adding or removing at the end. Resolves once this is recorded. `dataUntilMs` has, by id, what
   * removed shards said of their data while they were empty (`ShardRuntime.dataUntilMs`): their volumes may outlive them.
   */
  scale(count: number, dataUntilMs?: ReadonlyMap<string, number>): Promise<void>;
}

export interface ShardInstance {
  /** Unique in the whole fleet and stable over restarts: `shard-0`. */
  readonly id: string;
  readonly ordinal: number;
  /** Base URL of its control API; undefined while it is not up. */
  readonly url: string | undefined;
  /** `host:port` of its StoreAPI, when the driver knows. */
  readonly grpcAddress?: string | undefined;
  /** Why it is not up, when something went wrong. */
  readonly error?: string | undefined;
  /** How often it had to be started again. */
  readonly restarts: number;
  /** The machine it is on and that one's zone, when the driver knows. */
  readonly node?: string | undefined;
  readonly zone?: string | undefined;
}

/**
 * Shards that together scrape every target once. Several groups are replicas of each other: the same targets on the same
 * ordinals, failing independently.
 */
export interface ReplicaGroup {
  /** What the group's series carry as their `replica` label; "" for a group that is alone. */
  readonly name: string;
  readonly driver: ShardDriver;
}

/** All replica groups there are. Read once a cycle; a group is told apart by its name. */
export interface ShardFleet {
  groups(): Promise<readonly ReplicaGroup[]>;
}

/** The fleet of a single group. */
export function singleGroup(driver: ShardDriver): ShardFleet {
  const groups: readonly ReplicaGroup[] = [{ name: "", driver }];
  return { groups: async () => groups };
}
