import type { KubeObject } from "../../kubernetes/resources.ts";
import type { TargetGroup } from "../../model/target.ts";
import { joinHostPort, sanitizeLabelName } from "../meta-labels.ts";
import type { LabelRecord, MetaLabels } from "./meta-labels.ts";
import type { Maybe, RawCondition } from "./raw.ts";

export interface Node {
  readonly providerId: string;
  readonly kubeletPort: number;
  /** First address of each type, in the node's order. */
  readonly addresses: ReadonlyMap<string, string>;
  readonly conditions: readonly { readonly type: string; readonly status: string }[];
  /** `__meta_kubernetes_node_{name,label_*,annotation_*}`: also what is attached to others. */
  readonly labels: LabelRecord;
  readonly name: string;
}

interface RawNode extends KubeObject {
  readonly spec?: Maybe<{ providerID: string }>;
  readonly status?: Maybe<{
    addresses: readonly Maybe<{ type: string; address: string }>[];
    conditions: readonly RawCondition[];
    daemonEndpoints: Maybe<{ kubeletEndpoint: Maybe<{ Port: number }> }>;
  }>;
}

export function projectNode(meta: MetaLabels, object: KubeObject): Node {
  const { metadata, spec, status } = object as RawNode;
  const labels = meta.start(undefined);
  meta.addObject(labels, "node", metadata);
  const addresses = new Map<string, string>();
  for (const { type, address } of status?.addresses ?? [])
    if (!addresses.has(type ?? "")) addresses.set(type ?? "", address ?? "");
  return {
    name: metadata.name ?? "",
    providerId: spec?.providerID ?? "",
    kubeletPort: status?.daemonEndpoints?.kubeletEndpoint?.Port ?? 0,
    addresses,
    conditions: (status?.conditions ?? []).map((one) => ({
      type: one.type ?? "",
      status: one.status ?? "",
    })),
    labels,
  };
}

/** The address types in order of preference. */
const ADDRESS_TYPES = [
  "InternalIP",
  "InternalDNS",
  "ExternalIP",
  "ExternalDNS",
  "LegacyHostIP",
  "Hostname",
];

/** The node's kubelet; undefined when the node has no address, and then what was known of it stands. */
export function nodeGroup(source: string, node: Node): TargetGroup | undefined {
  const type = ADDRESS_TYPES.find((one) => node.addresses.has(one));
  if (type === undefined) return undefined;
  const labels: Record<string, string> = { __meta_kubernetes_node_provider_id: node.providerId };
  for (const { type: condition, status } of node.conditions)
    labels[`__meta_kubernetes_node_condition_${sanitizeLabelName(condition.toLowerCase())}`] =
      status.toLowerCase();
  const target: Record<string, string> = {
    __address__: joinHostPort(node.addresses.get(type)!, node.kubeletPort),
    instance: node.name,
  };
  for (const [kind, address] of node.addresses)
    target[sanitizeLabelName(`__meta_kubernetes_node_address_${kind}`)] = address;
  return { source, labels: { ...labels, ...node.labels }, targets: [target] };
}
