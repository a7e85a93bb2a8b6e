import { joinHostPort } from "../meta-labels.ts";
import type { LabelRecord } from "./meta-labels.ts";
import { podLabels, type Container, type ContainerPort, type Pod } from "./pods.ts";
import type { TargetRef } from "./raw.ts";
import type { Surroundings } from "./surroundings.ts";

export interface Endpoint {
  readonly ip: string;
  /** Undefined for all ports: the address then goes without one. */
  readonly port: number | undefined;
  /** What is shown as the container port's protocol; undefined for the container port's own. */
  readonly portProtocol: string | undefined;
  readonly labels: LabelRecord;
  readonly target: TargetRef | undefined;
  /** Whose labels are attached. */
  readonly nodeName: string | undefined;
}

/**
 * The targets of one list of endpoints: those it names, and then those that its pods have besides, on ports that it does
 * not name.
 */
export class EndpointTargets {
  readonly #around: Surroundings;
  readonly #targets: LabelRecord[] = [];
  readonly #pods = new Map<Pod, Set<number>>();

  constructor(around: Surroundings) {
    this.#around = around;
  }

  add(endpoint: Endpoint): void {
    const { ip, port, target, nodeName } = endpoint;
    const around = this.#around;
    const labels: Record<string, string> = {
      __address__: port === undefined ? ip : joinHostPort(ip, port),
      ...endpoint.labels,
    };
    if (around.attach.node && nodeName !== undefined)
      Object.assign(labels, around.node(nodeName)?.labels);
    this.#targets.push(labels);
    if (target?.kind !== "Pod") return;
    const pod = around.get("pods", target.namespace, `${target.namespace}/${target.name}`);
    if (pod === undefined) return;
    addPodLabels(labels, pod, around);
    for (const container of pod.containers) {
      const named = container.ports.find(({ number }) => number === port);
      // Where several containers name the port, the last one is shown.
      if (named !== undefined)
        addContainer(labels, container, {
          ...named,
          protocol: endpoint.portProtocol ?? named.protocol,
        });
    }
    let ports = this.#pods.get(pod);
    if (ports === undefined) this.#pods.set(pod, (ports = new Set()));
    if (port !== undefined) ports.add(port);
  }

  all(): readonly LabelRecord[] {
    for (const [pod, ports] of this.#pods) {
      if (pod.ip === "") continue;
      for (const container of pod.containers)
        for (const port of container.ports) {
          if (ports.has(port.number)) continue;
          const labels: Record<string, string> = { __address__: joinHostPort(pod.ip, port.number) };
          addContainer(labels, container, port);
          addPodLabels(labels, pod, this.#around);
          this.#targets.push(labels);
        }
    }
    return this.#targets;
  }
}

/** All but the namespace, which is the group's. */
function addPodLabels(labels: Record<string, string>, pod: Pod, around: Surroundings): void {
  const { __meta_kubernetes_namespace: _namespace, ...own } = podLabels(pod, around);
  Object.assign(labels, own);
}

function addContainer(
  labels: Record<string, string>,
  container: Container,
  port: ContainerPort,
): void {
  labels["__meta_kubernetes_pod_container_name"] = container.name;
  labels["__meta_kubernetes_pod_container_image"] = container.image;
  labels["__meta_kubernetes_pod_container_port_name"] = port.name;
  labels["__meta_kubernetes_pod_container_port_number"] = String(port.number);
  labels["__meta_kubernetes_pod_container_port_protocol"] = port.protocol;
  labels["__meta_kubernetes_pod_container_init"] = String(container.isInit);
}
