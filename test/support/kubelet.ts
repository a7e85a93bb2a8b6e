/**
 * Runs pods of a cluster that has no kubelet: the containers that are Shoal become local processes with the arguments of
 * their manifest. Each pod has a loopback address of its own; `/data` is a folder that its claim stands for, kept when the
 * pod goes. Where volumes are real objects, it makes them, too.
 */
import type { ChildProcess } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isKubeStatus } from "../../src/kubernetes/kube-error.ts";
import {
  type KubeObject,
  PERSISTENT_VOLUME_CLAIMS,
  PODS,
  type ResourceType,
} from "../../src/kubernetes/resources.ts";
import type { Cluster } from "./kubernetes-cluster.ts";
import { SHOAL_COMMAND, startChild, stopProcess } from "./processes.ts";

const PERSISTENT_VOLUMES: ResourceType = {
  group: "",
  version: "v1",
  plural: "persistentvolumes",
  kind: "PersistentVolume",
  isNamespaced: false,
};

interface EnvironmentVariable {
  readonly name: string;
  readonly valueFrom?: { readonly fieldRef?: { readonly fieldPath: string } };
}

export interface Container {
  readonly name: string;
  readonly args: readonly string[];
  readonly env?: readonly EnvironmentVariable[];
}

interface Pod extends KubeObject {
  readonly spec: {
    readonly nodeName?: string;
    readonly containers: readonly Container[];
    readonly volumes?: readonly {
      readonly persistentVolumeClaim?: { readonly claimName: string };
    }[];
  };
}

/** A loopback network of the test's own, so that pods have fixed ports. */
export class PodNetwork {
  readonly #prefix: string;
  #next = 1;

  constructor() {
    const part = (): number => 1 + Math.floor(Math.random() * 250);
    this.#prefix = `127.${part()}.${part()}`;
  }

  address(): string {
    return `${this.#prefix}.${this.#next++}`;
  }
}

export class RunningContainer {
  readonly child: ChildProcess;
  #output = "";

  /** Starts the container of a pod with this address; `folders` are its mounts. */
  constructor(
    container: Container,
    pod: {
      readonly ip: string;
      readonly fields: Readonly<Record<string, string>>;
      readonly folders: Readonly<Record<string, string>>;
      readonly args?: readonly string[];
    },
  ) {
    const values = new Map(
      (container.env ?? []).map(({ name, valueFrom }) => {
        const path = valueFrom?.fieldRef?.fieldPath ?? "";
        const value = pod.fields[path];
        if (value === undefined) throw new Error(`the pod has no field ${path} for ${name}`);
        return [name, value];
      }),
    );
    const args = [...container.args, ...(pod.args ?? [])].map((argument) => {
      let text = argument.replaceAll(/\$\((\w+)\)/g, (_, name: string) => values.get(name) ?? "?");
      text = text.replaceAll(/0\.0\.0\.0|127\.0\.0\.1/g, pod.ip);
      for (const [mount, folder] of Object.entries(pod.folders))
        text = text.replace(new RegExp(`=${mount}(?=/|$)`), `=${folder}`);
      return text;
    });
    this.child = startChild(process.execPath, [...SHOAL_COMMAND, ...args]);
    for (const stream of [this.child.stdout!, this.child.stderr!])
      stream.on("data", (data: Buffer) => (this.#output += data.toString()));
  }

  get output(): string {
    return this.#output;
  }

  stop(): Promise<void> {
    return stopProcess(this.child);
  }
}

interface Running {
  readonly uid: string;
  readonly name: string;
  readonly ip: string;
  readonly containers: readonly RunningContainer[];
}

export interface KubeletOptions {
  readonly cluster: Cluster;
  readonly namespace: string;
  readonly network: PodNetwork;
  /** Claims' folders are made in it. */
  readonly folder: string;
  /** Whether this pod's containers are run here; others are left alone. */
  readonly runs: (pod: KubeObject) => boolean;
}

export class Kubelet {
  readonly running = new Map<string, Running>();
  readonly #options: KubeletOptions;
  readonly #abort = new AbortController();
  #isBlocked = false;
  #work: Promise<void> = Promise.resolve();

  constructor(options: KubeletOptions) {
    this.#options = options;
  }

  start(): void {
    this.#work = this.#run();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#work;
    for (const pod of this.running.values())
      await Promise.all(pod.containers.map((container) => container.stop()));
  }

  /** In a fake cluster, which has no scheduler: new pods find no node. */
  blockScheduling(): void {
    this.#isBlocked = true;
  }

  async #run(): Promise<void> {
    while (!this.#abort.signal.aborted) {
      // The API may be away: what runs runs on.
      await this.#look().catch(() => {});
      await sleep(200);
    }
  }

  async #look(): Promise<void> {
    const { client } = this.#options.cluster;
    const { namespace, runs } = this.#options;
    if (this.#options.cluster.kind === "real") await this.#makeVolumes();
    const { items } = await client.list<Pod>(PODS, { namespace });
    const listed = new Map(items.map((pod) => [pod.metadata.uid, pod]));
    for (const running of this.running.values()) {
      const pod = listed.get(running.uid);
      if (pod !== undefined && pod.metadata.deletionTimestamp === undefined) continue;
      await Promise.all(running.containers.map((container) => container.stop()));
      this.running.delete(running.uid);
    }
    for (const pod of items)
      if (pod.metadata.deletionTimestamp !== undefined) await this.#confirmDeletion(pod);
      else if (runs(pod) && !this.running.has(pod.metadata.uid!)) await this.#startPod(pod);
  }

  async #startPod(pod: Pod): Promise<void> {
    const { cluster, network, folder, namespace } = this.#options;
    const { metadata, spec } = pod;
    const name = metadata.name!;
    if (cluster.kind === "real" && spec.nodeName === undefined) return;
    if (cluster.kind === "fake" && this.#isBlocked) {
      const message = "0/1 nodes are available: 1 node(s) were unschedulable.";
      return this.#setStatus(name, {
        phase: "Pending",
        conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable", message }],
      });
    }
    const { fake } = cluster;
    if (fake !== undefined) {
      const scheduled = fake.get("pods", name, namespace)!;
      fake.put("pods", { ...scheduled, spec: { ...spec, nodeName: "n1" } });
    }
    const claim = spec.volumes?.find(
      ({ persistentVolumeClaim }) => persistentVolumeClaim !== undefined,
    )?.persistentVolumeClaim?.claimName;
    const data = join(folder, claim ?? `${name}-${metadata.uid}`);
    mkdirSync(data, { recursive: true });
    const ip = network.address();
    const labels = Object.entries(metadata.labels ?? {}).map(
      ([key, value]) => [`metadata.labels['${key}']`, value] as const,
    );
    const fields = {
      "metadata.name": name,
      "metadata.namespace": namespace,
      "status.podIP": ip,
      ...Object.fromEntries(labels),
    };
    const containers = spec.containers.map(
      (container) => new RunningContainer(container, { ip, fields, folders: { "/data": data } }),
    );
    this.running.set(metadata.uid!, { uid: metadata.uid!, name, ip, containers });
    await this.#setStatus(name, {
      phase: "Running",
      podIP: ip,
      podIPs: [{ ip }],
      hostIP: "127.0.0.1",
      conditions: ["PodScheduled", "Initialized", "ContainersReady", "Ready"].map((type) => ({
        type,
        status: "True",
      })),
      containerStatuses: spec.containers.map((container) => ({
        name: container.name,
        image: "shoal",
        imageID: "",
        ready: true,
        restartCount: 0,
        state: { running: {} },
      })),
    });
  }

  async #setStatus(name: string, status: object): Promise<void> {
    const { cluster, namespace } = this.#options;
    await cluster.client.patch(PODS, { name, namespace }, { status }, { subresource: "status" });
  }

  /** The API server keeps a pod that is being deleted until its node has said that nothing runs any more. */
  async #confirmDeletion({ metadata }: Pod): Promise<void> {
    const { cluster, namespace } = this.#options;
    await cluster.client
      .delete(PODS, { name: metadata.name!, namespace }, { gracePeriodSeconds: 0 })
      .catch((error: unknown) => {
        if (!isKubeStatus(error, 404)) throw error;
      });
  }

  /** What a provisioner does: a volume for each claim that has none. */
  async #makeVolumes(): Promise<void> {
    const { cluster, namespace, folder } = this.#options;
    const claims = await cluster.client.list<KubeObject>(PERSISTENT_VOLUME_CLAIMS, { namespace });
    for (const { metadata } of claims.items) {
      const volume = {
        metadata: { name: `${namespace}-${metadata.name}` },
        spec: {
          capacity: { storage: "20Gi" },
          accessModes: ["ReadWriteOnce"],
          persistentVolumeReclaimPolicy: "Retain",
          hostPath: { path: join(folder, metadata.name!) },
          claimRef: { kind: "PersistentVolumeClaim", namespace, name: metadata.name },
        },
      };
      await cluster.client.create(PERSISTENT_VOLUMES, volume).catch((error: unknown) => {
        if (!isKubeStatus(error, 409)) throw error;
      });
    }
  }
}
