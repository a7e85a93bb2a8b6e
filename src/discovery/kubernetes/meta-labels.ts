import type { ObjectMeta } from "../../kubernetes/resources.ts";
import { sanitizeLabelName } from "../meta-labels.ts";

export type LabelRecord = Readonly<Record<string, string>>;

/** Texts that are kept once however often they come; beyond this the table is begun anew. */
const INTERN_MAX_TEXTS = 20_000;
/** Longer ones (whole configurations in annotations) hardly come again. */
const INTERN_MAX_LENGTH = 128;

/**
 * Makes the `__meta_kubernetes_*` labels of objects. The names for a label's key are made once, and values that come again
 * and again (an application, a node) are one text, which over 100,000 pods is most of their memory.
 */
export class MetaLabels {
  readonly #names = new Map<string, readonly [value: string, present: string]>();
  readonly #texts = new Map<string, string>();

  /** An empty set of labels, or one with the namespace. */
  start(namespace: string | undefined): Record<string, string> {
    return namespace === undefined ? {} : { __meta_kubernetes_namespace: namespace };
  }

  /** The object's name, labels and annotations. */
  addObject(labels: Record<string, string>, role: string, metadata: ObjectMeta): void {
    labels[`__meta_kubernetes_${role}_name`] = metadata.name ?? "";
    this.addLabelsAndAnnotations(labels, role, metadata);
  }

  addLabelsAndAnnotations(
    labels: Record<string, string>,
    role: string,
    metadata: ObjectMeta,
  ): void {
    this.#addAll(labels, `${role}_label`, metadata.labels);
    this.#addAll(labels, `${role}_annotation`, metadata.annotations);
  }

  sanitize(key: string): string {
    return sanitizeLabelName(key);
  }

  /** `text`, as the one that came before if it did. */
  intern(text: string): string {
    if (text.length > INTERN_MAX_LENGTH) return text;
    const known = this.#texts.get(text);
    if (known !== undefined) return known;
    if (this.#texts.size >= INTERN_MAX_TEXTS) this.#texts.clear();
    this.#texts.set(text, text);
    return text;
  }

  #addAll(
    labels: Record<string, string>,
    prefix: string,
    values: Readonly<Record<string, string>> | null | undefined,
  ): void {
    for (const [key, value] of Object.entries(values ?? {})) {
      const [name, present] = this.#namesOf(prefix, key);
      labels[name] = this.intern(value);
      labels[present] = "true";
    }
  }

  #namesOf(prefix: string, key: string): readonly [string, string] {
    const id = `${prefix} ${key}`;
    let names = this.#names.get(id);
    if (names === undefined) {
      const suffix = sanitizeLabelName(key);
      names = [
        `__meta_kubernetes_${prefix}_${suffix}`,
        `__meta_kubernetes_${prefix}present_${suffix}`,
      ];
      if (this.#names.size >= INTERN_MAX_TEXTS) this.#names.clear();
      this.#names.set(id, names);
    }
    return names;
  }
}

/** Who controls the object. */
export function controllerOf(
  metadata: ObjectMeta,
): { readonly kind: string; readonly name: string } | undefined {
  const owner = metadata.ownerReferences?.find((one) => one.controller === true);
  return owner === undefined ? undefined : { kind: owner.kind, name: owner.name };
}
