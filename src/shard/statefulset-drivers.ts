import { AppError } from "../base/errors.ts";
import type { Registry } from "../base/metrics.ts";
import type { Service } from "../base/service.ts";
import type { ReplicaGroup, ShardFleet } from "./driver.ts";
import { ListWatch } from "../kubernetes/list-watch.ts";
import { STATEFUL_SETS } from "../kubernetes/resources.ts";
import { StatefulSetDriver, type StatefulSetDriverOptions } from "./statefulset-driver.ts";
import { RemovedClaims } from "./statefulset-driver-claims.ts";
import { readStatefulSet, type StatefulSet } from "./statefulset-driver-set.ts";
import { NodeZones } from "./statefulset-driver-zones.ts";

export interface StatefulSetDriversOptions extends Omit<
  StatefulSetDriverOptions,
  "showsNamespace" | "zoneOf" | "onRemoval"
> {
  /** Where StatefulSets are looked for (`--shard.namespace`); "" for all namespaces. */
  readonly namespace: string;
  /** Which of them are shards (`--shard.selector`). */
  readonly selector: string;
  /** Delete the claims of removed shards once their data is safe (`--shard.delete-pvc`). */
  readonly deletesClaims: boolean;
  readonly registry: Registry;
}

/** How often claims of removed shards are looked for. */
const SWEEP_MS = 60_000;

/** Every StatefulSet that matches is one replica group, with a driver of its own. */
export class StatefulSetDrivers implements ShardFleet, Service {
  readonly name = "statefulsets";
  readonly #options: StatefulSetDriversOptions;
  readonly #sets: ListWatch<StatefulSet>;
  readonly #zones: NodeZones;
  readonly #claims: RemovedClaims;
  readonly #drivers = new Map<string, { driver: StatefulSetDriver; abort: AbortController }>();
  readonly #abort = new AbortController();
  readonly #running = new Set<Promise<void>>();

  constructor(options: StatefulSetDriversOptions) {
    this.#options = options;
    this.#zones = new NodeZones(options);
    this.#claims = new RemovedClaims(options);
    this.#sets = new ListWatch({
      client: options.client,
      type: STATEFUL_SETS,
      namespace: options.namespace === "" ? undefined : options.namespace,
      labelSelector: options.selector,
      project: readStatefulSet,
      clock: options.clock,
      random: options.random,
      logger: options.logger,
    });
    this.#sets.subscribe({
      changed: (key, set) => this.#changed(key, set),
      deleted: (key) => this.#deleted(key),
      listed: options.onChange,
      troubled: () => {},
    });
  }

  /** Does not wait for the API: until it has answered, `drivers` says so. */
  async start(): Promise<void> {
    this.#track(this.#sets.run(this.#abort.signal));
    if (this.#options.deletesClaims) this.#track(this.#sweep());
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    for (const { abort } of this.#drivers.values()) abort.abort();
    await Promise.all(this.#running);
  }

  /** By name. Throws while the API has not answered yet, and when no StatefulSet matches. */
  drivers(): readonly StatefulSetDriver[] {
    const { selector, namespace } = this.#options;
    const where = namespace === "" ? "any namespace" : `namespace ${JSON.stringify(namespace)}`;
    const what = `StatefulSets with ${selector === "" ? "any labels" : selector} in ${where}`;
    if (!this.#sets.isListed)
      throw new AppError(
        "unavailable",
        `cannot list ${what}: ${this.#sets.trouble ?? "the API has not answered yet"}`,
      );
    if (this.#drivers.size === 0)
      throw new AppError("not-found", `there are no ${what}: check --shard.selector`);
    return [...this.#drivers.entries()]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([, { driver }]) => driver);
  }

  async groups(): Promise<readonly ReplicaGroup[]> {
    const drivers = this.drivers();
    return drivers.map((driver) => {
      const { group, key } = driver.set;
      const isUnique = drivers.every((other) => other === driver || other.set.group !== group);
      return { name: isUnique ? group : key, driver };
    });
  }

  #changed(key: string, set: StatefulSet): void {
    const known = this.#drivers.get(key);
    if (known !== undefined && known.driver.set.selector === set.selector) known.driver.update(set);
    else {
      known?.abort.abort();
      const abort = new AbortController();
      const driver = new StatefulSetDriver(set, {
        ...this.#options,
        showsNamespace: this.#options.namespace === "",
        zoneOf: (node) => this.#zones.zoneOf(node),
        onRemoval: async (removal) => {
          if (this.#options.deletesClaims) await this.#claims.mark(removal);
        },
      });
      this.#drivers.set(key, { driver, abort });
      this.#track(driver.run(abort.signal));
    }
    this.#options.onChange();
  }

  #deleted(key: string): void {
    this.#drivers.get(key)?.abort.abort();
    this.#drivers.delete(key);
    this.#options.onChange();
  }

  async #sweep(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      await this.#options.clock.sleep(SWEEP_MS, signal).catch(() => {});
      if (signal.aborted || !this.#sets.isListed || !this.#options.mayWrite()) continue;
      await this.#claims.sweep([...this.#drivers.values()].map(({ driver }) => driver));
    }
  }

  #track(work: Promise<void>): void {
    const done = work.finally(() => this.#running.delete(done));
    this.#running.add(done);
  }
}
