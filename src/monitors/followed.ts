import { isDeepStrictEqual } from "node:util";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import type { KubeClient } from "../kubernetes/client.ts";
import { isKubeStatus } from "../kubernetes/kube-error.ts";
import { ListWatch } from "../kubernetes/list-watch.ts";
import type { KubeObject, ResourceType } from "../kubernetes/resources.ts";

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
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Something changed. */
  readonly onChange: () => void;
}

/**
 * The objects of one type. What was listed once stands through every outage; where the scope changes, the objects of the
 * former one stand until the new one is listed.
 */
export class FollowedObjects {
  readonly type: ResourceType;
  readonly #options: FollowOptions;
  #scope: FollowScope | undefined;
  #watch: ListWatch<Followed> | undefined;
  #stopping = new AbortController();
  #former: readonly Followed[] = [];
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
    const current = watch?.isListed === true ? [...watch.entries()].map(([, one]) => one) : [];
    return (watch?.isListed === true ? current : [...this.#former]).sort((a, b) =>
      keyOf(a) < keyOf(b) ? -1 : 1,
    );
  }

  follow(scope: FollowScope): void {
    if (this.#watch !== undefined && isDeepStrictEqual(scope, this.#scope)) return;
    this.#former = this.objects();
    this.#stopping.abort();
    this.#stopping = new AbortController();
    this.#scope = scope;
    const { onChange, ...options } = this.#options;
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
      deleted: onChange,
      listed: () => {
        this.#knowledge = "known";
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
  const { namespace = "", name = "", labels = {} } = object.metadata;
  return { namespace, name, labels, spec: "spec" in object ? (object.spec ?? {}) : {} };
}
