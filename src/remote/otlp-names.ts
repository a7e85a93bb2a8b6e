import type { OtlpConfig } from "../config/types.ts";
import type { Metric } from "./otlp-model.ts";

/** UCUM's units in the words of Prometheus's names. */
const UNITS: Readonly<Record<string, string>> = {
  d: "days",
  h: "hours",
  min: "minutes",
  s: "seconds",
  ms: "milliseconds",
  us: "microseconds",
  ns: "nanoseconds",
  By: "bytes",
  KiBy: "kibibytes",
  MiBy: "mebibytes",
  GiBy: "gibibytes",
  TiBy: "tibibytes",
  KBy: "kilobytes",
  MBy: "megabytes",
  GBy: "gigabytes",
  TBy: "terabytes",
  m: "meters",
  V: "volts",
  A: "amperes",
  J: "joules",
  W: "watts",
  g: "grams",
  Cel: "celsius",
  Hz: "hertz",
  "1": "",
  "%": "percent",
};
const PER_UNITS: Readonly<Record<string, string>> = {
  s: "second",
  m: "minute",
  h: "hour",
  d: "day",
  w: "week",
  mo: "month",
  y: "year",
};

const NOT_IN_NAMES = /[^a-zA-Z0-9:]/;

/** How names of OTLP become Prometheus's, by `otlp.translation_strategy`. */
export interface OtlpNamer {
  /** "" when nothing is left of the name. */
  metric(metric: Pick<Metric, "name" | "unit" | "shape" | "isMonotonic">): string;
  label(name: string): string;
}

export function createNamer(strategy: OtlpConfig["translationStrategy"]): OtlpNamer {
  const hasSuffixes =
    strategy === "UnderscoreEscapingWithSuffixes" || strategy === "NoUTF8EscapingWithSuffixes";
  const escapes = strategy.startsWith("UnderscoreEscaping");
  return {
    label: escapes ? escapeLabel : (name) => name,
    metric(metric) {
      if (!escapes) return hasSuffixes ? plainWithSuffixes(metric) : metric.name;
      const tokens = hasSuffixes
        ? suffixed(tokensOf(metric.name, NOT_IN_NAMES), metric)
        : tokensOf(metric.name, /[^a-zA-Z0-9:_]/);
      const name = tokens.join("_");
      return /^\d/.test(name) ? `_${name}` : name;
    },
  };
}

function tokensOf(text: string, separator: RegExp): string[] {
  return text.split(separator).filter((token) => token !== "");
}

/** The unit's words: what is counted, and by what it is divided. */
function unitWords(unit: string): { main: string; per: string } {
  const [first = "", ...rest] = unit.split("/");
  const word = (text: string, words: Readonly<Record<string, string>>): string => {
    const trimmed = text.trim();
    if (trimmed === "" || /[{}]/.test(trimmed)) return "";
    return Object.hasOwn(words, trimmed) ? words[trimmed]! : trimmed;
  };
  const per = word(rest.join("/"), PER_UNITS);
  return { main: word(first, UNITS), per: per === "" ? "" : `per_${per}` };
}

function clean(word: string): string {
  return tokensOf(word, NOT_IN_NAMES).join("_");
}

function suffixed(
  tokens: readonly string[],
  metric: Pick<Metric, "unit" | "shape" | "isMonotonic">,
): string[] {
  const unit = unitWords(metric.unit);
  let all = [...tokens];
  for (const word of [clean(unit.main), clean(unit.per)])
    if (word !== "" && !tokens.includes(word)) all.push(word);
  const last = kindSuffix(metric);
  if (last !== "") all = [...all.filter((token) => token !== last), last];
  return all;
}

function kindSuffix({
  unit,
  shape,
  isMonotonic,
}: Pick<Metric, "unit" | "shape" | "isMonotonic">): string {
  if (shape === "sum" && isMonotonic) return "total";
  return shape === "gauge" && unit === "1" ? "ratio" : "";
}

/** The name as it is, its suffixes in order: unit, per unit, kind. */
function plainWithSuffixes(
  metric: Pick<Metric, "name" | "unit" | "shape" | "isMonotonic">,
): string {
  const { main, per } = unitWords(metric.unit);
  const kind = kindSuffix(metric);
  const without = (name: string, suffix: string): string =>
    suffix !== "" && name.endsWith(suffix) && name.length > suffix.length + 1
      ? name.slice(0, -suffix.length - 1)
      : name;
  let name = without(without(metric.name, kind), per);
  if (main !== "" && !name.endsWith(main)) name += `_${main}`;
  if (per !== "") name += `_${per}`;
  return kind === "" ? name : `${name}_${kind}`;
}

function escapeLabel(name: string): string {
  const escaped = name.replace(/[^a-zA-Z0-9_]/g, "_");
  if (/^\d/.test(escaped)) return `key_${escaped}`;
  return /^_(?!_)/.test(escaped) ? `key${escaped}` : escaped;
}
