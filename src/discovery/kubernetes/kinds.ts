import type { KubernetesDiscovery } from "../../config/types.ts";
import {
  ENDPOINT_SLICES,
  ENDPOINTS,
  INGRESSES,
  JOBS,
  NAMESPACES,
  NODES,
  PODS,
  REPLICA_SETS,
  SERVICES,
  type KubeObject,
  type ResourceType,
} from "../../kubernetes/resources.ts";
import type { TargetGroup } from "../../model/target.ts";
import { endpointSliceGroup, projectEndpointSlice, type EndpointSlice } from "./endpoint-slices.ts";
import { endpointsGroup, projectEndpoints, type Endpoints } from "./endpoints.ts";
import { ingressGroup, projectIngress, type Ingress } from "./ingresses.ts";
import type { MetaLabels } from "./meta-labels.ts";
import { nodeGroup, projectNode, type Node } from "./nodes.ts";
import { projectNamespace, projectOwned, type Namespace, type Owned } from "./owners.ts";
import { podGroup, projectPod, type Pod } from "./pods.ts";
import { projectService, serviceGroup, type Service } from "./services.ts";
import type { Surroundings } from "./surroundings.ts";

/** What is watched, and what is kept of each object. */
export interface Kinds {
  readonly pods: Pod;
  readonly services: Service;
  readonly endpoints: Endpoints;
  readonly endpointslices: EndpointSlice;
  readonly nodes: Node;
  readonly ingresses: Ingress;
  readonly namespaces: Namespace;
  readonly replicasets: Owned;
  readonly jobs: Owned;
}

export type Kind = keyof Kinds;

interface KindDefinition<T> {
  readonly type: ResourceType;
  /** Made right after an object is parsed, so that the rest of it is never held. The same for all roles: they share watches. */
  readonly project: (meta: MetaLabels, object: KubeObject) => T;
}

export const KINDS: { readonly [K in Kind]: KindDefinition<Kinds[K]> } = {
  pods: { type: PODS, project: projectPod },
  services: { type: SERVICES, project: projectService },
  endpoints: { type: ENDPOINTS, project: projectEndpoints },
  endpointslices: { type: ENDPOINT_SLICES, project: projectEndpointSlice },
  nodes: { type: NODES, project: projectNode },
  ingresses: { type: INGRESSES, project: projectIngress },
  namespaces: { type: NAMESPACES, project: projectNamespace },
  replicasets: { type: REPLICA_SETS, project: projectOwned },
  jobs: { type: JOBS, project: projectOwned },
};

export type Role = KubernetesDiscovery["role"];

/** How the objects of one kind become groups of targets. */
export interface RoleDefinition<K extends Kind> {
  /** The objects that are listed. */
  readonly kind: K;
  /** What else is always looked at. */
  readonly besides: readonly Kind[];
  /** Before the object's key in a group's source. */
  readonly prefix: string;
  /** Undefined when the object cannot be made a group of, and the last one stands. */
  readonly build: (
    source: string,
    object: Kinds[K],
    around: Surroundings,
  ) => TargetGroup | undefined;
}

function role<K extends Kind>(definition: RoleDefinition<K>): RoleDefinition<K> {
  return definition;
}

export const ROLES = {
  pod: role({ kind: "pods", besides: [], prefix: "pod/", build: podGroup }),
  service: role({ kind: "services", besides: [], prefix: "svc/", build: serviceGroup }),
  node: role({ kind: "nodes", besides: [], prefix: "node/", build: nodeGroup }),
  ingress: role({ kind: "ingresses", besides: [], prefix: "ingress/", build: ingressGroup }),
  endpoints: role({
    kind: "endpoints",
    besides: ["services", "pods"],
    prefix: "endpoints/",
    build: endpointsGroup,
  }),
  endpointslice: role({
    kind: "endpointslices",
    besides: ["services", "pods"],
    prefix: "endpointslice/",
    build: endpointSliceGroup,
  }),
} as const;

/** The role whose selectors narrow down a kind, which is also how its events are counted. */
export const ROLE_OF_KIND: { readonly [K in Kind]?: Role } = {
  pods: "pod",
  services: "service",
  nodes: "node",
  ingresses: "ingress",
  endpoints: "endpoints",
  endpointslices: "endpointslice",
};
