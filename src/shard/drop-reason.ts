import { quote } from "../base/text.ts";
import { LabelBuilder } from "../model/label-builder.ts";
import type { Labels } from "../model/labels.ts";
import type { RelabelConfig } from "../model/relabel-config.ts";
import { createRelabeler, type NameValidation } from "../model/relabel.ts";

/** The rule that drops a target, and the labels as they were when it was its turn. */
export interface DropReason {
  /** 0-based, in the job's relabel_configs. */
  readonly index: number;
  readonly rule: RelabelConfig;
  readonly labels: Labels;
  /** `relabel_configs[1] (action keep): app is "db", which does not match "web"`. */
  readonly text: string;
}

/** Applies `rules` one by one; undefined when none of them drops the target. */
export function findDroppingRule(
  discovered: Labels,
  rules: readonly RelabelConfig[],
  nameValidation: NameValidation,
): DropReason | undefined {
  const builder = new LabelBuilder();
  builder.reset(discovered);
  for (const [index, rule] of rules.entries()) {
    const labels = builder.labels();
    if (!createRelabeler([rule], { nameValidation }).apply(builder))
      return { index, rule, labels, text: describe(index, rule, labels) };
  }
  return undefined;
}

function describe(index: number, rule: RelabelConfig, labels: Labels): string {
  const { action, sourceLabels, separator, regex, targetLabel } = rule;
  const value = quote(sourceLabels.map((name) => labels.get(name)).join(separator));
  const source = sourceLabels.length === 0 ? "the empty text" : sourceLabels.join(separator);
  const where = `relabel_configs[${index}] (action ${action})`;
  switch (action) {
    case "keep":
      return `${where}: ${source} is ${value}, which does not match ${quote(regex.source)}`;
    case "drop":
      return `${where}: ${source} is ${value}, which matches ${quote(regex.source)}`;
    case "keepequal":
      return `${where}: ${source} is ${value} and ${targetLabel} is ${quote(labels.get(targetLabel))}, which differ`;
    case "dropequal":
      return `${where}: ${source} and ${targetLabel} are both ${value}`;
    case "hashmod":
    case "labeldrop":
    case "labelkeep":
    case "labelmap":
    case "lowercase":
    case "replace":
    case "uppercase":
      return `${where} drops it`;
  }
}
