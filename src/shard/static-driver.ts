import type { ShardDriver, ShardInstance } from "./driver.ts";

/** A shard given by hand: Kvass's static shards. */
export interface StaticShard {
  readonly id: string;
  /** Base URL of its control API. */
  readonly url: string;
}

/** A fixed list of shards that others run. It is read again for each cycle, so that it can be edited live. */
export class StaticDriver implements ShardDriver {
  readonly name = "shards";
  readonly #read: () => Promise<readonly StaticShard[]>;
  #count = 0;

  constructor(read: () => Promise<readonly StaticShard[]>) {
    this.#read = read;
  }

  get desired(): number {
    return this.#count;
  }

  async list(): Promise<readonly ShardInstance[]> {
    const shards = await this.#read();
    this.#count = shards.length;
    return shards.map(({ id, url }, ordinal) => ({ id, ordinal, url, restarts: 0 }));
  }

  /** A list made by hand cannot grow: the plan's conditions say what finds no room. */
  async scale(): Promise<void> {}
}
