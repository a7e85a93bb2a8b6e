import { corrupt, ProtoReader } from "../proto/wire.ts";
import {
  type Attribute,
  type Buckets,
  EMPTY_POINT,
  type Metric,
  type MetricShape,
  NO_RECORDED_VALUE,
  type Point,
  type PointExemplar,
  type ResourceMetrics,
  type ScopeMetrics,
} from "./otlp-model.ts";

/** An `ExportMetricsServiceRequest` in protobuf. Throws `corrupt`. Format: docs/format/remote.md. */
export function decodeOtlp(bytes: Uint8Array): ResourceMetrics[] {
  const all: ResourceMetrics[] = [];
  eachField(new ProtoReader(bytes), {
    0x0a: (reader) => all.push(readResource(reader.nested())),
  });
  return all;
}

type Writable<T> = { -readonly [K in keyof T]: T[K] };
type Fields = Readonly<Record<number, (reader: ProtoReader) => unknown>>;

/** Calls the function of each field's key; passes over fields that have none. */
function eachField(reader: ProtoReader, fields: Fields): void {
  while (reader.more) {
    const key = reader.key();
    const read = fields[key];
    if (read === undefined) reader.skip(key);
    else read(reader);
  }
}

function readResource(message: ProtoReader): ResourceMetrics {
  const attributes: Attribute[] = [];
  const scopes: ScopeMetrics[] = [];
  eachField(message, {
    0x0a: (reader) =>
      eachField(reader.nested(), {
        0x0a: (inner) => attributes.push(readAttribute(inner.nested())),
      }),
    0x12: (reader) => scopes.push(readScope(reader.nested())),
  });
  return { attributes, scopes };
}

function readScope(message: ProtoReader): ScopeMetrics {
  const metrics: Metric[] = [];
  const scope = { name: "", version: "", schemaUrl: "", attributes: [] as Attribute[], metrics };
  eachField(message, {
    0x0a: (reader) =>
      eachField(reader.nested(), {
        0x0a: (inner) => (scope.name = inner.string()),
        0x12: (inner) => (scope.version = inner.string()),
        0x1a: (inner) => scope.attributes.push(readAttribute(inner.nested())),
      }),
    0x12: (reader) => metrics.push(readMetric(reader.nested())),
    0x1a: (reader) => (scope.schemaUrl = reader.string()),
  });
  return scope;
}

const SHAPES: Readonly<Record<number, MetricShape>> = {
  0x2a: "gauge",
  0x3a: "sum",
  0x4a: "histogram",
  0x52: "exponential",
  0x5a: "summary",
};

function readMetric(message: ProtoReader): Metric {
  const points: Point[] = [];
  const metric: Writable<Metric> = {
    name: "",
    description: "",
    unit: "",
    shape: "gauge",
    temporality: 0,
    isMonotonic: false,
    points,
  };
  const data = (shape: MetricShape) => (reader: ProtoReader) => {
    metric.shape = shape;
    eachField(reader.nested(), {
      0x0a: (inner) => points.push(readPoint(inner.nested(), shape)),
      0x10: (inner) => (metric.temporality = inner.uint32()),
      0x18: (inner) => (metric.isMonotonic = inner.bool()),
    });
  };
  eachField(message, {
    0x0a: (reader) => (metric.name = reader.string()),
    0x12: (reader) => (metric.description = reader.string()),
    0x1a: (reader) => (metric.unit = reader.string()),
    ...Object.fromEntries(Object.entries(SHAPES).map(([key, shape]) => [key, data(shape)])),
  });
  return metric;
}

/** The fields of points differ by shape, and the same number means another thing in another shape. */
function readPoint(message: ProtoReader, shape: MetricShape): Point {
  const attributes: Attribute[] = [];
  const exemplars: PointExemplar[] = [];
  const quantiles: { quantile: number; value: number }[] = [];
  const point: Writable<Point> = { ...EMPTY_POINT, attributes, exemplars, quantiles };
  const attribute = (reader: ProtoReader): unknown =>
    attributes.push(readAttribute(reader.nested()));
  const exemplar = (reader: ProtoReader): unknown => exemplars.push(readExemplar(reader.nested()));
  const flags = (reader: ProtoReader): void => {
    point.isStale = (reader.uint32() & NO_RECORDED_VALUE) !== 0;
  };
  const common: Fields = { 0x19: (reader) => (point.timeMs = milliseconds(reader)) };
  const counted: Fields = {
    0x21: (reader) => (point.count = Number(fixed64(reader))),
    0x29: (reader) => (point.sum = double(reader)),
  };
  const byShape: Record<MetricShape, Fields> = {
    gauge: {
      0x3a: attribute,
      0x21: (reader) => (point.value = double(reader)),
      0x31: (reader) => (point.value = Number(BigInt.asIntN(64, fixed64(reader)))),
      0x2a: exemplar,
      0x40: flags,
    },
    sum: {},
    histogram: {
      ...counted,
      0x4a: attribute,
      0x32: (reader) => (point.bucketCounts = list(reader.nested(), (one) => Number(fixed64(one)))),
      0x3a: (reader) => (point.bounds = list(reader.nested(), double)),
      0x42: exemplar,
      0x50: flags,
    },
    exponential: {
      ...counted,
      0x0a: attribute,
      0x30: (reader) => (point.scale = zigzag(reader.uint32())),
      0x39: (reader) => (point.zeroCount = Number(fixed64(reader))),
      0x42: (reader) => (point.positive = readBuckets(reader.nested())),
      0x4a: (reader) => (point.negative = readBuckets(reader.nested())),
      0x50: flags,
      0x5a: exemplar,
      0x71: (reader) => (point.zeroThreshold = double(reader)),
    },
    summary: {
      ...counted,
      0x3a: attribute,
      0x32: (reader) => {
        const one = { quantile: 0, value: 0 };
        eachField(reader.nested(), {
          0x09: (inner) => (one.quantile = double(inner)),
          0x11: (inner) => (one.value = double(inner)),
        });
        quantiles.push(one);
      },
      0x40: flags,
    },
  };
  eachField(message, { ...common, ...byShape[shape === "sum" ? "gauge" : shape] });
  return point;
}

function readBuckets(message: ProtoReader): Buckets {
  const counts: number[] = [];
  let offset = 0;
  eachField(message, {
    0x08: (reader) => (offset = zigzag(reader.uint32())),
    0x12: (reader) => counts.push(...list(reader.nested(), (one) => one.int64())),
    0x10: (reader) => counts.push(reader.int64()),
  });
  return { offset, counts };
}

function readExemplar(message: ProtoReader): PointExemplar {
  const attributes: Attribute[] = [];
  const exemplar = { attributes, timeMs: 0, value: 0, traceId: "", spanId: "" };
  eachField(message, {
    0x3a: (reader) => attributes.push(readAttribute(reader.nested())),
    0x11: (reader) => (exemplar.timeMs = milliseconds(reader)),
    0x19: (reader) => (exemplar.value = double(reader)),
    0x31: (reader) => (exemplar.value = Number(BigInt.asIntN(64, fixed64(reader)))),
    0x22: (reader) => (exemplar.spanId = Buffer.from(reader.view()).toString("hex")),
    0x2a: (reader) => (exemplar.traceId = Buffer.from(reader.view()).toString("hex")),
  });
  return exemplar;
}

function readAttribute(message: ProtoReader): Attribute {
  let name = "";
  let value: unknown = "";
  eachField(message, {
    0x0a: (reader) => (name = reader.string()),
    0x12: (reader) => (value = readValue(reader.nested(), 0)),
  });
  return [name, attributeText(value)];
}

/** Values may hold values. */
const NESTING_MAX = 32;

function readValue(message: ProtoReader, depth: number): unknown {
  if (depth > NESTING_MAX) throw corrupt(`an attribute is nested deeper than ${NESTING_MAX}`);
  let value: unknown = "";
  eachField(message, {
    0x0a: (reader) => (value = reader.string()),
    0x10: (reader) => (value = reader.bool()),
    0x18: (reader) => (value = reader.int64()),
    0x21: (reader) => (value = double(reader)),
    0x2a: (reader) => {
      const values: unknown[] = [];
      eachField(reader.nested(), {
        0x0a: (one) => values.push(readValue(one.nested(), depth + 1)),
      });
      value = values;
    },
    0x32: (reader) => {
      const pairs = new Map<string, unknown>();
      eachField(reader.nested(), {
        0x0a: (pair) => {
          let key = "";
          let inner: unknown = "";
          eachField(pair.nested(), {
            0x0a: (one) => (key = one.string()),
            0x12: (one) => (inner = readValue(one.nested(), depth + 1)),
          });
          pairs.set(key, inner);
        },
      });
      value = pairs;
    },
    0x3a: (reader) => (value = Buffer.from(reader.view()).toString("base64")),
  });
  return value;
}

/** The text of an attribute's value: lists and maps as JSON, maps in the order of their keys. */
export function attributeText(value: unknown): string {
  return typeof value === "string" ? value : jsonText(value);
}

function jsonText(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(jsonText).join(",")}]`;
  if (value instanceof Map) {
    const keys = [...value.keys()].map(String).sort();
    return `{${keys.map((key) => `${JSON.stringify(key)}:${jsonText(value.get(key))}`).join(",")}}`;
  }
  return JSON.stringify(value);
}

function list<T>(message: ProtoReader, read: (reader: ProtoReader) => T): T[] {
  const values: T[] = [];
  while (message.more) values.push(read(message));
  return values;
}

const scratch = new DataView(new ArrayBuffer(8));

function fixed64(reader: ProtoReader): bigint {
  const { bytes, at } = reader;
  if (reader.end - at < 8) throw corrupt("it is cut off");
  for (let i = 0; i < 8; i++) scratch.setUint8(i, bytes[at + i]!);
  reader.at = at + 8;
  return scratch.getBigUint64(0, true);
}

function double(reader: ProtoReader): number {
  fixed64(reader);
  return scratch.getFloat64(0, true);
}

function milliseconds(reader: ProtoReader): number {
  return Number(fixed64(reader) / 1_000_000n);
}

function zigzag(value: number): number {
  return (value >>> 1) ^ -(value & 1);
}
