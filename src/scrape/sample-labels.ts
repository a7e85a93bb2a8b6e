import { AppError } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import type { ScrapeConfig } from "../config/types.ts";
import { LabelBuilder } from "../model/label-builder.ts";
import { isLegacyLabelName, isLegacyMetricName, Labels, METRIC_NAME } from "../model/labels.ts";
import { createRelabeler } from "../model/relabel.ts";

/** A label limit of the configuration was hit; the whole scrape fails. */
export class LabelLimitError extends AppError {
  constructor(message: string) {
    super("resource-exhausted", message);
  }
}

/**
 * Turns the labels that a target exposes (name, value, … as `decodePairs` gives them) into the labels that are stored:
 * joined with the target's, relabelled, checked. Undefined when relabelling drops the series; throws when the whole
 * scrape must fail.
 */
export type Labeler = (pairs: readonly string[]) => Labels | undefined;

export function createLabeler(config: ScrapeConfig, targetLabels: Labels): Labeler {
  const relabeler = createRelabeler(config.metricRelabelConfigs, {
    nameValidation: config.metricNameValidationScheme,
  });
  const hasRules = config.metricRelabelConfigs.length > 0;
  const isLegacy = config.metricNameValidationScheme === "legacy";
  const builder = new LabelBuilder();
  return (pairs) => {
    builder.reset(Labels.EMPTY);
    const exposed = new Map<string, string>();
    for (let i = 0; i < pairs.length; i += 2) {
      const name = pairs[i]!;
      if (exposed.has(name))
        throw new AppError("bad-data", `label name ${quote(name)} is not unique: invalid sample`);
      exposed.set(name, pairs[i + 1]!);
      builder.set(name, pairs[i + 1]!);
    }
    if (config.honorLabels) fillLabels(builder, exposed, targetLabels);
    else overrideLabels(builder, targetLabels);
    if (hasRules && !relabeler.apply(builder)) return undefined;
    if (builder.count === 0) return undefined;
    const labels = builder.labels();
    checkNames(labels, isLegacy);
    checkLimits(labels, config);
    return labels;
  };
}

/** honor_labels: what the target exposes wins; even an exposed empty label keeps the target's label away. */
function fillLabels(
  builder: LabelBuilder,
  exposed: ReadonlyMap<string, string>,
  targetLabels: Labels,
): void {
  for (let i = 0; i < targetLabels.count; i++)
    if (!exposed.has(targetLabels.nameAt(i)))
      builder.set(targetLabels.nameAt(i), targetLabels.valueAt(i));
}

/** The target's labels win; exposed ones of the same name get `exported_` before it, as often as needed. */
function overrideLabels(builder: LabelBuilder, targetLabels: Labels): void {
  let conflicts: { name: string; value: string }[] | undefined;
  for (let i = 0; i < targetLabels.count; i++) {
    const name = targetLabels.nameAt(i);
    const value = builder.get(name);
    if (value !== "") (conflicts ??= []).push({ name, value });
    builder.set(name, targetLabels.valueAt(i));
  }
  if (conflicts === undefined) return;
  conflicts.sort((a, b) => Buffer.byteLength(a.name) - Buffer.byteLength(b.name));
  for (const conflict of conflicts) {
    let name = conflict.name;
    do name = `exported_${name}`;
    while (builder.get(name) !== "");
    builder.set(name, conflict.value);
  }
}

function checkNames(labels: Labels, isLegacy: boolean): void {
  const metric = labels.get(METRIC_NAME);
  if (metric === "") throw new AppError("bad-data", "missing metric name (__name__ label)");
  if (!isLegacy) return;
  let valid = isLegacyMetricName(metric);
  for (let i = 0; i < labels.count; i++) valid &&= isLegacyLabelName(labels.nameAt(i));
  if (!valid)
    throw new AppError("bad-data", `invalid metric name or label names: ${labels.toString()}`);
}

function checkLimits(labels: Labels, config: ScrapeConfig): void {
  const { labelLimit, labelNameLengthLimit, labelValueLengthLimit } = config;
  const metric = labels.get(METRIC_NAME);
  if (labelLimit > 0 && labels.count > labelLimit)
    throw new LabelLimitError(
      `label_limit exceeded (metric: ${cut(metric)}, number of labels: ${labels.count}, limit: ${labelLimit})`,
    );
  if (labelNameLengthLimit === 0 && labelValueLengthLimit === 0) return;
  for (const [name, value] of labels) {
    const nameSize = Buffer.byteLength(name);
    if (labelNameLengthLimit > 0 && nameSize > labelNameLengthLimit)
      throw new LabelLimitError(
        `label_name_length_limit exceeded (metric: ${cut(metric)}, label name: ${cut(name)}, length: ${nameSize}, limit: ${labelNameLengthLimit})`,
      );
    const valueSize = Buffer.byteLength(value);
    if (labelValueLengthLimit > 0 && valueSize > labelValueLengthLimit)
      throw new LabelLimitError(
        `label_value_length_limit exceeded (metric: ${cut(metric)}, label name: ${cut(name)}, value: ${quote(cut(value))}, length: ${valueSize}, limit: ${labelValueLengthLimit})`,
      );
  }
}

/** Messages show the first 50 characters of a name or value. */
function cut(text: string): string {
  return Array.from(text.slice(0, 100)).slice(0, 50).join("");
}
