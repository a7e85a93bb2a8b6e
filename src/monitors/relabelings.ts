import type { Fields } from "../kubernetes/fields.ts";
import type { JobMap } from "./job.ts";
import { listOf, textOf } from "./http-options.ts";
import type { LabelSelector } from "./label-selector.ts";

/** Relabelling rules as the Prometheus operator writes them for its custom resources, in its order. */

/** A label's name as discovery has it in `__meta_kubernetes_*_label_*`. */
export function sanitize(label: string): string {
  return label.replaceAll(/[^a-zA-Z0-9_]/g, "_");
}

/** What every job begins with. */
export const FIRST_RULE: JobMap = {
  source_labels: ["job"],
  target_label: "__tmp_prometheus_job_name",
};

/** Drops pods that have ended. */
export const RUNNING_RULE: JobMap = {
  action: "drop",
  source_labels: ["__meta_kubernetes_pod_phase"],
  regex: "(Failed|Succeeded)",
};

/** Keeps the targets of objects (`pod`, `service`, `ingress`) that a selector matches. */
export function selectorRules(
  { labels, expressions }: LabelSelector,
  object: "pod" | "service" | "ingress",
): JobMap[] {
  const prefix = `__meta_kubernetes_${object}`;
  const present = (key: string): string => `${prefix}_labelpresent_${sanitize(key)}`;
  const value = (key: string): string[] => [`${prefix}_label_${sanitize(key)}`, present(key)];
  const rules: JobMap[] = labels.map(([key, wanted]) => ({
    action: "keep",
    source_labels: value(key),
    regex: `(${wanted});true`,
  }));
  for (const { key, operator, values } of expressions) {
    const isSet = operator === "In" || operator === "NotIn";
    rules.push({
      action: operator === "In" || operator === "Exists" ? "keep" : "drop",
      source_labels: isSet ? value(key) : [present(key)],
      regex: isSet ? `(${values.join("|")});true` : "true",
    });
  }
  return rules;
}

/** `target` gets the value of `source`, whatever it is. */
export function copy(source: string, target: string): JobMap {
  return { source_labels: [source], target_label: target };
}

/** `target` gets the value of `source` where there is one. */
export function copyIfSet(source: string, target: string): JobMap {
  return { source_labels: [source], target_label: target, regex: "(.+)", replacement: "${1}" };
}

/** `target` gets this value. */
export function constant(target: string, value: string): JobMap {
  return { target_label: target, replacement: value };
}

export function keep(source: string, regex: string): JobMap {
  return { action: "keep", source_labels: [source], regex };
}

/** The rules that stand in a resource at `key`. */
export function userRules(of: Fields, key: string): JobMap[] {
  return of.children(key).map((rule) => ({
    source_labels: listOf(rule, "sourceLabels"),
    separator: rule.has("separator") ? rule.text("separator") : undefined,
    target_label: textOf(rule, "targetLabel"),
    regex: textOf(rule, "regex"),
    modulus: rule.number("modulus") || undefined,
    replacement: rule.has("replacement") ? rule.text("replacement") : undefined,
    action: textOf(rule, "action")?.toLowerCase(),
  }));
}
