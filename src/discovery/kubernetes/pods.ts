import type { KubeObject } from "../../kubernetes/resources.ts";
import type { TargetGroup } from "../../model/target.ts";
import { joinHostPort } from "../meta-labels.ts";
import { controllerOf, type LabelRecord, type MetaLabels } from "./meta-labels.ts";
import type { Maybe, RawCondition, RawPort } from "./raw.ts";
import type { Surroundings } from "./surroundings.ts";

export interface ContainerPort {
  readonly name: string;
  readonly number: number;
  readonly protocol: string;
}

export interface Container {
  readonly name: string;
  readonly image: string;
  readonly id: string;
  readonly isInit: boolean;
  readonly ports: readonly ContainerPort[];
}

export interface Pod {
  readonly namespace: string;
  /** "" while it has none: then there is nothing to scrape. */
  readonly ip: string;
  readonly nodeName: string;
  /** What runs it, by `kind`; undefined when nothing does. */
  readonly controller: { readonly kind: string; readonly name: string } | undefined;
  /** `__meta_kubernetes_namespace` and all `__meta_kubernetes_pod_*` that are the same for all containers. */
  readonly labels: LabelRecord;
  /** Init containers last. */
  readonly containers: readonly Container[];
}

type RawContainer = Maybe<{ name: string; image: string; ports: readonly RawPort[] }>;
type RawStatus = Maybe<{ name: string; containerID: string }>;

interface RawPod extends KubeObject {
  readonly spec?: Maybe<{
    nodeName: string;
    containers: readonly RawContainer[];
    initContainers: readonly RawContainer[];
  }>;
  readonly status?: Maybe<{
    podIP: string;
    hostIP: string;
    phase: string;
    conditions: readonly RawCondition[];
    containerStatuses: readonly RawStatus[];
    initContainerStatuses: readonly RawStatus[];
  }>;
}

export function projectPod(meta: MetaLabels, object: KubeObject): Pod {
  const { metadata, spec, status } = object as RawPod;
  const controller = controllerOf(metadata);
  const ready = status?.conditions?.find(({ type }) => type === "Ready")?.status ?? "Unknown";
  const namespace = meta.intern(metadata.namespace ?? "");
  const nodeName = meta.intern(spec?.nodeName ?? "");
  const labels = meta.start(namespace);
  labels["__meta_kubernetes_pod_ip"] = status?.podIP ?? "";
  labels["__meta_kubernetes_pod_ready"] = meta.intern(ready.toLowerCase());
  labels["__meta_kubernetes_pod_phase"] = meta.intern(status?.phase ?? "");
  labels["__meta_kubernetes_pod_node_name"] = nodeName;
  labels["__meta_kubernetes_pod_host_ip"] = meta.intern(status?.hostIP ?? "");
  labels["__meta_kubernetes_pod_uid"] = metadata.uid ?? "";
  if (controller !== undefined) {
    if (controller.kind !== "")
      labels["__meta_kubernetes_pod_controller_kind"] = meta.intern(controller.kind);
    if (controller.name !== "")
      labels["__meta_kubernetes_pod_controller_name"] = meta.intern(controller.name);
  }
  meta.addObject(labels, "pod", metadata);
  const containers = (
    list: readonly RawContainer[] | null | undefined,
    statuses: readonly RawStatus[] | null | undefined,
    isInit: boolean,
  ): Container[] =>
    (list ?? []).map(({ name, image, ports }) => ({
      name: meta.intern(name ?? ""),
      image: meta.intern(image ?? ""),
      id: statuses?.find((one) => one.name === name)?.containerID ?? "",
      isInit,
      ports: (ports ?? []).map((port) => ({
        name: meta.intern(port.name ?? ""),
        number: port.containerPort ?? 0,
        protocol: meta.intern(port.protocol ?? ""),
      })),
    }));
  return {
    namespace,
    ip: status?.podIP ?? "",
    nodeName,
    controller,
    labels,
    containers: [
      ...containers(spec?.containers, status?.containerStatuses, false),
      ...containers(spec?.initContainers, status?.initContainerStatuses, true),
    ],
  };
}

/** The labels of a pod, with the names of what controls its controller where they are asked for. */
export function podLabels(pod: Pod, around: Surroundings): LabelRecord {
  const { controller, namespace, labels } = pod;
  const { attach } = around;
  const owner = (kind: "replicasets" | "jobs"): { kind: string; name: string } | undefined =>
    around.get(kind, namespace, `${namespace}/${controller!.name}`)?.controller;
  if (controller?.kind === "ReplicaSet" && attach.deployment) {
    const deployment = owner("replicasets");
    if (deployment?.kind === "Deployment")
      return { ...labels, __meta_kubernetes_pod_deployment_name: deployment.name };
  }
  if (controller?.kind === "Job" && (attach.job || attach.cronjob)) {
    const cronjob = attach.cronjob ? owner("jobs") : undefined;
    return {
      ...labels,
      ...(attach.job && { __meta_kubernetes_pod_job_name: controller.name }),
      ...(cronjob?.kind === "CronJob" && { __meta_kubernetes_pod_cronjob_name: cronjob.name }),
    };
  }
  return labels;
}

/** One target for each port of each container; a container without ports is one target without a port. */
export function podGroup(source: string, pod: Pod, around: Surroundings): TargetGroup {
  const nothing = { source, labels: {}, targets: [] };
  if (pod.ip === "") return nothing;
  let labels = podLabels(pod, around);
  if (around.attach.node) {
    const node = around.node(pod.nodeName);
    // On a node that the selectors leave out, or on none yet.
    if (node === undefined) return nothing;
    labels = { ...labels, ...node.labels };
  }
  if (around.attach.namespace) labels = { ...labels, ...around.namespaceLabels(pod.namespace) };
  return {
    source,
    labels,
    targets: pod.containers.flatMap((container) =>
      container.ports.length === 0
        ? {
            __address__: pod.ip,
            __meta_kubernetes_pod_container_name: container.name,
            __meta_kubernetes_pod_container_id: container.id,
            __meta_kubernetes_pod_container_image: container.image,
            __meta_kubernetes_pod_container_init: String(container.isInit),
          }
        : container.ports.map((port) => ({
            __address__: joinHostPort(pod.ip, port.number),
            __meta_kubernetes_pod_container_name: container.name,
            __meta_kubernetes_pod_container_id: container.id,
            __meta_kubernetes_pod_container_image: container.image,
            __meta_kubernetes_pod_container_port_number: String(port.number),
            __meta_kubernetes_pod_container_port_name: port.name,
            __meta_kubernetes_pod_container_port_protocol: port.protocol,
            __meta_kubernetes_pod_container_init: String(container.isInit),
          })),
    ),
  };
}
