import type { KubeObject } from "../../kubernetes/resources.ts";
import { controllerOf, type LabelRecord, type MetaLabels } from "./meta-labels.ts";

/** The labels and annotations of a namespace, as attached to what is in it. */
export interface Namespace {
  readonly labels: LabelRecord;
}

/** Of a ReplicaSet or a Job, only who controls it matters. */
export interface Owned {
  readonly controller: { readonly kind: string; readonly name: string } | undefined;
}

export function projectNamespace(meta: MetaLabels, { metadata }: KubeObject): Namespace {
  const labels = meta.start(undefined);
  meta.addLabelsAndAnnotations(labels, "namespace", metadata);
  return { labels };
}

export function projectOwned(_meta: MetaLabels, { metadata }: KubeObject): Owned {
  return { controller: controllerOf(metadata) };
}
