import { AppError, messageOf } from "../base/errors.ts";
import {
  type Attribute,
  type Buckets,
  EMPTY_POINT,
  type Metric,
  type MetricShape,
  NO_BUCKETS,
  NO_RECORDED_VALUE,
  type Point,
  type PointExemplar,
  type ResourceMetrics,
  type ScopeMetrics,
} from "./otlp-model.ts";
import { attributeText } from "./otlp-protobuf.ts";

/** An `ExportMetricsServiceRequest` in OTLP's JSON: 64-bit integers are texts, ids are hexadecimal. Throws `bad-data`. */
export function decodeOtlpJson(text: string): ResourceMetrics[] {
  let root: unknown;
  try {
    root = JSON.parse(text);
  } catch (error) {
    throw new AppError("bad-data", `cannot read the OTLP request: ${messageOf(error)}`, {
      cause: error,
    });
  }
  return listOf(root, "resourceMetrics").map((resource) => ({
    attributes: attributesOf(get(resource, "resource"), "attributes"),
    scopes: listOf(resource, "scopeMetrics").map(scopeOf),
  }));
}

function scopeOf(value: unknown): ScopeMetrics {
  const scope = get(value, "scope");
  return {
    name: textOf(scope, "name"),
    version: textOf(scope, "version"),
    schemaUrl: textOf(value, "schemaUrl"),
    attributes: attributesOf(scope, "attributes"),
    metrics: listOf(value, "metrics").map(metricOf),
  };
}

const SHAPES: readonly (readonly [key: string, shape: MetricShape])[] = [
  ["gauge", "gauge"],
  ["sum", "sum"],
  ["histogram", "histogram"],
  ["exponentialHistogram", "exponential"],
  ["summary", "summary"],
];

const TEMPORALITIES = [
  "AGGREGATION_TEMPORALITY_UNSPECIFIED",
  "AGGREGATION_TEMPORALITY_DELTA",
  "AGGREGATION_TEMPORALITY_CUMULATIVE",
];

function metricOf(value: unknown): Metric {
  const [key, shape] = SHAPES.find(([name]) => get(value, name) !== undefined) ?? SHAPES[0]!;
  const data = get(value, key);
  const temporality = get(data, "aggregationTemporality");
  return {
    name: textOf(value, "name"),
    description: textOf(value, "description"),
    unit: textOf(value, "unit"),
    shape,
    temporality:
      typeof temporality === "string" && TEMPORALITIES.includes(temporality)
        ? TEMPORALITIES.indexOf(temporality)
        : numberOf(temporality),
    isMonotonic: get(data, "isMonotonic") === true,
    points: listOf(data, "dataPoints").map(pointOf),
  };
}

function pointOf(value: unknown): Point {
  const sum = get(value, "sum");
  return {
    ...EMPTY_POINT,
    attributes: attributesOf(value, "attributes"),
    timeMs: millisecondsOf(value),
    isStale: (numberOf(get(value, "flags")) & NO_RECORDED_VALUE) !== 0,
    value: valueOf(value),
    count: numberOf(get(value, "count")),
    sum: sum === undefined ? undefined : numberOf(sum),
    bucketCounts: listOf(value, "bucketCounts").map(numberOf),
    bounds: listOf(value, "explicitBounds").map(numberOf),
    scale: numberOf(get(value, "scale")),
    zeroCount: numberOf(get(value, "zeroCount")),
    zeroThreshold: numberOf(get(value, "zeroThreshold")),
    positive: bucketsOf(get(value, "positive")),
    negative: bucketsOf(get(value, "negative")),
    quantiles: listOf(value, "quantileValues").map((one) => ({
      quantile: numberOf(get(one, "quantile")),
      value: numberOf(get(one, "value")),
    })),
    exemplars: listOf(value, "exemplars").map(exemplarOf),
  };
}

function bucketsOf(value: unknown): Buckets {
  if (value === undefined) return NO_BUCKETS;
  return {
    offset: numberOf(get(value, "offset")),
    counts: listOf(value, "bucketCounts").map(numberOf),
  };
}

function exemplarOf(value: unknown): PointExemplar {
  return {
    attributes: attributesOf(value, "filteredAttributes"),
    timeMs: millisecondsOf(value),
    value: valueOf(value),
    traceId: textOf(value, "traceId").toLowerCase(),
    spanId: textOf(value, "spanId").toLowerCase(),
  };
}

function valueOf(point: unknown): number {
  return numberOf(get(point, "asDouble") ?? get(point, "asInt"));
}

function millisecondsOf(point: unknown): number {
  const time = get(point, "timeUnixNano") ?? 0;
  const text = typeof time === "number" ? String(time) : time;
  if (typeof text !== "string" || !/^\d{1,20}$/.test(text))
    throw bad(`timeUnixNano is ${JSON.stringify(time)}`);
  return Number(BigInt(text) / 1_000_000n);
}

function attributesOf(value: unknown, key: string): Attribute[] {
  return listOf(value, key).map((pair) => [
    textOf(pair, "key"),
    attributeText(anyValueOf(get(pair, "value"))),
  ]);
}

function anyValueOf(value: unknown): unknown {
  const text = get(value, "stringValue") ?? get(value, "bytesValue");
  if (typeof text === "string") return text;
  const bool = get(value, "boolValue");
  if (bool !== undefined) return bool === true || bool === "true";
  const number = get(value, "intValue") ?? get(value, "doubleValue");
  if (number !== undefined) return numberOf(number);
  const array = get(value, "arrayValue");
  if (array !== undefined) return listOf(array, "values").map(anyValueOf);
  const pairs = get(value, "kvlistValue");
  if (pairs === undefined) return "";
  return new Map(
    listOf(pairs, "values").map((pair) => [textOf(pair, "key"), anyValueOf(get(pair, "value"))]),
  );
}

function get(value: unknown, key: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, key)) return undefined;
  return (Reflect.get(value, key) as unknown) ?? undefined;
}

function listOf(value: unknown, key: string): readonly unknown[] {
  const list = get(value, key);
  if (list === undefined) return [];
  if (!Array.isArray(list)) throw bad(`${key} is not a list`);
  return list as unknown[];
}

function textOf(value: unknown, key: string): string {
  const text = get(value, key) ?? "";
  if (typeof text !== "string") throw bad(`${key} is not a text`);
  return text;
}

/** Numbers may be texts, and the special ones must be. */
function numberOf(value: unknown): number {
  if (value === undefined) return 0;
  if (value === "-Infinity") return -Infinity;
  const number = typeof value === "string" && value !== "" ? Number(value) : value;
  if (typeof number !== "number" || (Number.isNaN(number) && value !== "NaN"))
    throw bad(`${JSON.stringify(value)} is not a number`);
  return number;
}

function bad(why: string): AppError {
  return new AppError("bad-data", `cannot read the OTLP request: ${why}`);
}
