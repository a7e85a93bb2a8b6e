import { AppError } from "../base/errors.ts";
import { type Random, seededRandom } from "../base/random.ts";
import type { Target } from "../model/target.ts";
import type { ShardControl } from "../shard/control.ts";
import type { ShardDriver } from "../shard/driver.ts";
import type { Load } from "../shard/load.ts";
import type { AssignedTarget } from "../shard/wire.ts";
import type { Coverage } from "./coverage.ts";
import { SimDiscovery } from "./sim-discovery.ts";
import { SimShard } from "./sim-shard.ts";
import { loadAt, type SimTarget } from "./sim-target.ts";
import type { VirtualClock } from "./virtual-clock.ts";

/** A shard takes between this and this much of the usual delay until it runs. */
const START_DELAY_LEAST = 0.5;
export const START_DELAY_MOST = 1.5;

export interface WorldOptions {
  /** Every target that ever exists. */
  readonly fleet: readonly SimTarget[];
  /** How long a shard that is asked for usually takes until it runs. */
  readonly startDelayMs: number;
  /** How often discovery looks for changes. */
  readonly refreshMs: number;
  /** How long shards keep samples; 0 when they do not tell until when theirs are wanted. */
  readonly retentionMs: number;
  readonly seed: number;
}

/** Everything outside the coordinator: targets, discovery, shards and what starts them, on one virtual clock. */
export class World {
  readonly clock: VirtualClock;
  readonly coverage: Coverage;
  readonly discovery: SimDiscovery;
  readonly driver: ShardDriver;
  readonly #options: WorldOptions;
  readonly #random: Random;
  readonly #targets = new Map<string, SimTarget>();
  /** By ordinal, those that were removed included: their folders are still there. */
  readonly #shards: SimShard[] = [];
  #desired = 0;
  /** Time of all shards together up to `#countedMs`. */
  #shardMs = 0;
  #countedMs: number;
  /** Tells the coordinator that something happened. */
  wake: () => void = () => {};

  constructor(clock: VirtualClock, coverage: Coverage, options: WorldOptions) {
    this.clock = clock;
    this.#countedMs = clock.now();
    this.coverage = coverage;
    this.#options = options;
    this.#random = seededRandom(options.seed);
    this.discovery = new SimDiscovery(this, options.refreshMs);
    const desired = (): number => this.#desired;
    this.driver = {
      list: async () => this.shards.map((shard) => shard.instance()),
      scale: async (count) => this.#scale(count),
      get desired() {
        return desired();
      },
    };
    for (const target of options.fleet) this.#targets.set(target.target.hash, target);
    this.shardChanged();
  }

  /** Those that are asked for, by ordinal. */
  get shards(): readonly SimShard[] {
    return this.#shards.slice(0, this.#desired);
  }

  get running(): readonly SimShard[] {
    return this.shards.filter((shard) => shard.life === "running");
  }

  /** For how long shards have been asked for, all together. */
  get shardMs(): number {
    return this.#shardMs + this.#desired * (this.clock.now() - this.#countedMs);
  }

  get retentionMs(): number {
    return this.#options.retentionMs;
  }

  target(hash: string): SimTarget {
    const target = this.#targets.get(hash);
    if (target === undefined) throw new Error(`BUG: there is no target ${hash}`);
    return target;
  }

  /** Gives the world, once started, the shards and assignments it begins with, by ordinal. */
  preset(lists: readonly (readonly AssignedTarget[])[]): void {
    this.#desired = lists.length;
    for (const [ordinal, list] of lists.entries()) {
      for (const { target } of list) this.coverage.scraped(target.hash, this.clock.now());
      this.#shard(ordinal).preset(list);
    }
  }

  /** Lets targets come and go from now on. */
  start(): void {
    const startMs = this.clock.now();
    const changes: { readonly atMs: number; readonly apply: () => void }[] = [];
    for (const target of this.#targets.values()) {
      const atMs = Math.max(target.bornMs, startMs);
      changes.push({ atMs, apply: () => this.discovery.add(target) });
      if (target.goneMs < Infinity)
        changes.push({ atMs: target.goneMs, apply: () => this.#end(target) });
    }
    changes.sort((a, b) => a.atMs - b.atMs);
    let next = 0;
    const turn = (): void => {
      const nowMs = this.clock.now();
      while (next < changes.length && changes[next]!.atMs <= nowMs) changes[next++]!.apply();
      const change = changes[next];
      if (change !== undefined) this.clock.at(change.atMs, turn);
    };
    turn();
    this.discovery.start();
  }

  connect(url: string): ShardControl {
    return this.#shards.find((shard) => shard.url === url)!.control();
  }

  /** A test scrape. */
  async explore({ hash }: Target, signal: AbortSignal): Promise<Load> {
    const target = this.target(hash);
    await this.clock.sleep(target.exploreMs, signal);
    const nowMs = this.clock.now();
    if (target.isDown || nowMs >= target.goneMs)
      throw new AppError("unavailable", "connection refused");
    return loadAt(target, nowMs);
  }

  /** A shard came or went. */
  shardChanged(): void {
    this.coverage.shardsRunning(this.running.length > 0, this.clock.now());
  }

  #end(target: SimTarget): void {
    this.discovery.remove(target);
    this.coverage.end(target.target.hash, target.goneMs);
  }

  #shard(ordinal: number): SimShard {
    return (this.#shards[ordinal] ??= new SimShard(this, ordinal));
  }

  #scale(count: number): void {
    const before = this.#desired;
    this.#shardMs = this.shardMs;
    this.#countedMs = this.clock.now();
    this.#desired = count;
    const spread = START_DELAY_MOST - START_DELAY_LEAST;
    for (let ordinal = before; ordinal < count; ordinal++) {
      const factor = START_DELAY_LEAST + spread * this.#random.next();
      this.#shard(ordinal).start(this.#options.startDelayMs * factor);
    }
    for (let ordinal = count; ordinal < before; ordinal++) this.#shard(ordinal).remove();
    this.shardChanged();
  }
}
