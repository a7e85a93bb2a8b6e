import { LabelBuilder } from "./label-builder.ts";
import { isLegacyLabelName, isValidLabelName, type Labels } from "./labels.ts";
import { md5Tail } from "./md5.ts";
import type { RelabelConfig } from "./relabel-config.ts";
import { lowerCase, upperCase } from "./text-case.ts";
import { Utf8Scratch } from "./utf8-scratch.ts";

export type NameValidation = "utf8" | "legacy";

/** Results remembered for each rule; when full, all are forgotten. */
const RULE_MEMO_MAX = 8192;
/** Values that pass unremembered after remembering was of no use. */
const MEMO_PAUSE = 16 * RULE_MEMO_MAX;
/** Longer values are not worth holding for their result. */
const MEMO_TEXT_MAX_LENGTH = 1024;

/**
 * Applies relabelling rules in order. What a rule makes of a value is remembered: over millions of series the same few
 * thousand values come again and again, and a remembered result costs one map look-up.
 */
export interface Relabeler {
  /** The new labels (the same object when nothing changed; maybe none at all), or undefined when a rule dropped them. */
  relabel(labels: Labels): Labels | undefined;
  /** Changes `builder` in place; false when a rule dropped it, which leaves it half-way. */
  apply(builder: LabelBuilder): boolean;
}

export interface RelabelOptions {
  /** Which names `replace` may create. Default `utf8`: any. */
  readonly nameValidation?: NameValidation;
}

export function createRelabeler(
  configs: readonly RelabelConfig[],
  options: RelabelOptions = {},
): Relabeler {
  const isValidName = options.nameValidation === "legacy" ? isLegacyLabelName : isValidLabelName;
  const rules = configs.map((config) => createRule(config, isValidName));
  const builder = new LabelBuilder();
  const apply = (target: LabelBuilder): boolean => {
    for (const rule of rules) if (!rule(target)) return false;
    return true;
  };
  return {
    apply,
    relabel(labels) {
      if (rules.length === 0) return labels;
      builder.reset(labels);
      return apply(builder) ? builder.labels() : undefined;
    },
  };
}

/** `createRelabeler(configs).relabel(labels)`, for a single label set. */
export function relabel(
  labels: Labels,
  configs: readonly RelabelConfig[],
  options: RelabelOptions = {},
): Labels | undefined {
  return createRelabeler(configs, options).relabel(labels);
}

/** Changes the labels; false drops them. */
type Rule = (builder: LabelBuilder) => boolean;

function createRule(config: RelabelConfig, isValidName: (name: string) => boolean): Rule {
  const { regex, targetLabel } = config;
  const source = createSource(config);
  switch (config.action) {
    case "keep":
      return (builder) => regex.matches(source(builder));
    case "drop":
      return (builder) => !regex.matches(source(builder));
    case "keepequal":
      return (builder) => builder.get(targetLabel) === source(builder);
    case "dropequal":
      return (builder) => builder.get(targetLabel) !== source(builder);
    case "replace":
      return createReplace(config, source, isValidName);
    case "hashmod":
      return createSetter(
        targetLabel,
        source,
        memoize((value) => hashmod(value, config.modulus)),
      );
    case "lowercase":
      return createSetter(targetLabel, source, lowerCase);
    case "uppercase":
      return createSetter(targetLabel, source, upperCase);
    case "labelmap":
      return createLabelMap(config);
    case "labeldrop":
      return (builder) => {
        builder.deleteWhere((name) => regex.matches(name));
        return true;
      };
    case "labelkeep":
      return (builder) => {
        builder.deleteWhere((name) => !regex.matches(name));
        return true;
      };
  }
}

/** The values of the source labels, joined; an absent label counts as an empty value. */
function createSource(config: RelabelConfig): (builder: LabelBuilder) => string {
  const { sourceLabels, separator } = config;
  const [first, ...others] = sourceLabels;
  if (first === undefined) return () => "";
  return (builder) => {
    let value = builder.get(first);
    for (const name of others) value += separator + builder.get(name);
    return value;
  };
}

function createSetter(
  targetLabel: string,
  source: (builder: LabelBuilder) => string,
  convert: (value: string) => string,
): Rule {
  return (builder) => {
    builder.set(targetLabel, convert(source(builder)));
    return true;
  };
}

function createReplace(
  config: RelabelConfig,
  source: (builder: LabelBuilder) => string,
  isValidName: (name: string) => boolean,
): Rule {
  const { regex, targetLabel, replacement } = config;
  const expand = (value: string): string | undefined => regex.expand(value, replacement);
  // Where nothing is captured but the whole, remembering costs more than it saves.
  const isCheap = !replacement.includes("$") || (replacement === "$1" && regex.source === "(.*)");
  const expandValue = isCheap ? expand : memoize(expand);
  if (!targetLabel.includes("$")) {
    const valid = isValidName(targetLabel);
    return (builder) => {
      const value = expandValue(source(builder));
      if (value !== undefined && valid) builder.set(targetLabel, value);
      return true;
    };
  }
  const expandTarget = memoize((value) => regex.expand(value, targetLabel));
  return (builder) => {
    const from = source(builder);
    const target = expandTarget(from);
    if (target !== undefined && isValidName(target)) builder.set(target, expandValue(from) ?? "");
    return true;
  };
}

/** Copies every label whose name matches, as it was before the rule, to the name that the replacement gives. */
function createLabelMap(config: RelabelConfig): Rule {
  const rename = memoize((name) => config.regex.expand(name, config.replacement));
  return (builder) => {
    let copies: string[] | undefined;
    for (let i = 0; i < builder.count; i++) {
      const target = rename(builder.nameAt(i));
      if (target !== undefined && target !== "") (copies ??= []).push(target, builder.valueAt(i));
    }
    if (copies !== undefined)
      for (let i = 0; i < copies.length; i += 2) builder.set(copies[i]!, copies[i + 1]!);
    return true;
  };
}

/**
 * `compute`, with results remembered while that pays: when the table fills up with values that did not come again (one
 * address for each target), it is left alone for a while.
 */
function memoize<T>(compute: (text: string) => T): (text: string) => T {
  const known = new Map<string, T>();
  let hits = 0;
  let bypassed = 0;
  return (text) => {
    if (bypassed > 0) {
      bypassed--;
      return compute(text);
    }
    const found = known.get(text);
    if (found !== undefined || known.has(text)) {
      hits++;
      return found as T;
    }
    const result = compute(text);
    if (text.length > MEMO_TEXT_MAX_LENGTH) return result;
    if (known.size >= RULE_MEMO_MAX) {
      if (hits < RULE_MEMO_MAX) bypassed = MEMO_PAUSE;
      known.clear();
      hits = 0;
    }
    known.set(text, result);
    return result;
  };
}

const SCRATCH = new Utf8Scratch();
/** Up to here every step of the division below is an exact double. */
const EXACT_MODULUS_MAX = 2 ** 21;

/** The last eight bytes of the MD5 of `value`, as a big-endian number, modulo `modulus`. */
function hashmod(value: string, modulus: number): string {
  SCRATCH.clear();
  SCRATCH.append(value);
  const { high, low } = md5Tail(SCRATCH.bytes, SCRATCH.size);
  if (modulus > EXACT_MODULUS_MAX)
    return (((BigInt(high) << 32n) | BigInt(low)) % BigInt(modulus)).toString();
  return String(((high % modulus) * 0x1_0000_0000 + low) % modulus);
}
