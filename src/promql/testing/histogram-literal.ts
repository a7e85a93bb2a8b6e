/** Native histograms as promqltest scripts write them: `{{schema:0 sum:5 count:4 buckets:[1 2 1]}}`. */
import { AppError } from "../../base/errors.ts";
import { quote } from "../../base/text.ts";
import { numberOf } from "../literals.ts";

/** Buckets are absolute counts of consecutive indexes from `offset` on. Everything left out is 0 or empty. */
export interface HistogramLiteral {
  readonly schema: number;
  readonly sum: number;
  readonly count: number;
  readonly zeroCount: number;
  readonly zeroThreshold: number;
  readonly offset: number;
  readonly buckets: readonly number[];
  readonly negativeOffset: number;
  readonly negativeBuckets: readonly number[];
  /** Upper bounds of the buckets of schema -53. */
  readonly customValues: readonly number[];
  /** Undefined when the literal names none: then an expectation does not care. */
  readonly counterResetHint: CounterResetHint | undefined;
}

export type CounterResetHint = "unknown" | "reset" | "not_reset" | "gauge";

const EMPTY: HistogramLiteral = {
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
  return { ...EMPTY, ...fields };
}

function parseField(
  key: string,
  value: string,
): readonly [keyof HistogramLiteral, number | number[] | CounterResetHint] {
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

/**
 * `left` + `factor` × `right`, for sequences; a finer `right` is brought to the resolution of `left`. Zero buckets and
 * custom bounds must be the same, which is all that sequences in scripts need.
 */
export function addHistograms(
  left: HistogramLiteral,
  right: HistogramLiteral,
  factor: 1 | -1,
): HistogramLiteral {
  if (left.schema > right.schema)
    throw invalid(
      `error combining histograms: cannot merge from schema ${right.schema} to ${left.schema}`,
    );
  const isEmpty = right.count === 0 && right.buckets.length + right.negativeBuckets.length === 0;
  const sameLayout =
    left.zeroThreshold === right.zeroThreshold &&
    left.customValues.join() === right.customValues.join() &&
    (left.schema === right.schema || left.customValues.length === 0);
  if (!sameLayout && !isEmpty)
    throw invalid("histograms with different zero buckets or bounds in one sequence");
  const halvings = right.schema - left.schema;
  const positive = addBuckets(
    { offset: left.offset, counts: left.buckets },
    coarsen({ offset: right.offset, counts: right.buckets }, halvings),
    factor,
  );
  const negative = addBuckets(
    { offset: left.negativeOffset, counts: left.negativeBuckets },
    coarsen({ offset: right.negativeOffset, counts: right.negativeBuckets }, halvings),
    factor,
  );
  return {
    ...left,
    sum: left.sum + factor * right.sum,
    count: left.count + factor * right.count,
    zeroCount: left.zeroCount + factor * right.zeroCount,
    offset: positive.offset,
    buckets: positive.counts,
    negativeOffset: negative.offset,
    negativeBuckets: negative.counts,
  };
}

/** Each halving of the resolution makes bucket `ceil(i / 2)` of buckets i. */
function coarsen(buckets: Buckets, halvings: number): Buckets {
  let { offset, counts } = buckets;
  for (let k = 0; k < halvings && counts.length > 0; k++) {
    const coarser = Math.ceil(offset / 2);
    const end = Math.ceil((offset + counts.length - 1) / 2);
    const sums = Array.from({ length: end - coarser + 1 }, () => 0);
    for (const [i, count] of counts.entries())
      sums[Math.ceil((offset + i) / 2) - coarser]! += count;
    offset = coarser;
    counts = sums;
  }
  return { offset, counts };
}

interface Buckets {
  readonly offset: number;
  readonly counts: readonly number[];
}

function addBuckets(left: Buckets, right: Buckets, factor: number): Buckets {
  if (right.counts.length === 0) return left;
  if (left.counts.length === 0)
    return { offset: right.offset, counts: right.counts.map((count) => factor * count) };
  const offset = Math.min(left.offset, right.offset);
  const end = Math.max(left.offset + left.counts.length, right.offset + right.counts.length);
  const counts = Array.from(
    { length: end - offset },
    (_, i) =>
      (left.counts[i + offset - left.offset] ?? 0) +
      factor * (right.counts[i + offset - right.offset] ?? 0),
  );
  return { offset, counts };
}

function invalid(reason: string): AppError {
  return new AppError("bad-data", reason);
}
