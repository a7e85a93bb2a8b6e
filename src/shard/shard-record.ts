import { AppError, messageOf } from "../base/errors.ts";
import type { ShardControl } from "./control.ts";
import type { ShardInstance } from "./driver.ts";
import type { ObservedShard, ShardState } from "./plan-types.ts";
import type { AssignedTarget, PushedConfig, ShardRuntime, TargetStatus } from "./wire.ts";

/**
 * What the coordinator remembers of one shard between cycles: the last answers, so that a shard that stops answering
 * keeps its targets for a while.
 */
export class ShardRecord {
  instance: ShardInstance;
  state: ShardState = "starting";
  error = "";
  lastSeenMs = 0;
  runtime: ShardRuntime | undefined;
  statuses: ReadonlyMap<string, TargetStatus> = new Map();
  /** Labels, URL and job of what it has. */
  specs: ReadonlyMap<string, AssignedTarget> = new Map();
  #control: ShardControl | undefined;
  #url: string | undefined;
  readonly #connect: (url: string) => ShardControl;

  constructor(instance: ShardInstance, connect: (url: string) => ShardControl) {
    this.instance = instance;
    this.#connect = connect;
  }

  /** Reads the shard's state, bringing the configuration to it first when it runs another. Never rejects. */
  async observe(config: PushedConfig, now: () => number): Promise<void> {
    const control = this.#reach();
    if (control === undefined) {
      this.#unreachable(this.instance.error ?? "it is not up");
      return;
    }
    try {
      // The head is read before the statuses: a scrape in between then counts once, by its target, not twice.
      let runtime = await control.runtime();
      let refusal = "";
      if (runtime.configHash !== config.hash) {
        refusal = await offer(control, config);
        runtime = await control.runtime();
      }
      const statuses = await control.status();
      const isKnown = [...statuses.keys()].every((hash) => this.specs.has(hash));
      if (!isKnown) this.specs = byHash(await control.assignment());
      this.runtime = runtime;
      this.statuses = statuses;
      this.lastSeenMs = now();
      this.state = runtime.configHash === config.hash ? "ready" : "refused";
      this.error = this.state === "ready" ? "" : refusal;
    } catch (error) {
      this.#unreachable(messageOf(error));
    }
  }

  /** Replaces the shard's list; remembers it only when the shard has taken it. */
  async push(list: readonly AssignedTarget[]): Promise<void> {
    const control = this.#reach();
    if (control === undefined) throw new AppError("unavailable", `${this.instance.id} is not up`);
    await control.pushTargets(list);
    this.specs = byHash(list);
  }

  observed(): ObservedShard {
    const { id, ordinal } = this.instance;
    return {
      id,
      ordinal,
      state: this.state,
      lastSeenMs: this.lastSeenMs,
      headSeries: this.runtime?.headSeries ?? 0,
      idleSinceMs: this.runtime?.idleSinceMs,
      assignments: [...this.statuses].flatMap(([hash, status]) => {
        const spec = this.specs.get(hash);
        if (spec === undefined) return [];
        const { job, url } = spec.target;
        const { state, assignedAtMs, load, health, scrapes, goodScrapes } = status;
        return [{ hash, job, url, state, assignedAtMs, load, health, scrapes, goodScrapes }];
      }),
    };
  }

  close(): void {
    this.#control?.close();
    this.#control = undefined;
  }

  #reach(): ShardControl | undefined {
    if (this.instance.url !== this.#url) {
      this.close();
      this.#url = this.instance.url;
    }
    if (this.#control === undefined && this.#url !== undefined)
      this.#control = this.#connect(this.#url);
    return this.#control;
  }

  #unreachable(error: string): void {
    this.state = this.lastSeenMs === 0 ? "starting" : "lost";
    this.error = error;
  }
}

/** Offers the configuration; the reason when the shard refuses it, else "". Rejects when the shard does not answer. */
async function offer(control: ShardControl, config: PushedConfig): Promise<string> {
  try {
    await control.pushConfig(config);
    return "";
  } catch (error) {
    if (error instanceof AppError && error.code === "bad-data") return error.message;
    throw error;
  }
}

function byHash(list: readonly AssignedTarget[]): Map<string, AssignedTarget> {
  return new Map(list.map((entry) => [entry.target.hash, entry]));
}
