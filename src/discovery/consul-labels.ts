import type { TargetGroup } from "../model/target.ts";
import type { ServiceInstance } from "./consul-api.ts";
import { joinHostPort, sanitizeLabelName } from "./meta-labels.ts";

/** The group of one service. */
export function consulGroup(
  service: string,
  instances: readonly ServiceInstance[],
  options: { readonly datacenter: string; readonly tagSeparator: string },
): TargetGroup {
  const { datacenter, tagSeparator } = options;
  return {
    source: service,
    labels: { __meta_consul_service: service, __meta_consul_dc: datacenter },
    targets: instances.map((instance) => labelsOf(instance, tagSeparator)),
  };
}

function labelsOf(instance: ServiceInstance, separator: string): Record<string, string> {
  const { Node: node, Service: service } = instance;
  const nodeAddress = node.Address ?? "";
  const serviceAddress = service.Address ?? "";
  const port = service.Port ?? 0;
  const labels: Record<string, string> = {
    // A service may be registered through another node than the one it runs on.
    __address__: joinHostPort(serviceAddress === "" ? nodeAddress : serviceAddress, port),
    __meta_consul_address: nodeAddress,
    __meta_consul_node: node.Node ?? "",
    __meta_consul_namespace: service.Namespace ?? "",
    __meta_consul_partition: service.Partition ?? "",
    // Separators around all of it, so that relabelling rules need not care for the first and last tag.
    __meta_consul_tags: separator + (service.Tags ?? []).join(separator) + separator,
    __meta_consul_service_address: serviceAddress,
    __meta_consul_service_port: String(port),
    __meta_consul_service_id: service.ID ?? "",
    __meta_consul_health: aggregatedStatus(instance.Checks ?? []),
  };
  addAll(labels, "__meta_consul_metadata_", node.Meta);
  addAll(labels, "__meta_consul_service_metadata_", service.Meta);
  addAll(labels, "__meta_consul_tagged_address_", node.TaggedAddresses);
  return labels;
}

function addAll(
  labels: Record<string, string>,
  prefix: string,
  values: Readonly<Record<string, string>> | null | undefined,
): void {
  for (const [key, value] of Object.entries(values ?? {}))
    labels[prefix + sanitizeLabelName(key)] = String(value);
}

/** The worst of all checks, and maintenance before all; "" when one says what Consul's own clients do not know. */
function aggregatedStatus(checks: NonNullable<ServiceInstance["Checks"]>): string {
  const seen = new Set<string>();
  for (const { CheckID: id = "", Status: status = "" } of checks) {
    if (id === "_node_maintenance" || id.startsWith("_service_maintenance:"))
      seen.add("maintenance");
    else if (status === "passing" || status === "warning" || status === "critical")
      seen.add(status);
    else return "";
  }
  return ["maintenance", "critical", "warning"].find((status) => seen.has(status)) ?? "passing";
}
