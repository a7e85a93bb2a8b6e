import type { KubeObject } from "../../kubernetes/resources.ts";
import type { TargetGroup } from "../../model/target.ts";
import { EndpointTargets } from "./endpoint-targets.ts";
import type { LabelRecord, MetaLabels } from "./meta-labels.ts";
import { targetOf, type Maybe, type RawPort, type RawTargetRef, type TargetRef } from "./raw.ts";
import type { Surroundings } from "./surroundings.ts";

export interface SlicePort {
  readonly name: string | undefined;
  readonly number: number | undefined;
  readonly protocol: string | undefined;
  readonly appProtocol: string | undefined;
}

export interface SliceEndpoint {
  readonly addresses: readonly string[];
  /** The labels that all its targets have. */
  readonly labels: LabelRecord;
  readonly nodeName: string | undefined;
  readonly target: TargetRef | undefined;
}

export interface EndpointSlice {
  readonly namespace: string;
  readonly addressType: string;
  /** "" when it belongs to no service. */
  readonly serviceName: string;
  readonly labels: LabelRecord;
  readonly endpoints: readonly SliceEndpoint[];
  readonly ports: readonly SlicePort[];
}

interface RawEndpointSlice extends KubeObject {
  readonly addressType?: string;
  readonly endpoints?:
    | readonly Maybe<{
        addresses: readonly string[];
        conditions: Maybe<{ ready: boolean; serving: boolean; terminating: boolean }>;
        hostname: string;
        nodeName: string;
        zone: string;
        targetRef: RawTargetRef;
        deprecatedTopology: Readonly<Record<string, string>>;
      }>[]
    | null;
  readonly ports?: readonly RawPort[] | null;
}

const SERVICE_NAME_LABEL = "kubernetes.io/service-name";

export function projectEndpointSlice(meta: MetaLabels, object: KubeObject): EndpointSlice {
  const { metadata, addressType = "", endpoints, ports } = object as RawEndpointSlice;
  const namespace = metadata.namespace ?? "";
  const labels = meta.start(namespace);
  labels["__meta_kubernetes_endpointslice_address_type"] = addressType;
  meta.addObject(labels, "endpointslice", metadata);
  const { labels: ownLabels = {} } = metadata;
  return {
    namespace,
    addressType,
    serviceName: Object.hasOwn(ownLabels, SERVICE_NAME_LABEL) ? ownLabels[SERVICE_NAME_LABEL]! : "",
    labels,
    endpoints: (endpoints ?? []).map((endpoint) => {
      const target = targetOf(endpoint.targetRef);
      return {
        addresses: endpoint.addresses ?? [],
        nodeName: endpoint.nodeName ?? undefined,
        target,
        labels: sliceLabels(meta, endpoint, target),
      };
    }),
    ports: (ports ?? []).map(({ name, port, protocol, appProtocol }) => ({
      name: name ?? undefined,
      number: port ?? undefined,
      protocol: protocol ?? undefined,
      appProtocol: appProtocol ?? undefined,
    })),
  };
}

const CONDITIONS = ["ready", "serving", "terminating"] as const;

function sliceLabels(
  meta: MetaLabels,
  endpoint: NonNullable<RawEndpointSlice["endpoints"]>[number],
  target: TargetRef | undefined,
): LabelRecord {
  const labels = meta.start(undefined);
  const set = (name: string, value: string | null | undefined): void => {
    if (value !== undefined && value !== null)
      labels[`__meta_kubernetes_endpointslice_${name}`] = value;
  };
  for (const condition of CONDITIONS) {
    const value = endpoint.conditions?.[condition];
    if (value !== undefined && value !== null)
      set(`endpoint_conditions_${condition}`, String(value));
  }
  set("endpoint_hostname", endpoint.hostname);
  set("address_target_kind", target?.kind);
  set("address_target_name", target?.name);
  set("endpoint_node_name", endpoint.nodeName);
  set("endpoint_zone", endpoint.zone);
  for (const [key, value] of Object.entries(endpoint.deprecatedTopology ?? {})) {
    const suffix = meta.sanitize(key);
    set(`endpoint_topology_${suffix}`, value);
    set(`endpoint_topology_present_${suffix}`, "true");
  }
  return labels;
}

/** One target for each address and port, and one for each further port of the pods behind them. */
export function endpointSliceGroup(
  source: string,
  slice: EndpointSlice,
  around: Surroundings,
): TargetGroup {
  const { namespace, serviceName } = slice;
  const service =
    serviceName === ""
      ? undefined
      : around.get("services", namespace, `${namespace}/${serviceName}`);
  const labels = around.withNamespace({ ...slice.labels, ...service?.labels }, namespace);
  const targets = new EndpointTargets(around);
  // The second slice of a service with two address families has the same pods again.
  const isSecond =
    service !== undefined &&
    service.primaryFamily !== "" &&
    service.primaryFamily !== slice.addressType;
  if (!isSecond)
    for (const endpoint of slice.endpoints)
      for (const port of slice.ports)
        for (const ip of endpoint.addresses)
          targets.add({
            ip,
            port: port.number,
            portProtocol: undefined,
            labels: { ...endpoint.labels, ...portLabels(port) },
            target: endpoint.target,
            nodeName: endpoint.target?.kind === "Node" ? endpoint.target.name : endpoint.nodeName,
          });
  return { source, labels, targets: targets.all() };
}

function portLabels(port: SlicePort): Record<string, string> {
  const { name, protocol, number, appProtocol } = port;
  return {
    ...(name !== undefined && { __meta_kubernetes_endpointslice_port_name: name }),
    ...(protocol !== undefined && { __meta_kubernetes_endpointslice_port_protocol: protocol }),
    ...(number !== undefined && { __meta_kubernetes_endpointslice_port: String(number) }),
    ...(appProtocol !== undefined && {
      __meta_kubernetes_endpointslice_port_app_protocol: appProtocol,
    }),
  };
}
