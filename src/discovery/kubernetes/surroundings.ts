import type { KubernetesAttachMetadata } from "../../config/types.ts";
import type { Kinds } from "./kinds.ts";
import type { LabelRecord } from "./meta-labels.ts";
import type { Node } from "./nodes.ts";

/** How to find an object that is watched. */
export type Find = <K extends keyof Kinds>(
  kind: K,
  namespace: string | undefined,
  key: string,
) => Kinds[K] | undefined;

/** What a group is made from besides its own object. Whatever is looked at is noted: when it changes, so does the group. */
export class Surroundings {
  readonly attach: KubernetesAttachMetadata;
  /** `kind/key` of all that was looked at, be it there or not. */
  readonly seen = new Set<string>();
  readonly #find: Find;

  constructor(attach: KubernetesAttachMetadata, find: Find) {
    this.attach = attach;
    this.#find = find;
  }

  get<K extends keyof Kinds>(
    kind: K,
    namespace: string | undefined,
    key: string,
  ): Kinds[K] | undefined {
    this.seen.add(`${kind}/${key}`);
    return this.#find(kind, namespace, key);
  }

  node(name: string): Node | undefined {
    return this.get("nodes", undefined, name);
  }

  /** What is attached of a namespace. */
  namespaceLabels(name: string): LabelRecord | undefined {
    return this.get("namespaces", undefined, name)?.labels;
  }

  /** `labels`, with those of the namespace where they are asked for. */
  withNamespace(labels: LabelRecord, namespace: string): LabelRecord {
    return this.attach.namespace ? { ...labels, ...this.namespaceLabels(namespace) } : labels;
  }
}
