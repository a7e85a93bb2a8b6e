import { messageOf } from "../base/errors.ts";
import { didYouMean, quote } from "../base/text.ts";
import { isLegacyLabelName, isValidLabelName } from "../model/labels.ts";
import type { NameValidation } from "../model/relabel.ts";
import { compileRelabelRegex, type AnchoredRegex } from "../model/regex.ts";
import {
  RELABEL_ACTIONS,
  type RelabelAction,
  type RelabelConfig,
} from "../model/relabel-config.ts";
import { list, scalarKind, type Kind } from "./kind.ts";
import { field, object, type Values } from "./object.ts";
import type { Reader, Where } from "./reader.ts";
import { bad, count, labelName, text } from "./scalars.ts";
import { FlowList } from "./yaml-writer.ts";

const DEFAULT_REGEX = compileRelabelRegex("(.*)");
const DEFAULT_REPLACEMENT = "$1";
const DEFAULT_SEPARATOR = ";";

const regex: Kind<AnchoredRegex> = scalarKind({
  zero: compileRelabelRegex(""),
  parse(written) {
    try {
      return compileRelabelRegex(written);
    } catch (error) {
      throw bad(`cannot use regex ${quote(written)}: ${messageOf(error)}`);
    }
  },
  print: (value) => value.source,
  isEmpty: (value) => value === DEFAULT_REGEX,
  help: "regular expressions are RE2's and match the whole value: https://github.com/google/re2/wiki/Syntax",
});

const action: Kind<RelabelAction | ""> = scalarKind<RelabelAction | "">({
  zero: "",
  parse(written) {
    const found = RELABEL_ACTIONS.find((known) => known === written.toLowerCase());
    if (found !== undefined) return found;
    const near = didYouMean(written.toLowerCase(), RELABEL_ACTIONS);
    throw bad(
      `unknown relabel action ${quote(written)}${near === undefined ? "" : `; did you mean "${near}"?`}`,
    );
  },
  print: (value) => value,
  help: `write one of: ${RELABEL_ACTIONS.join(", ")}`,
});

const labelNames: Kind<readonly string[] | undefined> = {
  ...list(labelName),
  zero: undefined,
  print: (names) => new FlowList(names ?? []),
  isEmpty: (names) => names === undefined || names.length === 0,
};

const relabelRule = object("a relabel rule", {
  source_labels: field(labelNames),
  separator: field(text, { default: DEFAULT_SEPARATOR, always: true }),
  regex: field(regex, { default: DEFAULT_REGEX }),
  modulus: field(count),
  target_label: field(text),
  replacement: field(text, { default: DEFAULT_REPLACEMENT, always: true }),
  action: field(action, { default: "replace" }),
});

type RelabelRule = Values<typeof relabelRule.fields>;

/** A list of rules; `nullMessage` is said of an empty one. */
export function relabelRules(nullMessage: string): Kind<readonly RelabelRule[]> {
  return list(relabelRule, { nullMessage });
}

/** Reports what is wrong with rules under `scheme`, which is known only once the sections around them are read. */
export function checkRelabelRules(
  rules: readonly RelabelRule[],
  scheme: NameValidation,
  reader: Reader,
): void {
  for (const rule of rules) checkRule(rule, scheme, reader.where(rule));
}

const NEEDS_TARGET: ReadonlySet<string> = new Set([
  "replace",
  "hashmod",
  "lowercase",
  "uppercase",
  "keepequal",
  "dropequal",
]);
const WITHOUT_REPLACEMENT: ReadonlySet<string> = new Set([
  "lowercase",
  "uppercase",
  "keepequal",
  "dropequal",
]);
/** A legacy label name with `$1` or `${name}` in it. */
const LEGACY_TEMPLATE = /^(?:[a-zA-Z_]|\$(?:\{\w+\}|\w+))(?:\w|\$(?:\{\w+\}|\w+))*$/;

function checkRule(rule: RelabelRule, scheme: NameValidation, at: Where): void {
  const { action: verb, target_label: target, replacement } = rule;
  const isName = scheme === "utf8" ? isValidLabelName : isLegacyLabelName;
  if (verb === "") return at.fail("action", "relabel action cannot be empty");
  if (verb === "hashmod" && rule.modulus === 0)
    return at.fail("modulus", "relabel configuration for hashmod requires non-zero modulus");
  if (NEEDS_TARGET.has(verb)) {
    if (target === "")
      return at.fail(
        "target_label",
        `relabel configuration for ${verb} action requires 'target_label' value`,
      );
    const fits =
      verb === "replace" && isTemplate(target) ? isNameTemplate(target, scheme) : isName(target);
    if (!fits)
      return at.fail(
        "target_label",
        `${quote(target)} is invalid 'target_label' for ${verb} action`,
      );
  }
  if (verb === "keepequal" || verb === "dropequal") {
    if (
      (rule.regex !== DEFAULT_REGEX && at.has("regex")) ||
      rule.modulus !== 0 ||
      rule.separator !== DEFAULT_SEPARATOR ||
      replacement !== DEFAULT_REPLACEMENT
    )
      at.fail(
        firstOf(at, ["regex", "modulus", "separator", "replacement"]),
        `${verb} action requires only 'source_labels' and \`target_label\`, and no other fields`,
      );
  } else if (WITHOUT_REPLACEMENT.has(verb) && replacement !== DEFAULT_REPLACEMENT)
    at.fail("replacement", `'replacement' can not be set for ${verb} action`);
  if (verb === "labelmap" && !isNameTemplate(replacement, scheme))
    at.fail("replacement", `${quote(replacement)} is invalid 'replacement' for ${verb} action`);
  if (
    (verb === "labeldrop" || verb === "labelkeep") &&
    (rule.source_labels !== undefined ||
      target !== "" ||
      rule.modulus !== 0 ||
      rule.separator !== DEFAULT_SEPARATOR ||
      replacement !== DEFAULT_REPLACEMENT)
  )
    at.fail(
      firstOf(at, ["source_labels", "target_label", "modulus", "separator", "replacement"]),
      `${verb} action requires only 'regex', and no other fields`,
    );
}

function isTemplate(target: string): boolean {
  return target.includes("$");
}

function isNameTemplate(value: string, scheme: NameValidation): boolean {
  return scheme === "utf8" ? isValidLabelName(value) : LEGACY_TEMPLATE.test(value);
}

function firstOf(at: Where, keys: readonly string[]): string | undefined {
  return keys.find((key) => at.has(key));
}

export function toRelabelConfigs(rules: readonly RelabelRule[]): RelabelConfig[] {
  return rules.map((rule): RelabelConfig => ({
    sourceLabels: rule.source_labels ?? [],
    separator: rule.separator,
    regex: rule.regex,
    modulus: rule.modulus,
    targetLabel: rule.target_label,
    replacement: rule.replacement,
    action: rule.action === "" ? "replace" : rule.action,
  }));
}
