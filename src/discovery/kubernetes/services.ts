import type { KubeObject } from "../../kubernetes/resources.ts";
import type { TargetGroup } from "../../model/target.ts";
import { joinHostPort } from "../meta-labels.ts";
import type { LabelRecord, MetaLabels } from "./meta-labels.ts";
import { servicePorts, type Maybe, type RawPort, type ServicePort } from "./raw.ts";
import type { Surroundings } from "./surroundings.ts";

export interface Service {
  readonly namespace: string;
  readonly name: string;
  readonly type: string;
  readonly clusterIp: string;
  readonly externalName: string;
  readonly loadBalancerIps: string;
  /** Of the primary address family when there may be two; "" otherwise. */
  readonly primaryFamily: string;
  /** `__meta_kubernetes_namespace` and `__meta_kubernetes_service_{name,label_*,annotation_*}`. */
  readonly labels: LabelRecord;
  readonly ports: readonly ServicePort[];
}

interface RawService extends KubeObject {
  readonly spec?: Maybe<{
    type: string;
    clusterIP: string;
    externalName: string;
    loadBalancerIP: string;
    ipFamilyPolicy: string;
    ipFamilies: readonly string[];
    ports: readonly RawPort[];
  }>;
  readonly status?: Maybe<{
    loadBalancer: Maybe<{ ingress: readonly Maybe<{ ip: string }>[] }>;
  }>;
}

export function projectService(meta: MetaLabels, object: KubeObject): Service {
  const { metadata, spec, status } = object as RawService;
  const namespace = metadata.namespace ?? "";
  const labels = meta.start(namespace);
  meta.addObject(labels, "service", metadata);
  const balancers = (status?.loadBalancer?.ingress ?? []).flatMap(({ ip }) => ip || []);
  const isDual =
    spec?.ipFamilyPolicy === "PreferDualStack" || spec?.ipFamilyPolicy === "RequireDualStack";
  return {
    namespace,
    name: metadata.name ?? "",
    type: spec?.type ?? "",
    clusterIp: spec?.clusterIP ?? "",
    externalName: spec?.externalName ?? "",
    loadBalancerIps: balancers.length > 0 ? balancers.join(",") : (spec?.loadBalancerIP ?? ""),
    primaryFamily: (isDual ? spec.ipFamilies?.[0] : "") ?? "",
    labels,
    ports: servicePorts(spec?.ports),
  };
}

/** One target for each port, at the service's name in the cluster. */
export function serviceGroup(source: string, service: Service, around: Surroundings): TargetGroup {
  const { name, namespace, type } = service;
  return {
    source,
    labels: around.withNamespace(service.labels, namespace),
    targets: service.ports.map((port) => ({
      __address__: joinHostPort(`${name}.${namespace}.svc`, port.number),
      __meta_kubernetes_service_port_name: port.name,
      __meta_kubernetes_service_port_number: String(port.number),
      __meta_kubernetes_service_port_protocol: port.protocol,
      __meta_kubernetes_service_type: type,
      ...(type === "ExternalName"
        ? { __meta_kubernetes_service_external_name: service.externalName }
        : { __meta_kubernetes_service_cluster_ip: service.clusterIp }),
      ...(type === "LoadBalancer" && {
        __meta_kubernetes_service_loadbalancer_ip: service.loadBalancerIps,
      }),
    })),
  };
}
