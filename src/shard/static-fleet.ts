import type { ReplicaGroup, ShardDriver, ShardFleet, ShardInstance } from "./driver.ts";

/** A shard given by hand: Kvass's static shards. */
export interface StaticShard {
  readonly id: string;
  /** Base URL of its control API. */
  readonly url: string;
}

export interface StaticReplica {
  /** Unique; "" for a single one. */
  readonly name: string;
  readonly shards: readonly StaticShard[];
}

/** Fixed lists of shards that others run. They are read again for each cycle, so that they can be edited live. */
export class StaticFleet implements ShardFleet {
  readonly name = "shards";
  readonly #read: () => Promise<readonly StaticReplica[]>;

  constructor(read: () => Promise<readonly StaticReplica[]>) {
    this.#read = read;
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {}

  async groups(): Promise<readonly ReplicaGroup[]> {
    const replicas = await this.#read();
    return replicas.map(({ name, shards }) => ({ name, driver: new StaticDriver(shards) }));
  }
}

class StaticDriver implements ShardDriver {
  readonly #shards: readonly StaticShard[];

  constructor(shards: readonly StaticShard[]) {
    this.#shards = shards;
  }

  get desired(): number {
    return this.#shards.length;
  }

  async list(): Promise<readonly ShardInstance[]> {
    return this.#shards.map(({ id, url }, ordinal) => ({ id, ordinal, url, restarts: 0 }));
  }

  /** A list made by hand cannot grow: the plan's conditions say what finds no room. */
  async scale(): Promise<void> {}
}
