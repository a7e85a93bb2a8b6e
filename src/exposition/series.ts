import { parseFloatText } from "../base/float.ts";
import { Labels, METRIC_NAME } from "../model/labels.ts";
import { KIND_HISTOGRAM, KIND_SUMMARY } from "./columns.ts";

/**
 * The labels of series text that the parser has accepted, as written: name, value, name, value, … with the metric's
 * name first; not sorted, empty values kept (with honor_labels an empty label keeps the target's label away).
 * `kind` (an index into METRIC_KINDS) decides whether `le` or `quantile` is a float to be normalised.
 */
export function decodePairs(
  text: Buffer,
  range: { readonly start: number; readonly end: number; readonly kind: number },
): string[] {
  const { start, end, kind } = range;
  const floatLabel =
    kind === KIND_HISTOGRAM ? "le" : kind === KIND_SUMMARY ? "quantile" : undefined;
  const pairs: string[] = [];
  let p = start;
  if (text[p] !== 123) {
    while (p < end && text[p] !== 123) p++;
    let nameEnd = p;
    while (isBlank(text[nameEnd - 1])) nameEnd--;
    pairs.push(METRIC_NAME, text.toString("latin1", start, nameEnd));
  }
  p++;
  while (p < end) {
    const c = text[p];
    if (isBlank(c) || c === 44 || c === 125) {
      p++;
      continue;
    }
    const nameStart = p;
    p = c === 34 ? pastQuoted(text, p) : pastName(text, p);
    const name =
      c === 34 ? unescaped(text, nameStart + 1, p - 1) : text.toString("latin1", nameStart, p);
    while (isBlank(text[p])) p++;
    if (text[p] !== 61) {
      pairs.unshift(METRIC_NAME, name);
      continue;
    }
    p++;
    while (isBlank(text[p])) p++;
    const valueStart = p;
    p = pastQuoted(text, p);
    const value = unescaped(text, valueStart + 1, p - 1);
    pairs.push(name, name === floatLabel ? normalizeFloat(value) : value);
  }
  return pairs;
}

/** The same as `Labels`: sorted, without empty values; of a repeated name the last value wins. */
export function decodeSeries(
  text: Buffer,
  range: { readonly start: number; readonly end: number; readonly kind: number },
): Labels {
  const flat = decodePairs(text, range);
  const pairs: [string, string][] = [];
  for (let i = 0; i < flat.length; i += 2) pairs.push([flat[i]!, flat[i + 1]!]);
  return Labels.fromPairs(pairs);
}

/** `le` and `quantile` values in OpenMetrics's float form: `1` → `1.0`, `1000000` → `1e+06`; other text as it is. */
export function normalizeFloat(text: string): string {
  const value = parseFloatText(text);
  if (value === undefined) return text;
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return /\d/.test(text) ? text : value > 0 ? "+Inf" : "-Inf";
  if (value === 0) return "0.0";
  const [digits = "", power = "0"] = value.toExponential().split("e");
  const exponent = Number(power);
  // Go's strconv turns its shortest 'g' form to exponents below 1e-4 and from 1e6 on.
  if (exponent < -4 || exponent >= 6)
    return `${digits}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
  const plain = String(value);
  return plain.includes(".") ? plain : `${plain}.0`;
}

function pastName(text: Buffer, from: number): number {
  let p = from;
  while (p < text.length && text[p] !== 61 && !isBlank(text[p])) p++;
  return p;
}

function pastQuoted(text: Buffer, from: number): number {
  let p = from + 1;
  while (p < text.length && text[p] !== 34) p += text[p] === 92 ? 2 : 1;
  return p + 1;
}

/** `\\`, `\"` and `\n` mean what they say; any other backslash stands for itself. */
function unescaped(text: Buffer, start: number, end: number): string {
  const raw = text.toString("utf8", start, end);
  if (!raw.includes("\\")) return raw;
  return raw.replace(/\\(["\\n])/g, (_: string, escaped: string) =>
    escaped === "n" ? "\n" : escaped,
  );
}

function isBlank(c: number | undefined): boolean {
  return c === 32 || c === 9;
}
