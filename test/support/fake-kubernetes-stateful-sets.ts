/**
 * The StatefulSet controller of a fake API server: pods `name-0` … for the replicas of the spec, in order or all at once,
 * a claim for each of its volume templates, which stay when pods go, and the status. It also plays the kubelet: pods
 * become ready.
 */
import type { FakeObject, FakeStore, FakeType } from "./fake-kubernetes-store.ts";
import { FAKE_TYPES, fakeType } from "./fake-kubernetes-types.ts";

export interface StatefulSetOptions {
  /** What becomes of a new pod. Default: it is running and ready at once. `undefined`: the test sets the status itself. */
  readonly podStatus?: (pod: FakeObject, ordinal: number) => Record<string, unknown> | undefined;
}

interface StatefulSetSpec {
  readonly replicas?: number;
  readonly serviceName?: string;
  readonly podManagementPolicy?: "OrderedReady" | "Parallel";
  readonly selector?: { readonly matchLabels?: Readonly<Record<string, string>> };
  readonly template?: {
    readonly metadata?: {
      readonly labels?: Record<string, string>;
      readonly annotations?: Record<string, string>;
    };
    readonly spec?: Record<string, unknown>;
  };
  readonly volumeClaimTemplates?: readonly FakeObject[];
  readonly persistentVolumeClaimRetentionPolicy?: { readonly whenScaled?: string };
}

const PODS = fakeType(FAKE_TYPES, "pods");
const CLAIMS = fakeType(FAKE_TYPES, "persistentvolumeclaims");
const STATEFUL_SETS = fakeType(FAKE_TYPES, "statefulsets");

export class StatefulSetController {
  readonly #store: FakeStore;
  readonly #options: StatefulSetOptions;
  readonly #stop: () => void;
  readonly #dirty = new Set<string>();
  #isWorking = false;

  constructor(store: FakeStore, options: StatefulSetOptions) {
    this.#store = store;
    this.#options = options;
    this.#stop = store.onChange((type, { object }) => this.#look(type, object));
  }

  stop(): void {
    this.#stop();
  }

  #look(type: FakeType, object: FakeObject): void {
    const { namespace, name } = object.metadata;
    if (type === STATEFUL_SETS) this.#dirty.add(`${namespace}/${name}`);
    else if (type === PODS)
      for (const owner of object.metadata.ownerReferences ?? [])
        if (owner.kind === "StatefulSet") this.#dirty.add(`${namespace}/${owner.name}`);
    if (this.#isWorking || this.#dirty.size === 0) return;
    this.#isWorking = true;
    // After the write that led here has been answered.
    setImmediate(() => {
      while (this.#dirty.size > 0)
        for (const key of this.#dirty) {
          this.#dirty.delete(key);
          const [namespaceOf, nameOf] = key.split("/") as [string, string];
          const set = this.#store.get(STATEFUL_SETS, namespaceOf, nameOf);
          if (set !== undefined) this.#reconcile(set);
        }
      this.#isWorking = false;
    });
  }

  #reconcile(set: FakeObject): void {
    const spec = (set["spec"] ?? {}) as StatefulSetSpec;
    const replicas = spec.replicas ?? 1;
    const isOrdered = spec.podManagementPolicy !== "Parallel";
    const namespace = set.metadata.namespace!;
    const pods = this.#store
      .list(PODS, { namespace, labelSelector: "", fieldSelector: "" })
      .filter(
        (pod) => pod.metadata.ownerReferences?.some((one) => one.uid === set.metadata.uid) === true,
      );
    const byOrdinal = new Map(pods.map((pod) => [ordinalOf(pod), pod]));
    for (let ordinal = 0; ordinal < replicas; ordinal++) {
      const pod = byOrdinal.get(ordinal) ?? this.#createPod(set, spec, ordinal);
      byOrdinal.set(ordinal, pod);
      // In order, each pod waits for the one before it.
      if (isOrdered && !isReady(pod)) break;
    }
    const surplus = [...byOrdinal.keys()].filter((one) => one >= replicas).sort((a, b) => b - a);
    for (const ordinal of surplus) {
      this.#store.remove(PODS, namespace, byOrdinal.get(ordinal)!.metadata.name);
      byOrdinal.delete(ordinal);
      if (spec.persistentVolumeClaimRetentionPolicy?.whenScaled === "Delete")
        for (const template of spec.volumeClaimTemplates ?? [])
          this.#store.remove(CLAIMS, namespace, claimName(template, set, ordinal));
    }
    this.#writeStatus(set, [...byOrdinal.values()]);
  }

  #createPod(set: FakeObject, spec: StatefulSetSpec, ordinal: number): FakeObject {
    const namespace = set.metadata.namespace!;
    const name = `${set.metadata.name}-${ordinal}`;
    const volumes = (spec.volumeClaimTemplates ?? []).map((template) => {
      const claim = claimName(template, set, ordinal);
      if (this.#store.get(CLAIMS, namespace, claim) === undefined)
        this.#store.put(CLAIMS, {
          metadata: { name: claim, namespace, labels: { ...spec.selector?.matchLabels } },
          spec: template["spec"],
          status: { phase: "Bound" },
        });
      return { name: template.metadata.name, persistentVolumeClaim: { claimName: claim } };
    });
    const { labels, annotations } = spec.template?.metadata ?? {};
    const { uid } = set.metadata;
    const pod: FakeObject = {
      metadata: {
        name,
        namespace,
        labels: {
          ...labels,
          "apps.kubernetes.io/pod-index": String(ordinal),
          "statefulset.kubernetes.io/pod-name": name,
        },
        ...(annotations !== undefined && { annotations }),
        ownerReferences: [
          {
            apiVersion: "apps/v1",
            kind: "StatefulSet",
            name: set.metadata.name,
            uid: uid!,
            controller: true,
            blockOwnerDeletion: true,
          } as never,
        ],
      },
      spec: { ...spec.template?.spec, hostname: name, subdomain: spec.serviceName ?? "", volumes },
      status: { phase: "Pending" },
    };
    const created = this.#store.put(PODS, pod);
    const status = (this.#options.podStatus ?? readyStatus)(created, ordinal);
    return status === undefined ? created : this.#store.put(PODS, { ...created, status });
  }

  #writeStatus(set: FakeObject, pods: readonly FakeObject[]): void {
    const ready = pods.filter(isReady).length;
    const status = {
      observedGeneration: set.metadata.generation,
      replicas: pods.length,
      readyReplicas: ready,
      availableReplicas: ready,
      currentReplicas: pods.length,
      updatedReplicas: pods.length,
    };
    const current = this.#store.get(STATEFUL_SETS, set.metadata.namespace, set.metadata.name);
    if (current === undefined || JSON.stringify(current["status"]) === JSON.stringify(status))
      return;
    this.#store.put(STATEFUL_SETS, { ...current, status });
  }
}

/** Running on loopback and ready. */
export function readyStatus(_pod: FakeObject, ordinal: number): Record<string, unknown> {
  return {
    phase: "Running",
    podIP: `127.0.0.${ordinal + 1}`,
    hostIP: "127.0.0.1",
    conditions: [{ type: "Ready", status: "True" }],
  };
}

function isReady(pod: FakeObject): boolean {
  const { conditions } = (pod["status"] ?? {}) as {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
  return conditions?.some((one) => one.type === "Ready" && one.status === "True") === true;
}

function ordinalOf(pod: FakeObject): number {
  return Number(pod.metadata.name.slice(pod.metadata.name.lastIndexOf("-") + 1));
}

function claimName(template: FakeObject, set: FakeObject, ordinal: number): string {
  return `${template.metadata.name}-${set.metadata.name}-${ordinal}`;
}
