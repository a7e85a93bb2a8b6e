/** Native histograms as promqltest scripts write them: `{{schema:0 sum:5 count:4 buckets:[1 2 1]}}`. */
import { AppError } from "../../base/errors.ts";
import { quote } from "../../base/text.ts";
import {
  type CounterResetHint,
  type FloatHistogram,
  newHistogram,
  NO_SPANS,
} from "../../model/histogram.ts";
import { addHistograms, subtractHistograms } from "../../model/histogram-arithmetic.ts";
import { numberOf } from "../literals.ts";

/** Everything left out is 0 or empty. */
export interface HistogramLiteral {
  readonly histogram: FloatHistogram;
  /** Whether the literal names a counter reset hint; an expectation without one does not care. */
  readonly hasHint: boolean;
}

/** Buckets are absolute counts of consecutive indexes from `offset` on. */
interface Fields {
  readonly schema: number;
  readonly sum: number;
  readonly count: number;
  readonly zeroCount: number;
  readonly zeroThreshold: number;
  readonly offset: number;
  readonly buckets: readonly number[];
  readonly negativeOffset: number;
  readonly negativeBuckets: readonly number[];
  readonly customValues: readonly number[];
  readonly counterResetHint: CounterResetHint | undefined;
}

const EMPTY: Fields = {
  schema: 0,
  sum: 0,
  count: 0,
  zeroCount: 0,
  zeroThreshold: 0,
  offset: 0,
  buckets: [],
  negativeOffset: 0,
  negativeBuckets: [],
  customValues: [],
  counterResetHint: undefined,
};

const NUMBERS = {
  sum: "sum",
  count: "count",
  z_bucket: "zeroCount",
  z_bucket_w: "zeroThreshold",
} as const;
const INTEGERS = { schema: "schema", offset: "offset", n_offset: "negativeOffset" } as const;
const LISTS = {
  buckets: "buckets",
  n_buckets: "negativeBuckets",
  custom_values: "customValues",
} as const;
const HINTS: readonly string[] = ["unknown", "reset", "not_reset", "gauge"];

const FIELD = /^\s*([A-Za-z_]+):(\[[^\]]*\]|[^\s[\]]+)(?=\s|$)/;

/** The literal whose text between `{{` and `}}` is `body`. Throws `bad-data`. */
export function parseHistogram(body: string): HistogramLiteral {
  const fields: Record<string, unknown> = Object.create(null) as Record<string, unknown>;
  const seen = new Set<string>();
  let rest = body.trimEnd();
  while (rest !== "") {
    const match = FIELD.exec(rest);
    if (match === null)
      throw invalid(`expected histogram description key, e.g. buckets:[5 10 7], at ${quote(rest)}`);
    const [whole, name, value] = match as unknown as [string, string, string];
    const key = name.toLowerCase();
    if (seen.has(key)) throw invalid(`duplicate key ${quote(key)} in histogram`);
    seen.add(key);
    const [field, parsed] = parseField(key, value);
    fields[field] = parsed;
    rest = rest.slice(whole.length);
  }
  return toLiteral({ ...EMPTY, ...fields });
}

function toLiteral(fields: Fields): HistogramLiteral {
  const { schema, sum, count, zeroCount, zeroThreshold, counterResetHint } = fields;
  const histogram = newHistogram({
    schema,
    sum,
    count,
    zeroCount,
    zeroThreshold,
    counterResetHint: counterResetHint ?? "unknown",
    positiveSpans: oneSpan(fields.offset, fields.buckets.length),
    positiveBuckets: Float64Array.from(fields.buckets),
    negativeSpans: oneSpan(fields.negativeOffset, fields.negativeBuckets.length),
    negativeBuckets: Float64Array.from(fields.negativeBuckets),
    customValues: Float64Array.from(fields.customValues),
  });
  return { histogram, hasHint: counterResetHint !== undefined };
}

function oneSpan(offset: number, length: number): Int32Array {
  return length === 0 ? NO_SPANS : Int32Array.of(offset, length);
}

function parseField(
  key: string,
  value: string,
): readonly [keyof Fields, number | number[] | CounterResetHint] {
  if (hasKey(NUMBERS, key)) return [NUMBERS[key], parseNumber(value)];
  if (hasKey(INTEGERS, key)) {
    if (!/^-?\d+$/.test(value)) throw invalid(`${key} ${quote(value)} is not an integer`);
    return [INTEGERS[key], Number(value)];
  }
  if (hasKey(LISTS, key)) {
    const items = value.startsWith("[") ? value.slice(1, -1).trim().split(/\s+/) : [""];
    return [LISTS[key], items.map(parseNumber)];
  }
  if (key === "counter_reset_hint" && HINTS.includes(value.toLowerCase()))
    return ["counterResetHint", value.toLowerCase() as CounterResetHint];
  throw invalid(`bad histogram descriptor found: ${quote(key)}`);
}

function hasKey<T extends object>(table: T, key: string): key is Extract<keyof T, string> {
  return Object.hasOwn(table, key);
}

function parseNumber(text: string): number {
  const sign = text.startsWith("-") ? -1 : 1;
  const literal = numberOf(text.replace(/^[+-]/, ""));
  if ("reason" in literal) throw invalid(`${quote(text)} is not a number`);
  return sign * literal.value;
}

/** `left` + `factor` × `right`, for sequences; a finer `right` is brought to the resolution of `left`. */
export function addInSequence(
  left: FloatHistogram,
  right: FloatHistogram,
  factor: 1 | -1,
): FloatHistogram {
  const sum =
    left.schema > right.schema
      ? undefined
      : factor === 1
        ? addHistograms(left, right)
        : subtractHistograms(left, right);
  if (sum === undefined)
    throw invalid(
      `error combining histograms: cannot merge from schema ${right.schema} to ${left.schema}`,
    );
  return sum.histogram;
}

function invalid(reason: string): AppError {
  return new AppError("bad-data", reason);
}
