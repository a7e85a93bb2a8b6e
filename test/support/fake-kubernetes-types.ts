/** The resource types that a fake API server has from the start. */
import type { FakeType } from "./fake-kubernetes-store.ts";

function types(
  apiVersion: string,
  ...rows: readonly [plural: string, kind: string, ...flags: string[]][]
): FakeType[] {
  const [version, group = ""] = apiVersion.split("/").reverse();
  return rows.map(([plural, kind, ...flags]) => ({
    group,
    version: version!,
    plural,
    kind,
    isNamespaced: !flags.includes("cluster"),
    hasStatus: flags.includes("status"),
  }));
}

export const FAKE_TYPES: readonly FakeType[] = [
  ...types(
    "v1",
    ["pods", "Pod", "status"],
    ["services", "Service", "status"],
    ["endpoints", "Endpoints"],
    ["nodes", "Node", "cluster", "status"],
    ["namespaces", "Namespace", "cluster", "status"],
    ["configmaps", "ConfigMap"],
    ["secrets", "Secret"],
    ["events", "Event"],
    ["serviceaccounts", "ServiceAccount"],
    ["persistentvolumeclaims", "PersistentVolumeClaim", "status"],
  ),
  ...types(
    "apps/v1",
    ["statefulsets", "StatefulSet", "status"],
    ["deployments", "Deployment", "status"],
    ["replicasets", "ReplicaSet", "status"],
    ["daemonsets", "DaemonSet", "status"],
  ),
  ...types("batch/v1", ["jobs", "Job", "status"], ["cronjobs", "CronJob", "status"]),
  ...types("discovery.k8s.io/v1", ["endpointslices", "EndpointSlice"]),
  ...types("networking.k8s.io/v1", ["ingresses", "Ingress", "status"]),
  ...types("coordination.k8s.io/v1", ["leases", "Lease"]),
  ...types("policy/v1", ["poddisruptionbudgets", "PodDisruptionBudget", "status"]),
  ...types(
    "rbac.authorization.k8s.io/v1",
    ["roles", "Role"],
    ["rolebindings", "RoleBinding"],
    ["clusterroles", "ClusterRole", "cluster"],
    ["clusterrolebindings", "ClusterRoleBinding", "cluster"],
  ),
  ...types("apiextensions.k8s.io/v1", [
    "customresourcedefinitions",
    "CustomResourceDefinition",
    "cluster",
    "status",
  ]),
];

/** By plural, or `plural.group` where a plural is in several groups. */
export function fakeType(all: readonly FakeType[], name: string): FakeType {
  const found = all.find((type) => type.plural === name || `${type.plural}.${type.group}` === name);
  if (found === undefined) throw new Error(`the fake API server has no type ${name}`);
  return found;
}
