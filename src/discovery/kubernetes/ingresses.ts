import type { KubeObject } from "../../kubernetes/resources.ts";
import type { TargetGroup } from "../../model/target.ts";
import type { LabelRecord, MetaLabels } from "./meta-labels.ts";
import type { Maybe } from "./raw.ts";
import type { Surroundings } from "./surroundings.ts";

export interface IngressRule {
  readonly host: string;
  readonly paths: readonly string[];
}

export interface Ingress {
  readonly namespace: string;
  readonly labels: LabelRecord;
  readonly tlsHosts: readonly string[];
  readonly rules: readonly IngressRule[];
}

interface RawIngress extends KubeObject {
  readonly spec?: Maybe<{
    ingressClassName: string;
    tls: readonly Maybe<{ hosts: readonly string[] }>[];
    rules: readonly Maybe<{
      host: string;
      http: Maybe<{ paths: readonly Maybe<{ path: string }>[] }>;
    }>[];
  }>;
}

export function projectIngress(meta: MetaLabels, object: KubeObject): Ingress {
  const { metadata, spec } = object as RawIngress;
  const namespace = metadata.namespace ?? "";
  const labels = meta.start(namespace);
  const className = spec?.ingressClassName;
  if (className !== undefined && className !== null)
    labels["__meta_kubernetes_ingress_class_name"] = className;
  meta.addObject(labels, "ingress", metadata);
  return {
    namespace,
    labels,
    tlsHosts: (spec?.tls ?? []).flatMap(({ hosts }) => hosts ?? []),
    rules: (spec?.rules ?? []).map(({ host, http }) => ({
      host: host ?? "",
      // A rule without paths of its own is for all of them.
      paths:
        http === undefined || http === null
          ? ["/"]
          : (http.paths ?? []).map(({ path }) => path || "/"),
    })),
  };
}

/** One target for each path of each rule. */
export function ingressGroup(source: string, ingress: Ingress, around: Surroundings): TargetGroup {
  return {
    source,
    labels: around.withNamespace(ingress.labels, ingress.namespace),
    targets: ingress.rules.flatMap(({ host, paths }) => {
      const isEncrypted = ingress.tlsHosts.some((pattern) => matchesHost(pattern, host));
      return paths.map((path) => ({
        __address__: host,
        __meta_kubernetes_ingress_scheme: isEncrypted ? "https" : "http",
        __meta_kubernetes_ingress_host: host,
        __meta_kubernetes_ingress_path: path,
      }));
    }),
  };
}

/** A pattern is a host, or `*.` before the rest of one with as many parts. */
function matchesHost(pattern: string, host: string): boolean {
  if (pattern === host) return true;
  const dot = host.indexOf(".");
  const rest = dot === -1 ? "" : host.slice(dot);
  return pattern.startsWith("*") && pattern.slice(1) === rest;
}
