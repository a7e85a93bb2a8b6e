import { messageOf } from "../../base/errors.ts";
import type { Counter } from "../../base/metrics.ts";
import type { KubernetesDiscovery } from "../../config/types.ts";
import { ownNamespace } from "../../kubernetes/connection.ts";
import type { TargetGroup } from "../../model/target.ts";
import { pause, type Mechanism, type MechanismContext, type Report } from "../mechanism.ts";
import { Groups } from "./groups.ts";
import { ROLES, ROLE_OF_KIND, type Kind, type Kinds, type RoleDefinition } from "./kinds.ts";
import type { Watching } from "./watches.ts";

const OWN_NAMESPACE_RETRY_MS = 10_000;
/** Groups made in one go at the start, so that 100,000 of them do not hold everything else up. */
const BATCH_GROUPS = 1000;

/** Where a namespaced kind is watched when all namespaces are, and where the kinds are that are in none. */
const EVERYWHERE = "";

interface Watched {
  readonly kind: Kind;
  readonly namespace: string;
  readonly watching: Watching<Kind>;
}

/**
 * Targets from the objects of a Kubernetes cluster, by watching them: one group for each pod, service, node, ingress,
 * endpoints object or slice. The first report comes when everything has been listed. From then on changes are reported as
 * they come, and made into groups when the next delivery takes them.
 */
export function createKubernetes(
  config: KubernetesDiscovery,
  context: MechanismContext,
): Mechanism {
  return {
    async run(report, signal) {
      const namespaces = await namespacesOf(config, { context, report, signal });
      if (signal.aborted) return;
      const watched = acquireAll(config, namespaces, context);
      const follower = new Follower({ config, context, watched, report, signal });
      await aborted(signal);
      follower.stop();
      for (const { watching } of watched) watching.release();
    },
  };
}

/** `EVERYWHERE` alone when nothing is named. */
async function namespacesOf(
  config: KubernetesDiscovery,
  options: { context: MechanismContext; report: Report; signal: AbortSignal },
): Promise<ReadonlySet<string>> {
  const { context, report, signal } = options;
  const { names, ownNamespace: includesOwn } = config.namespaces;
  if (!includesOwn) return new Set(names.length === 0 ? [EVERYWHERE] : names);
  while (!signal.aborted) {
    try {
      return new Set([...names, await ownNamespace()]);
    } catch (error) {
      context.logger.error("cannot discover Kubernetes targets", { error });
      report({ errors: [messageOf(error)] });
      await pause(context.clock, OWN_NAMESPACE_RETRY_MS, signal);
    }
  }
  return new Set();
}

function acquireAll(
  config: KubernetesDiscovery,
  namespaces: ReadonlySet<string>,
  context: MechanismContext,
): Watched[] {
  const { role, attachMetadata: attach, apiServer, kubeconfigFile, httpClient } = config;
  const access = { apiServer, kubeconfigFile, httpClient };
  const { kind: own, besides } = ROLES[role];
  const kinds: Kind[] = [own, ...besides];
  const hasPods = kinds.includes("pods");
  if (attach.node && hasPods) kinds.push("nodes");
  if (attach.namespace && role !== "node") kinds.push("namespaces");
  if (attach.deployment && hasPods) kinds.push("replicasets");
  if (attach.cronjob && hasPods) kinds.push("jobs");
  return kinds.flatMap((kind) => {
    const selectorRole = ROLE_OF_KIND[kind];
    const selector = config.selectors.find((one) => one.role === selectorRole);
    const isIn = kind === "nodes" || kind === "namespaces" ? [EVERYWHERE] : [...namespaces];
    return isIn.map((namespace) => ({
      kind,
      namespace,
      watching: context.kubernetes.acquire({
        access,
        kind,
        namespace: namespace === EVERYWHERE ? undefined : namespace,
        label: selector?.label ?? "",
        field: selector?.field ?? "",
      }),
    }));
  });
}

/** Listens to the watches of one mechanism and reports. */
class Follower {
  readonly #report: Report;
  readonly #signal: AbortSignal;
  readonly #context: MechanismContext;
  readonly #watched: readonly Watched[];
  readonly #groups: Groups;
  readonly #role: KubernetesDiscovery["role"];
  readonly #unsubscribe: (() => void)[];
  /** `listing` until everything is listed, `building` until the first report is made of it. */
  #state: "listing" | "building" | "following" = "listing";
  /** Whether changes are reported that nobody has taken yet. */
  #isPending = false;

  constructor(options: {
    config: KubernetesDiscovery;
    context: MechanismContext;
    watched: readonly Watched[];
    report: Report;
    signal: AbortSignal;
  }) {
    const { config, context, watched } = options;
    this.#report = options.report;
    this.#signal = options.signal;
    this.#context = context;
    this.#watched = watched;
    this.#role = config.role;
    const definition: unknown = ROLES[config.role];
    const byPlace = new Map(
      watched.map(({ kind, namespace, watching }) => [`${kind} ${namespace}`, watching.objects]),
    );
    // A definition is used with objects of its own kind only, which `find` gives it.
    this.#groups = new Groups(definition as RoleDefinition<Kind>, {
      attach: config.attachMetadata,
      find: <K extends Kind>(kind: K, namespace: string | undefined, key: string) => {
        const objects =
          byPlace.get(`${kind} ${EVERYWHERE}`) ?? byPlace.get(`${kind} ${namespace ?? EVERYWHERE}`);
        return objects?.get(key) as Kinds[K] | undefined;
      },
    });
    this.#unsubscribe = watched.map((one) => this.#follow(one));
    this.#checkListed();
  }

  stop(): void {
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
  }

  #follow({ kind, watching }: Watched): () => void {
    const events = this.#eventCounters(kind);
    const touch = (key: string): void => {
      if (this.#groups.touch(kind, key)) this.#reportChanges();
    };
    for (const [key] of watching.objects.entries()) touch(key);
    return watching.objects.subscribe({
      changed: (key, _value, before) => {
        (before === undefined ? events?.add : events?.update)?.inc();
        touch(key);
      },
      deleted: (key) => {
        events?.delete.inc();
        // Endpoints that still name a pod which is gone are about to change, too: without the pod's labels they would be
        // other targets until then.
        if (kind !== "pods" || this.#role === "pod") touch(key);
      },
      listed: () => this.#checkListed(),
      troubled: () => this.#report({ errors: this.#errors() }),
    });
  }

  #eventCounters(kind: Kind): Record<"add" | "update" | "delete", Counter> | undefined {
    const role = ROLE_OF_KIND[kind];
    if (role === undefined) return undefined;
    const counter = (event: string): Counter =>
      this.#context.registry.counter(
        "prometheus_sd_kubernetes_events_total",
        "The number of Kubernetes events handled.",
        { role, event },
      );
    return { add: counter("add"), update: counter("update"), delete: counter("delete") };
  }

  #errors(): string[] {
    const troubles = this.#watched.flatMap(({ watching }) => watching.objects.trouble ?? []);
    return [...new Set(troubles)];
  }

  #checkListed(): void {
    if (this.#state !== "listing") return;
    if (!this.#watched.every(({ watching }) => watching.objects.isListed)) return;
    this.#state = "building";
    void this.#buildAll();
  }

  /** The first report. What changes meanwhile is reported right after it. */
  async #buildAll(): Promise<void> {
    const groups = new Map<string, TargetGroup>();
    for (;;) {
      const batch = this.#groups.take(BATCH_GROUPS);
      for (const group of batch)
        if (group.targets.length > 0) groups.set(group.source, group);
        else groups.delete(group.source);
      if (batch.length < BATCH_GROUPS) break;
      await pause(this.#context.clock, 0, this.#signal);
      if (this.#signal.aborted) return;
    }
    this.#state = "following";
    this.#report({ groups: [...groups.values()], errors: this.#errors() });
  }

  #reportChanges(): void {
    if (this.#state !== "following" || this.#isPending) return;
    this.#isPending = true;
    this.#report({
      changes: () => {
        this.#isPending = false;
        return this.#groups.take();
      },
      errors: this.#errors(),
    });
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
