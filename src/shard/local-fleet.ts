import type { ReplicaGroup, ShardFleet } from "./driver.ts";
import type { ProcessDriver } from "./process-driver.ts";

/** How one of several replica groups on this machine is called, and its shards and folder. */
export interface GroupNames {
  /** `a`, `b`, …; "" for a group that is alone. */
  readonly name: string;
  readonly folderName: string;
  readonly shardId: (ordinal: number) => string;
}

/** The first group keeps the folder of a group that was alone, so that adding replicas keeps its data. */
export function replicaGroups(count: number): GroupNames[] {
  if (count === 1)
    return [{ name: "", folderName: "shards", shardId: (ordinal) => `shard-${ordinal}` }];
  return Array.from({ length: count }, (_, i) => {
    const name = String.fromCharCode("a".charCodeAt(0) + i);
    return {
      name,
      folderName: i === 0 ? "shards" : `shards-${name}`,
      shardId: (ordinal) => `shard-${name}-${ordinal}`,
    };
  });
}

/** Replica groups of shard processes on this machine, started and stopped together. */
export class LocalFleet implements ShardFleet {
  readonly name = "shards";
  readonly #groups: readonly (ReplicaGroup & { readonly driver: ProcessDriver })[];

  constructor(groups: readonly (ReplicaGroup & { readonly driver: ProcessDriver })[]) {
    this.#groups = groups;
  }

  async groups(): Promise<readonly ReplicaGroup[]> {
    return this.#groups;
  }

  async start(): Promise<void> {
    await Promise.all(this.#groups.map(({ driver }) => driver.start()));
  }

  async stop(): Promise<void> {
    await Promise.all(this.#groups.map(({ driver }) => driver.stop()));
  }
}
