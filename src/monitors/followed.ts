import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import type { KubeClient } from "../kubernetes/client.ts";
import { isKubeStatus } from "../kubernetes/kube-error.ts";
import { ListWatch } from "../kubernetes/list-watch.ts";
import { describeType, type KubeObject, type ResourceType } from "../kubernetes/resources.ts";

/** What is kept of an object. */
export interface Followed {
  readonly namespace: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly spec: unknown;
}

export interface FollowScope {
  /** Undefined: all. */
  readonly namespace: string | undefined;
  /** Undefined: of any name. */
  readonly name?: string;
}

/** `known`: listed. `refused`: a definite no (404, 403). `unknown`: the API has not answered. */
export type Knowledge = "known" | "refused" | "unknown";

export interface FollowOptions {
  readonly client: KubeClient;
  /** How long a list that suddenly lacks most of the objects must stand before it is believed. */
  readonly holdMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Something changed. */
  readonly onChange: () => void;
}

/** A list that lacks more than this share of what was there before must say so for the hold time. */
const SUSPICIOUS_SHARE = 0.5;

/**
 * The objects of one type. What was listed once stands through every outage; where the scope changes, the objects of the
 * former one stand until the new one is listed. An object that is deleted is gone at once; what a new list lacks is not, when
 * it is most of them: a server may fail by answering with too little.
 */
export class FollowedObjects {
  readonly type: ResourceType;
  readonly #options: FollowOptions;
  #scope: FollowScope | undefined;
  #watch: ListWatch<Followed> | undefined;
  #stopping = new AbortController();
  #former: readonly Followed[] = [];
  /** Deleted since others last ran: by a list, if the end of that list follows. */
  #lost: Followed[] = [];
  /** Lost in a list that is not believed yet, by key. */
  #held = new Map<string, Followed>();
  #knowledge: Knowledge = "unknown";
  #trouble: string | undefined;

  constructor(type: ResourceType, options: FollowOptions) {
    this.type = type;
    this.#options = options;
  }

  get knowledge(): Knowledge {
    return this.#knowledge;
  }

  /** What goes wrong now. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  /** In order of namespace and name. */
  objects(): Followed[] {
    const watch = this.#watch;
    const isListed = watch?.isListed === true;
    const current = new Map(isListed ? [...this.#held, ...watch.entries()] : []);
    return [...(isListed ? current.values() : this.#former)].sort((a, b) =>
      keyOf(a) < keyOf(b) ? -1 : 1,
    );
  }

  follow(scope: FollowScope): void {
    if (this.#watch !== undefined && isDeepStrictEqual(scope, this.#scope)) return;
    this.#former = this.objects();
    this.#stopping.abort();
    this.#stopping = new AbortController();
    this.#scope = scope;
    this.#held.clear();
    const { onChange, holdMs: _, ...options } = this.#options;
    const watch = new ListWatch<Followed>({
      ...options,
      type: this.type,
      namespace: scope.namespace,
      fieldSelector: scope.name === undefined ? "" : `metadata.name=${scope.name}`,
      project,
      isSame: isDeepStrictEqual,
      onFailure: (error) => this.#fail(watch, error),
    });
    watch.subscribe({
      changed: onChange,
      deleted: (_key, object) => {
        this.#lost.push(object);
        queueMicrotask(() => (this.#lost = []));
        onChange();
      },
      listed: () => {
        this.#knowledge = "known";
        this.#holdLost(watch.size);
        onChange();
      },
      troubled: (trouble) => {
        this.#trouble = trouble;
        onChange();
      },
    });
    this.#watch = watch;
    void watch.run(this.#stopping.signal);
  }

  stop(): void {
    this.#stopping.abort();
    this.#watch = undefined;
    this.#scope = undefined;
    this.#former = [];
    this.#knowledge = "unknown";
    this.#trouble = undefined;
  }

  /** Keeps for a while what a list of `count` objects lacks, when that is most of what there was. */
  #holdLost(count: number): void {
    const lost = this.#lost;
    if (lost.length <= (count + lost.length) * SUSPICIOUS_SHARE) return;
    const { clock, logger, holdMs, onChange } = this.#options;
    logger.warn("a list suddenly lacks most of the objects; they stand for the hold time", {
      resource: describeType(this.type),
      listed: count,
      missing: lost.length,
    });
    const held = new Map(lost.map((object) => [keyOf(object), object]));
    for (const [key, object] of held) this.#held.set(key, object);
    clock.after(holdMs, () => {
      for (const [key, object] of held) if (this.#held.get(key) === object) this.#held.delete(key);
      onChange();
    });
  }

  #fail(watch: ListWatch<Followed>, error: unknown): void {
    if (watch !== this.#watch || watch.isListed) return;
    const isDefinite = isKubeStatus(error, 404) || isKubeStatus(error, 403);
    this.#knowledge = isDefinite ? "refused" : "unknown";
  }
}

export function keyOf({ namespace, name }: Pick<Followed, "namespace" | "name">): string {
  return namespace === "" ? name : `${namespace}/${name}`;
}

function project(object: KubeObject): Followed {
  const { namespace = "", name = "", labels } = object.metadata;
  return {
    namespace,
    name,
    labels: labels ?? {},
    spec: "spec" in object ? (object.spec ?? {}) : {},
  };
}
