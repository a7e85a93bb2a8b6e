import { type Followed, keyOf } from "./followed.ts";
import { isEmptySelector, matchesSelector } from "./label-selector.ts";
import type { PrometheusSettings } from "./prometheus-settings.ts";
import type { MonitorKind, ResourceKind } from "./translation.ts";

/** A resource that is taken, by `kind namespace/name`. */
export type Selected = Map<string, { readonly kind: ResourceKind; readonly object: Followed }>;

/** Whether namespaces are chosen by their labels. */
export function needsNamespaces({ kinds, selections }: PrometheusSettings): boolean {
  return kinds.some((kind) => {
    const { namespaces } = selections[kind];
    return namespaces !== undefined && !isEmptySelector(namespaces);
  });
}

/** The resources that a Prometheus object selects, in the order of the operator's configuration. */
export function selectResources(
  settings: PrometheusSettings,
  objects: {
    readonly of: (kind: MonitorKind) => readonly Followed[];
    readonly namespaces: () => readonly Followed[];
  },
): Selected {
  const labelsOf = new Map(objects.namespaces().map(({ name, labels }) => [name, labels]));
  const selected: Selected = new Map();
  for (const kind of settings.kinds) {
    const { objects: wanted, namespaces } = settings.selections[kind];
    const isIn = (namespace: string): boolean => {
      if (namespaces === undefined || isEmptySelector(namespaces)) return true;
      const labels = labelsOf.get(namespace);
      return labels !== undefined && matchesSelector(namespaces, labels);
    };
    for (const object of objects.of(kind))
      if (matchesSelector(wanted!, object.labels) && isIn(object.namespace))
        selected.set(`${kind} ${keyOf(object)}`, { kind, object });
  }
  return selected;
}
