/** A kind of object as the API names it, e.g. `apps/v1 statefulsets`. */
export interface ResourceType {
  /** "" for the core group. */
  readonly group: string;
  readonly version: string;
  /** The name in paths and in RBAC rules: lower case, plural. */
  readonly plural: string;
  readonly kind: string;
  readonly isNamespaced: boolean;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

export interface ObjectMeta {
  readonly name?: string;
  readonly generateName?: string;
  readonly namespace?: string;
  readonly uid?: string;
  /** Opaque: compare for equality only. */
  readonly resourceVersion?: string;
  readonly generation?: number;
  readonly creationTimestamp?: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly finalizers?: readonly string[];
}

/** What every object of the API has; consumers describe the rest by an interface that extends this. */
export interface KubeObject {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: ObjectMeta;
}

function core(plural: string, kind: string, isNamespaced = true): ResourceType {
  return { group: "", version: "v1", plural, kind, isNamespaced };
}

function grouped(apiVersion: string, plural: string, kind: string): ResourceType {
  const [group, version] = apiVersion.split("/");
  return { group: group!, version: version!, plural, kind, isNamespaced: true };
}

export const PODS = core("pods", "Pod");
export const SERVICES = core("services", "Service");
export const ENDPOINTS = core("endpoints", "Endpoints");
export const NODES = core("nodes", "Node", false);
export const NAMESPACES = core("namespaces", "Namespace", false);
export const SECRETS = core("secrets", "Secret");
export const CONFIG_MAPS = core("configmaps", "ConfigMap");
export const PERSISTENT_VOLUME_CLAIMS = core("persistentvolumeclaims", "PersistentVolumeClaim");
export const ENDPOINT_SLICES = grouped("discovery.k8s.io/v1", "endpointslices", "EndpointSlice");
export const INGRESSES = grouped("networking.k8s.io/v1", "ingresses", "Ingress");
export const STATEFUL_SETS = grouped("apps/v1", "statefulsets", "StatefulSet");
export const REPLICA_SETS = grouped("apps/v1", "replicasets", "ReplicaSet");
export const JOBS = grouped("batch/v1", "jobs", "Job");
export const LEASES = grouped("coordination.k8s.io/v1", "leases", "Lease");
export const PROMETHEUSES = grouped("monitoring.coreos.com/v1", "prometheuses", "Prometheus");
export const SERVICE_MONITORS = grouped(
  "monitoring.coreos.com/v1",
  "servicemonitors",
  "ServiceMonitor",
);
export const POD_MONITORS = grouped("monitoring.coreos.com/v1", "podmonitors", "PodMonitor");
export const PROBES = grouped("monitoring.coreos.com/v1", "probes", "Probe");
export const SCRAPE_CONFIGS = grouped(
  "monitoring.coreos.com/v1alpha1",
  "scrapeconfigs",
  "ScrapeConfig",
);

export function apiVersionOf(type: ResourceType): string {
  return type.group === "" ? type.version : `${type.group}/${type.version}`;
}

/** `apps/v1 statefulsets`, for messages. */
export function describeType(type: ResourceType): string {
  return type.group === "" ? type.plural : `${type.plural}.${type.group}`;
}

/** The path of a collection, or of one object of it, or of a subresource. */
export function resourcePath(
  type: ResourceType,
  at: { readonly namespace?: string; readonly name?: string; readonly subresource?: string } = {},
): string {
  const base = type.group === "" ? `/api/${type.version}` : `/apis/${type.group}/${type.version}`;
  const inside =
    type.isNamespaced && at.namespace !== undefined
      ? `/namespaces/${encodeURIComponent(at.namespace)}`
      : "";
  const name = at.name === undefined ? "" : `/${encodeURIComponent(at.name)}`;
  return `${base}${inside}/${type.plural}${name}${at.subresource === undefined ? "" : `/${at.subresource}`}`;
}

/** How objects are keyed within one type: `namespace/name`, or the name alone outside namespaces. */
export function objectKey(meta: ObjectMeta): string {
  const name = meta.name ?? "";
  return meta.namespace === undefined || meta.namespace === "" ? name : `${meta.namespace}/${name}`;
}
