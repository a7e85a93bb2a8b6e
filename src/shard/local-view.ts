import { join } from "node:path";
import { isRunning } from "../base/process-identity.ts";
import type { ReplicaGroup, ShardDriver, ShardFleet, ShardInstance } from "./driver.ts";
import { readShardCount, type ShardFolders } from "./process-driver.ts";
import { readShardFile } from "./shard-file.ts";

/** The replica groups of `shoal up` in a folder, looked at from outside. */
export class LocalView implements ShardFleet {
  readonly name = "shards";
  readonly #groups: readonly ReplicaGroup[];

  constructor(groups: readonly ReplicaGroup[]) {
    this.#groups = groups;
  }

  async groups(): Promise<readonly ReplicaGroup[]> {
    return this.#groups;
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {}
}

/** The shards of one of them: none is started, taken over or stopped. */
export class LocalShards implements ShardDriver {
  readonly #folders: ShardFolders & { readonly initialShards: number };
  #count: number;

  constructor(folders: ShardFolders & { readonly initialShards: number }) {
    this.#folders = folders;
    this.#count = folders.initialShards;
  }

  get desired(): number {
    return this.#count;
  }

  async list(): Promise<readonly ShardInstance[]> {
    const { folder, name, shardId, initialShards } = this.#folders;
    this.#count = Math.max((await readShardCount(this.#folders)) ?? 0, initialShards);
    return Promise.all(
      Array.from({ length: this.#count }, async (_, ordinal): Promise<ShardInstance> => {
        const file = await readShardFile(join(folder, name, String(ordinal)));
        const isUp = file !== undefined && isRunning(file.process);
        return {
          id: shardId(ordinal),
          ordinal,
          url: isUp ? `http://${file.http}` : undefined,
          ...(!isUp && { error: "it does not run" }),
          restarts: 0,
        };
      }),
    );
  }

  async scale(): Promise<void> {}
}
