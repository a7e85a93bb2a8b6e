import { type KubeObject, objectKey } from "../kubernetes/resources.ts";

/** On a StatefulSet, with any value but `false`: its number of shards is left alone. */
const PAUSED_ANNOTATION = "shoal/paused";

/** On a StatefulSet: what its replica group is called. Default: as the StatefulSet. */
const GROUP_LABEL = "shoal/group";

interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

interface StatefulSetObject extends KubeObject {
  readonly spec?: {
    readonly replicas?: number;
    readonly selector?: LabelSelector;
    readonly ordinals?: { readonly start?: number };
    readonly volumeClaimTemplates?: readonly KubeObject[];
    readonly persistentVolumeClaimRetentionPolicy?: { readonly whenScaled?: string };
  };
}

/** What a driver needs to know of its StatefulSet. */
export interface StatefulSet {
  /** `namespace/name`. */
  readonly key: string;
  readonly namespace: string;
  readonly name: string;
  /** Of the replica group: the `replica` label of its series. */
  readonly group: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** Grows with every change of the spec. */
  readonly generation: number;
  /** How many shards are asked for. */
  readonly replicas: number;
  /** The number in the name of the first pod. */
  readonly firstOrdinal: number;
  /** Of its pods and claims. */
  readonly selector: string;
  readonly claimTemplates: readonly string[];
  /** Kubernetes itself deletes the claims of removed shards, at once. */
  readonly deletesClaims: boolean;
  readonly isPaused: boolean;
  readonly isDeleting: boolean;
}

export function readStatefulSet(object: KubeObject): StatefulSet {
  const { metadata, spec = {} } = object as StatefulSetObject;
  const paused = metadata.annotations?.[PAUSED_ANNOTATION] ?? "false";
  return {
    key: objectKey(metadata),
    namespace: metadata.namespace ?? "",
    name: metadata.name ?? "",
    group: metadata.labels?.[GROUP_LABEL] ?? metadata.name ?? "",
    uid: metadata.uid ?? "",
    resourceVersion: metadata.resourceVersion ?? "",
    generation: metadata.generation ?? 0,
    replicas: spec.replicas ?? 1,
    firstOrdinal: spec.ordinals?.start ?? 0,
    selector: printSelector(spec.selector ?? {}),
    claimTemplates: (spec.volumeClaimTemplates ?? []).map(({ metadata: { name } }) => name ?? ""),
    deletesClaims: spec.persistentVolumeClaimRetentionPolicy?.whenScaled === "Delete",
    isPaused: paused !== "false",
    isDeleting: metadata.deletionTimestamp !== undefined,
  };
}

/** As the API's `labelSelector` parameter takes it. */
function printSelector({ matchLabels = {}, matchExpressions = [] }: LabelSelector): string {
  const equal = Object.entries(matchLabels).map(([key, value]) => `${key}=${value}`);
  const rest = matchExpressions.map(({ key, operator, values = [] }) => {
    switch (operator) {
      case "In":
        return `${key} in (${values.join(",")})`;
      case "NotIn":
        return `${key} notin (${values.join(",")})`;
      case "Exists":
        return key;
      default:
        return `!${key}`;
    }
  });
  return [...equal, ...rest].join(",");
}
