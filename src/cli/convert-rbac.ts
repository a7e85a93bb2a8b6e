import { type Document, isMap, isSeq, YAMLSeq } from "yaml";

/** What the coordinator asks the API for (docs/kubernetes.md), by what Kvass's role may lack. */
const NEEDED = [
  { apiGroup: "apps", resource: "statefulsets", verbs: ["list", "watch", "get"] },
  { apiGroup: "apps", resource: "statefulsets/scale", verbs: ["update"] },
  { apiGroup: "", resource: "pods", verbs: ["list", "watch"] },
] as const;

interface Rule {
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly verbs?: readonly string[];
}

/**
 * Adds to a Role or ClusterRole by which Kvass's coordinator changes StatefulSets what ours needs beside it; nothing is
 * taken away. Answers what is different now.
 */
export function convertRole(document: Document): string[] {
  const kind: unknown = document.get("kind");
  if (kind !== "Role" && kind !== "ClusterRole") return [];
  const rules: unknown = document.get("rules", true);
  if (!isSeq(rules)) return [];
  const known = rules.toJS(document) as Rule[];
  const isKvasss = ["update", "patch"].some((verb) =>
    grants(known, { apiGroup: "apps", resource: "statefulsets", verb }),
  );
  if (!isKvasss) return [];
  const name = String(document.getIn(["metadata", "name"]));
  const notes: string[] = [];
  for (const { apiGroup, resource, verbs } of NEEDED) {
    const missing = verbs.filter((verb) => !grants(known, { apiGroup, resource, verb }));
    if (missing.length === 0) continue;
    const rule = document.createNode({
      apiGroups: [apiGroup],
      resources: [resource],
      verbs: missing,
    });
    for (const pair of rule.items)
      if (isMap(rule) && pair.value instanceof YAMLSeq) pair.value.flow = true;
    rules.items.push(rule);
    notes.push(`${kind} ${name}: may ${missing.join(" and ")} ${resource} now`);
  }
  notes.push(
    `${kind} ${name}: update and patch of statefulsets are not needed any more; with --shard.delete-pvc persistentvolumeclaims have to be listed and patched too`,
  );
  return notes;
}

function grants(
  rules: readonly Rule[],
  asked: { readonly apiGroup: string; readonly resource: string; readonly verb: string },
): boolean {
  const has = (list: readonly string[] | undefined, wanted: string): boolean =>
    list !== undefined && (list.includes("*") || list.includes(wanted));
  return rules.some(
    ({ apiGroups, resources, verbs }) =>
      has(apiGroups, asked.apiGroup) && has(resources, asked.resource) && has(verbs, asked.verb),
  );
}
