import type { KubeObject } from "../../kubernetes/resources.ts";
import type { TargetGroup } from "../../model/target.ts";
import { EndpointTargets } from "./endpoint-targets.ts";
import type { LabelRecord, MetaLabels } from "./meta-labels.ts";
import {
  servicePorts,
  targetOf,
  type Maybe,
  type RawPort,
  type RawTargetRef,
  type ServicePort,
  type TargetRef,
} from "./raw.ts";
import type { Surroundings } from "./surroundings.ts";

export interface EndpointAddress {
  readonly ip: string;
  readonly hostname: string;
  readonly nodeName: string | undefined;
  readonly target: TargetRef | undefined;
}

export interface Endpoints {
  readonly namespace: string;
  readonly name: string;
  /** Without the service's. */
  readonly labels: LabelRecord;
  readonly subsets: readonly {
    readonly ready: readonly EndpointAddress[];
    readonly notReady: readonly EndpointAddress[];
    readonly ports: readonly ServicePort[];
  }[];
}

interface RawEndpoints extends KubeObject {
  readonly subsets?:
    | readonly Maybe<{
        addresses: readonly RawAddress[];
        notReadyAddresses: readonly RawAddress[];
        ports: readonly RawPort[];
      }>[]
    | null;
}

type RawAddress = Maybe<{
  ip: string;
  hostname: string;
  nodeName: string;
  targetRef: RawTargetRef;
}>;

export function projectEndpoints(meta: MetaLabels, object: KubeObject): Endpoints {
  const { metadata, subsets } = object as RawEndpoints;
  const namespace = metadata.namespace ?? "";
  const labels = meta.start(namespace);
  meta.addObject(labels, "endpoints", metadata);
  const addresses = (list: readonly RawAddress[] | null | undefined): EndpointAddress[] =>
    (list ?? []).map(({ ip, hostname, nodeName, targetRef }) => ({
      ip: ip ?? "",
      hostname: hostname ?? "",
      nodeName: nodeName ?? undefined,
      target: targetOf(targetRef),
    }));
  return {
    namespace,
    name: metadata.name ?? "",
    labels,
    subsets: (subsets ?? []).map((subset) => ({
      ready: addresses(subset.addresses),
      notReady: addresses(subset.notReadyAddresses),
      ports: servicePorts(subset.ports),
    })),
  };
}

/** One target for each port of each address, and one for each further port of the pods behind them. */
export function endpointsGroup(
  source: string,
  endpoints: Endpoints,
  around: Surroundings,
): TargetGroup {
  const { namespace } = endpoints;
  const service = around.get("services", namespace, `${namespace}/${endpoints.name}`);
  const targets = new EndpointTargets(around);
  const add = (address: EndpointAddress, port: ServicePort, isReady: boolean): void => {
    const labels: Record<string, string> = {
      __meta_kubernetes_endpoint_port_name: port.name,
      __meta_kubernetes_endpoint_port_protocol: port.protocol,
      __meta_kubernetes_endpoint_ready: String(isReady),
    };
    const { target, nodeName, hostname } = address;
    if (target !== undefined) {
      labels["__meta_kubernetes_endpoint_address_target_kind"] = target.kind;
      labels["__meta_kubernetes_endpoint_address_target_name"] = target.name;
    }
    if (nodeName !== undefined) labels["__meta_kubernetes_endpoint_node_name"] = nodeName;
    if (hostname !== "") labels["__meta_kubernetes_endpoint_hostname"] = hostname;
    targets.add({
      ip: address.ip,
      port: port.number,
      portProtocol: port.protocol,
      labels,
      target,
      nodeName: nodeName ?? (target?.kind === "Node" ? target.name : undefined),
    });
  };
  for (const { ready, notReady, ports } of endpoints.subsets)
    for (const port of ports) {
      for (const address of ready) add(address, port, true);
      for (const address of notReady) add(address, port, false);
    }
  return {
    source,
    labels: around.withNamespace({ ...service?.labels, ...endpoints.labels }, namespace),
    targets: targets.all(),
  };
}
