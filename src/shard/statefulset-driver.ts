import type { Clock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import type { KubeClient } from "../kubernetes/client.ts";
import { KubeError } from "../kubernetes/kube-error.ts";
import { ListWatch } from "../kubernetes/list-watch.ts";
import { PODS, STATEFUL_SETS } from "../kubernetes/resources.ts";
import type { ShardDriver, ShardInstance } from "./driver.ts";
import { isDataSafe, SetHistory } from "./statefulset-driver-mark.ts";
import { readPod, type ShardPod } from "./statefulset-driver-pod.ts";
import { readStatefulSet, type StatefulSet } from "./statefulset-driver-set.ts";

export interface StatefulSetDriverOptions {
  readonly client: KubeClient;
  /** Port of a shard's control API (`--shard.port`). */
  readonly port: number;
  /** Port of a shard's StoreAPI where its pod names none `grpc`. */
  readonly grpcPort: number;
  /** Put the namespace into shard ids: there may be equal names in others. */
  readonly showsNamespace: boolean;
  /** Asked right before each write: a coordinator that leads no more must not scale. */
  readonly mayWrite: () => boolean;
  /** Called before the shards of `removal` are: what is known of their data has to outlive them. Never rejects. */
  readonly onRemoval: (removal: Removal) => Promise<void>;
  /** Zone of a node; "" when it is not known (yet). */
  readonly zoneOf: (node: string) => string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** A pod, or the number asked for, changed. */
  readonly onChange: () => void;
}

/** Shards that are about to be removed. */
export interface Removal {
  readonly driver: StatefulSetDriver;
  /** How many stay. */
  readonly count: number;
  /** The generation of the StatefulSet that will not have them any more. */
  readonly generation: number;
  /** By shard id, `ShardRuntime.dataUntilMs` of those that told. */
  readonly dataUntilMs: ReadonlyMap<string, number>;
}

/** Tries of one `scale` when the StatefulSet changes at the same moments; its status does so often. */
const SCALE_ATTEMPTS = 5;

/**
 * The shards of one StatefulSet, which is one replica group. How many there are to be is what its spec says, never what
 * pods happen to be seen; the API being away changes nothing. A write replaces exactly the version that was read.
 */
export class StatefulSetDriver implements ShardDriver {
  readonly #options: StatefulSetDriverOptions;
  readonly #pods: ListWatch<ShardPod>;
  /** As last told by the watch. */
  #watched: StatefulSet;
  /** As this driver has written it, until the watch has caught up. */
  #written: StatefulSet | undefined;
  /** Restarts before the pod of now, by ordinal. */
  readonly #restarts = new Map<number, { uid: string; before: number; seen: number }>();
  readonly #history = new SetHistory();

  constructor(set: StatefulSet, options: StatefulSetDriverOptions) {
    this.#options = options;
    this.#watched = set;
    this.#history.add(set);
    this.#pods = new ListWatch({
      client: options.client,
      type: PODS,
      namespace: set.namespace,
      labelSelector: set.selector,
      project: readPod,
      clock: options.clock,
      random: options.random,
      logger: options.logger,
    });
    const { onChange } = options;
    this.#pods.subscribe({
      changed: onChange,
      deleted: onChange,
      listed: onChange,
      troubled: () => {},
    });
  }

  /** Follows the pods until `signal` aborts. */
  run(signal: AbortSignal): Promise<void> {
    return this.#pods.run(signal);
  }

  /** The newer of what was seen and what was written. */
  get set(): StatefulSet {
    const written = this.#written;
    const isNewer = written !== undefined && written.generation > this.#watched.generation;
    return isNewer ? written : this.#watched;
  }

  /** The watch has told of the StatefulSet. */
  update(set: StatefulSet): void {
    if (set.uid !== this.#watched.uid) {
      this.#written = undefined;
      this.#history.clear();
    }
    this.#watched = set;
    this.#history.add(set);
  }

  get desired(): number {
    return this.set.replicas;
  }

  shardId(ordinal: number): string {
    const { name, namespace, firstOrdinal } = this.set;
    const pod = `${name}-${firstOrdinal + ordinal}`;
    return this.#options.showsNamespace ? `${namespace}/${pod}` : pod;
  }

  /** Whether the pod with this ordinal is known to be gone. */
  isGone(ordinal: number): boolean {
    return this.#pods.isListed && this.#pod(ordinal) === undefined;
  }

  /** Whether the StatefulSet is known to have gone without this shard from `generation` on. */
  isGoneSince(ordinal: number, generation: number): boolean {
    return this.#history.isGoneSince(ordinal, generation);
  }

  async list(): Promise<readonly ShardInstance[]> {
    const { key } = this.set;
    if (!this.#pods.isListed)
      throw new AppError(
        "unavailable",
        `cannot list the shards of StatefulSet ${key}: ${this.#pods.trouble ?? "its pods are not known yet"}`,
      );
    return Array.from({ length: this.desired }, (_, ordinal) => this.#instance(ordinal));
  }

  async scale(count: number, dataUntilMs: ReadonlyMap<string, number> = new Map()): Promise<void> {
    const base = this.desired;
    if (count === base) return;
    this.#checkScale(count, dataUntilMs);
    const { client, onRemoval } = this.#options;
    let set = this.set;
    const target = { name: set.name, namespace: set.namespace };
    let announced = 0;
    for (let attempt = 1; ; attempt++) {
      this.#checkLeads();
      // The write changes the spec of exactly the version that was read.
      const generation = set.generation + 1;
      if (count < base && generation !== announced) {
        await onRemoval({ driver: this, count, generation, dataUntilMs });
        announced = generation;
        this.#checkLeads();
      }
      try {
        const { resourceVersion } = set;
        const scale = await client.replaceScale(STATEFUL_SETS, target, {
          replicas: count,
          resourceVersion,
        });
        this.#written = {
          ...set,
          replicas: count,
          generation,
          resourceVersion: scale.metadata.resourceVersion ?? resourceVersion,
        };
        return;
      } catch (error) {
        if (!(error instanceof KubeError) || !error.isConflict || attempt === SCALE_ATTEMPTS)
          throw error;
      }
      set = readStatefulSet(await client.get(STATEFUL_SETS, target));
      if (set.uid !== this.#watched.uid || set.replicas !== base)
        throw new AppError(
          "unavailable",
          `cannot scale StatefulSet ${set.key} from ${base} to ${count}: somebody set it to ${set.replicas} meanwhile`,
        );
    }
  }

  #checkLeads(): void {
    if (!this.#options.mayWrite())
      throw new AppError("canceled", `cannot scale StatefulSet ${this.set.key}: not leading`);
  }

  #checkScale(count: number, dataUntilMs: ReadonlyMap<string, number>): void {
    const { key, isPaused, deletesClaims, isDeleting } = this.set;
    const refuse = (reason: string): never => {
      throw new AppError("unavailable", `cannot scale StatefulSet ${key} to ${count}: ${reason}`);
    };
    if (isDeleting) refuse("it is being deleted");
    if (isPaused) refuse("its annotation shoal/paused says so");
    if (!deletesClaims) return;
    for (let ordinal = count; ordinal < this.desired; ordinal++)
      if (!isDataSafe(dataUntilMs.get(this.shardId(ordinal)), this.#options.clock.now()))
        refuse(
          `its persistentVolumeClaimRetentionPolicy deletes the volume of ${this.shardId(ordinal)}, whose data is not known to be safe elsewhere; set whenScaled to Retain`,
        );
  }

  #instance(ordinal: number): ShardInstance {
    const { port, grpcPort, zoneOf } = this.#options;
    const id = this.shardId(ordinal);
    const pod = this.#pod(ordinal);
    const restarts = this.#countRestarts(ordinal, pod);
    if (pod === undefined)
      return { id, ordinal, url: undefined, restarts, error: "there is no pod for it" };
    const { ip, problem, node } = pod;
    const place = { node, zone: zoneOf(node) };
    if (ip === undefined || problem !== undefined)
      return { id, ordinal, url: undefined, restarts, error: problem, ...place };
    const host = ip.includes(":") ? `[${ip}]` : ip;
    return {
      id,
      ordinal,
      url: `http://${host}:${port}`,
      grpcAddress: `${host}:${pod.grpcPort ?? grpcPort}`,
      restarts,
      ...place,
    };
  }

  #pod(ordinal: number): ShardPod | undefined {
    const { namespace, name, firstOrdinal, uid } = this.set;
    const pod = this.#pods.get(`${namespace}/${name}-${firstOrdinal + ordinal}`);
    return pod?.ownerUid === uid ? pod : undefined;
  }

  /** A new pod for an old one counts, too. */
  #countRestarts(ordinal: number, pod: ShardPod | undefined): number {
    const known = this.#restarts.get(ordinal);
    if (pod === undefined) return known === undefined ? 0 : known.before + known.seen;
    const isSame = known === undefined || known.uid === pod.uid;
    const before = isSame ? (known?.before ?? 0) : known.before + known.seen + 1;
    this.#restarts.set(ordinal, { uid: pod.uid, before, seen: pod.restarts });
    return before + pod.restarts;
  }
}
