import { quote } from "../base/text.ts";
import { formatTimeText } from "../base/time-text.ts";
import { Labels } from "../model/labels.ts";
import type { Position } from "./ast.ts";

/**
 * Warnings and infos of one evaluation, with Prometheus's texts. Equal texts are one annotation (the last position
 * wins, as in Prometheus), rendered with `(line:column)` of the expression, columns counted in UTF-8 bytes.
 */
export class Annotations {
  readonly #entries = new Map<string, Entry>();

  get isEmpty(): boolean {
    return this.#entries.size === 0;
  }

  warn(text: string, position: Position): void {
    this.#entries.set(`PromQL warning: ${text}`, { position, isInfo: false });
  }

  info(text: string, position: Position): void {
    this.#entries.set(`PromQL info: ${text}`, { position, isInfo: true });
  }

  /** A histogram_quantile input that had to be made monotonic; equal ones are summed up in one text. */
  repaired(metricName: string, position: Position, repair: Repair): void {
    const key = `PromQL info: input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile)${forMetric(metricName)}`;
    const before = this.#entries.get(key)?.repair;
    const merged: Repair =
      before === undefined
        ? repair
        : {
            minTimeMs: Math.min(before.minTimeMs, repair.minTimeMs),
            maxTimeMs: Math.max(before.maxTimeMs, repair.maxTimeMs),
            minBucket: Math.min(before.minBucket, repair.minBucket),
            maxBucket: Math.max(before.maxBucket, repair.maxBucket),
            maxDiff: Math.max(before.maxDiff, repair.maxDiff),
            samples: before.samples + repair.samples,
          };
    this.#entries.set(key, { position, isInfo: true, repair: merged });
  }

  /** A counter whose sample starts before the one before it ended; equal ones are counted. */
  startTimeOverlap(metricName: string, position: Position): void {
    const key = `PromQL warning: sample has start time that overlaps with previous sample timestamp for metric ${quoteShown(metricName)}`;
    const occurrences = (this.#entries.get(key)?.occurrences ?? 0) + 1;
    this.#entries.set(key, { position, isInfo: false, occurrences });
  }

  /** The texts as the API shows them, in order of first appearance. */
  render(query: string): { warnings: string[]; infos: string[] } {
    const warnings: string[] = [];
    const infos: string[] = [];
    // Thousands of series may be told of at one place of a long query.
    const places = new Map<number, string>();
    for (const [text, entry] of this.#entries) {
      const { start } = entry.position;
      let place = places.get(start);
      if (place === undefined) places.set(start, (place = lineAndColumn(query, start)));
      const rendered = `${text}${describe(entry)} (${place})`;
      (entry.isInfo ? infos : warnings).push(rendered);
    }
    return { warnings, infos };
  }
}

export interface Repair {
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly minBucket: number;
  readonly maxBucket: number;
  readonly maxDiff: number;
  readonly samples: number;
}

interface Entry {
  readonly position: Position;
  readonly isInfo: boolean;
  readonly repair?: Repair;
  readonly occurrences?: number;
}

function describe({ repair, occurrences = 1 }: Entry): string {
  if (repair !== undefined) return describeRepair(repair);
  return occurrences > 1 ? ` (${occurrences} occurrences)` : "";
}

/** What messages say of a longer name or value is cut: there may be thousands of them, each of a megabyte. */
const SHOWN_MAX_LENGTH = 1000;

function shown(text: string): string {
  return text.length > SHOWN_MAX_LENGTH ? `${text.slice(0, SHOWN_MAX_LENGTH)}…` : text;
}

/** A name or value as messages quote it. */
export function quoteShown(text: string): string {
  return quote(shown(text));
}

/** `{a="b"}` for messages. */
export function labelsShown(labels: Labels): string {
  const pairs = Array.from(labels, ([name, value]) => [shown(name), shown(value)] as const);
  return Labels.fromPairs(pairs).toString();
}

/** ` for metric name "x"`, or nothing when the name is not known. */
export function forMetric(metricName: string): string {
  return metricName === "" ? "" : ` for metric name ${quoteShown(metricName)}`;
}

function describeRepair(repair: Repair): string {
  const diff = formatPrecise(repair.maxDiff, 2);
  return `, from buckets ${formatShortest(repair.minBucket)} to ${formatShortest(repair.maxBucket)}, with a max diff of ${diff}, over ${repair.samples} samples from ${formatTime(repair.minTimeMs)} to ${formatTime(repair.maxTimeMs)}`;
}

function formatTime(timeMs: number): string {
  return formatTimeText(Math.trunc(timeMs / 1000) * 1000).replace(".000", "");
}

/** 1-based line and byte column of a 0-based offset. */
export function lineAndColumn(query: string, offset: number): string {
  const before = query.slice(0, offset);
  const lines = before.split("\n");
  return `${lines.length}:${Buffer.byteLength(lines[lines.length - 1]!) + 1}`;
}

/** Go's `%g` with the shortest digits: exponents below -4 and from 6 on are written with `e`. */
export function formatShortest(value: number): string {
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : "-Inf";
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  const [mantissa, exponentText] = value.toExponential().split("e") as [string, string];
  const exponent = Number(exponentText);
  if (exponent >= -4 && exponent < 6) return plainDigits(value);
  return `${mantissa}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

/** Go's `%.<precision>g`. */
export function formatPrecise(value: number, precision: number): string {
  if (!Number.isFinite(value) || value === 0) return formatShortest(value);
  const [mantissa, exponentText] = value.toExponential(precision - 1).split("e") as [
    string,
    string,
  ];
  const exponent = Number(exponentText);
  if (exponent >= -4 && exponent < precision)
    return plainDigits(Number(value.toPrecision(precision)));
  const digits = mantissa.includes(".") ? mantissa.replace(/\.?0+$/, "") : mantissa;
  return `${digits}e${exponent < 0 ? "-" : "+"}${String(Math.abs(exponent)).padStart(2, "0")}`;
}

/** String() switches to exponents at 1e-7 and 1e21, outside the range asked for here. */
function plainDigits(value: number): string {
  return String(value);
}
