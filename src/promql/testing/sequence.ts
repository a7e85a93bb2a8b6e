/** Series lines of promqltest scripts: a metric and a sequence of values such as `1 2 _ 4+1x5 stale {{sum:1}}x3`. */
import { AppError } from "../../base/errors.ts";
import { quote } from "../../base/text.ts";
import { parseDuration } from "../../base/units.ts";
import type { Labels } from "../../model/labels.ts";
import { durationOf, numberOf } from "../literals.ts";
import { parseMetric } from "../parser-selectors.ts";
import { addInSequence, parseHistogram, type HistogramLiteral } from "./histogram-literal.ts";

/** Items one line may stand for: a script's `x` counts are written by people. */
export const SEQUENCE_MAX_ITEMS = 1_000_000;

export type SequenceItem =
  | { readonly kind: "missing" }
  | { readonly kind: "stale" }
  | { readonly kind: "float"; readonly value: number }
  | ({ readonly kind: "histogram" } & HistogramLiteral);

export interface SeriesLine {
  readonly labels: Labels;
  readonly items: readonly SequenceItem[];
}

const MISSING: SequenceItem = { kind: "missing" };
const STALE: SequenceItem = { kind: "stale" };

/** `metric{labels} values…`. Throws `bad-data`. */
export function parseSeriesLine(line: string): SeriesLine {
  const { labels, end } = parseMetric(line);
  return { labels, items: parseSequence(line.slice(end)) };
}

/** `metric{labels}@st offsets…`: start timestamps in ms relative to each sample's time, undefined where none is. */
export interface StartTimeLine {
  readonly labels: Labels;
  readonly offsetsMs: readonly (number | undefined)[];
}

export function isStartTimeLine(line: string): boolean {
  return /^\S*@st\s/.test(line);
}

export function parseStartTimeLine(line: string): StartTimeLine {
  const [, metric = "", offsets = ""] = /^(\S*)@st\s+(.*)$/.exec(line) ?? [];
  const { labels } = parseMetric(metric);
  const offsetsMs: (number | undefined)[] = [];
  for (const word of offsets.split(/\s+/)) {
    const missing = /^_(?:x(\d+))?$/.exec(word);
    if (missing !== null) push(offsetsMs, Array.from({ length: repeats(missing[1] ?? "1") }));
    else {
      const match = /^([+-]?[\da-wyz]+)(?:([+-][\da-wyz]+)?x(\d+))?$/.exec(word);
      if (match === null) throw invalid(`invalid ST item ${quote(word)}`);
      const [, base = "", step, count] = match;
      const stepMs = step === undefined ? 0 : signedDuration(step);
      const length = count === undefined ? 1 : repeats(count) + 1;
      push(
        offsetsMs,
        Array.from({ length }, (_, i) => signedDuration(base) + i * stepMs),
      );
    }
  }
  return { labels, offsetsMs };
}

function signedDuration(text: string): number {
  const duration = parseDuration(text.replace(/^[+-]/, ""));
  return text.startsWith("-") ? -duration : duration;
}

function parseSequence(text: string): SequenceItem[] {
  const items: SequenceItem[] = [];
  let rest = text;
  while (rest !== "") {
    const space = /^[ \t]+/.exec(rest);
    if (space === null) throw invalid(`unexpected ${quote(rest)} in series values`);
    rest = rest.slice(space[0].length);
    if (rest === "") break;
    if (rest.startsWith("{{")) {
      const { parsed, size } = parseHistogramItem(rest);
      push(items, parsed);
      rest = rest.slice(size);
    } else {
      const word = /^[^ \t]+/.exec(rest)![0];
      push(items, parseWord(word));
      rest = rest.slice(word.length);
    }
  }
  return items;
}

/** `{{…}}`, `{{…}}x3`, `{{…}}+{{…}}x3` or `{{…}}-{{…}}x3` at the start of `text`. */
function parseHistogramItem(text: string): {
  readonly parsed: readonly SequenceItem[];
  readonly size: number;
} {
  const base = readHistogram(text, 0);
  const sign = text[base.end];
  if (sign !== "+" && sign !== "-") {
    const count = /^x(\d+)/.exec(text.slice(base.end));
    const length = count === null ? 1 : repeats(count[1]!) + 1;
    const item: SequenceItem = { kind: "histogram", ...base.literal };
    const size = base.end + (count === null ? 0 : count[0].length);
    return { parsed: Array.from({ length }, () => item), size };
  }
  const step = readHistogram(text, base.end + 1);
  const count = /^x(\d+)/.exec(text.slice(step.end));
  if (count === null) throw invalid(`expected a repetition such as x5 behind ${quote(text)}`);
  const parsed: SequenceItem[] = [];
  let { histogram } = base.literal;
  const hasHint = base.literal.hasHint || step.literal.hasHint;
  for (let i = 0; i <= repeats(count[1]!); i++) {
    if (i > 0) histogram = addInSequence(histogram, step.literal.histogram, sign === "+" ? 1 : -1);
    parsed.push({ kind: "histogram", histogram, hasHint });
  }
  return { parsed, size: step.end + count[0].length };
}

function readHistogram(text: string, from: number): { literal: HistogramLiteral; end: number } {
  const end = text.indexOf("}}", from);
  if (!text.startsWith("{{", from) || end < 0)
    throw invalid(`histogram description incomplete: ${quote(text.slice(from))}`);
  return { literal: parseHistogram(text.slice(from + 2, end)), end: end + 2 };
}

const FLOAT = String.raw`(?:\d[\d_]*(?:\.[\d_]*)?|\.[\d_]+)(?:e[+-]?\d+)?|inf|nan|(?:\d+[a-z]+)+`;
const WORD = new RegExp(String.raw`^([+-]?(?:${FLOAT}))([+-](?:${FLOAT}))?(?:x(\d+))?$`, "i");

function parseWord(word: string): readonly SequenceItem[] {
  const marker = /^(_|stale)(?:x(\d+))?$/.exec(word);
  if (marker !== null) {
    const [, kind, count] = marker;
    // `_x3` is three gaps, while everything else comes once more than it is repeated.
    const length = count === undefined ? 1 : repeats(count) + (kind === "_" ? 0 : 1);
    return Array.from({ length }, () => (kind === "_" ? MISSING : STALE));
  }
  const match = WORD.exec(word);
  if (match === null) throw invalid(`unexpected ${quote(word)} in series values`);
  const [, first = "", step, count] = match;
  if (step !== undefined && count === undefined)
    throw invalid(`expected a repetition such as x5 behind ${quote(word)}`);
  const length = count === undefined ? 1 : repeats(count) + 1;
  let value = signedNumber(first);
  const increment = step === undefined ? undefined : signedNumber(step);
  return Array.from({ length }, () => {
    const item: SequenceItem = { kind: "float", value };
    if (increment !== undefined) value += increment;
    return item;
  });
}

/** A number or duration with an optional sign, or undefined. */
export function parseSignedNumber(text: string): number | undefined {
  const unsigned = text.replace(/^[+-]/, "");
  if (!/^[\d.]|^(?:inf|nan)$/i.test(unsigned)) return undefined;
  const literal = /^(?:\d+(?:ms|[smhdwy]))+$/.test(unsigned)
    ? durationOf(unsigned)
    : numberOf(unsigned);
  if ("reason" in literal) return undefined;
  return text.startsWith("-") ? -literal.value : literal.value;
}

function signedNumber(text: string): number {
  const value = parseSignedNumber(text);
  if (value === undefined) throw invalid(`${quote(text)} is not a number`);
  return value;
}

function repeats(digits: string): number {
  const count = Number(digits);
  if (count >= SEQUENCE_MAX_ITEMS)
    throw invalid(
      `invalid repetition in series values: ${digits} is not below ${SEQUENCE_MAX_ITEMS}`,
    );
  return count;
}

function push<T>(into: T[], items: readonly T[]): void {
  if (into.length + items.length > SEQUENCE_MAX_ITEMS)
    throw invalid(`a series line stands for more than ${SEQUENCE_MAX_ITEMS} values`);
  for (const item of items) into.push(item);
}

function invalid(reason: string): AppError {
  return new AppError("bad-data", reason);
}
