import { ProtoWriter } from "../proto/wire.ts";

/** OTLP requests for tests: JSON in, protobuf out, by the numbers of its fields. */
type Kind =
  | "text"
  | "bool"
  | "int"
  | "sint"
  | "enum"
  | "double"
  | "fixed"
  | "fixeds"
  | "doubles"
  | "varints"
  | Message;
interface Message {
  readonly [key: string]: readonly [field: number, kind: Kind];
}

const anyValue: Record<string, readonly [number, Kind]> = {
  stringValue: [1, "text"],
  boolValue: [2, "bool"],
  intValue: [3, "int"],
  doubleValue: [4, "double"],
};
const keyValue: Message = { key: [1, "text"], value: [2, anyValue] };
anyValue["arrayValue"] = [5, { values: [1, anyValue] }];
anyValue["kvlistValue"] = [6, { values: [1, keyValue] }];

const buckets: Message = { offset: [1, "sint"], bucketCounts: [2, "varints"] };
const point = (attributes: number, flags: number, more: Message): Message => ({
  attributes: [attributes, keyValue],
  timeUnixNano: [3, "fixed"],
  flags: [flags, "int"],
  ...more,
});
const numbers = point(7, 8, { asDouble: [4, "double"], asInt: [6, "fixed"] });
const data = (points: Message): Message => ({
  dataPoints: [1, points],
  aggregationTemporality: [2, "enum"],
  isMonotonic: [3, "bool"],
});
const counted: Message = { count: [4, "fixed"], sum: [5, "double"] };
const metric: Message = {
  name: [1, "text"],
  description: [2, "text"],
  unit: [3, "text"],
  gauge: [5, data(numbers)],
  sum: [7, data(numbers)],
  histogram: [
    9,
    data(point(9, 10, { ...counted, bucketCounts: [6, "fixeds"], explicitBounds: [7, "doubles"] })),
  ],
  exponentialHistogram: [
    10,
    data(
      point(1, 10, {
        ...counted,
        scale: [6, "sint"],
        zeroCount: [7, "fixed"],
        positive: [8, buckets],
        negative: [9, buckets],
      }),
    ),
  ],
  summary: [
    11,
    data(
      point(7, 8, {
        ...counted,
        quantileValues: [6, { quantile: [1, "double"], value: [2, "double"] }],
      }),
    ),
  ],
};
const root: Message = {
  resourceMetrics: [
    1,
    {
      resource: [1, { attributes: [1, keyValue] }],
      scopeMetrics: [
        2,
        {
          scope: [1, { name: [1, "text"], version: [2, "text"], attributes: [3, keyValue] }],
          metrics: [2, metric],
        },
      ],
    },
  ],
};

export function encodeOtlp(request: unknown): Uint8Array {
  const writer = new ProtoWriter();
  write(writer, request, root);
  return writer.finish().slice();
}

function write(writer: ProtoWriter, value: unknown, message: Message): void {
  for (const [key, [field, kind]] of Object.entries(message).toReversed()) {
    const own = Reflect.get(Object(value), key) as unknown;
    if (own !== undefined) writeField(writer, field, { value: own, kind });
  }
}

function writeField(writer: ProtoWriter, field: number, of: { value: unknown; kind: Kind }): void {
  const { value, kind } = of;
  if (typeof kind === "object") {
    for (const one of (Array.isArray(value) ? value : [value]).toReversed()) {
      const before = writer.size;
      write(writer, one, kind);
      writer.message(field, before);
    }
    return;
  }
  const list = (Array.isArray(value) ? value : [value]).map(Number);
  switch (kind) {
    case "text":
      return writer.string(field, String(value));
    case "bool":
      return writer.bool(field, value === true);
    case "int":
    case "enum":
      return writer.int64(field, list[0]!);
    case "sint":
      return writer.uint32(field, list[0]! < 0 ? -2 * list[0]! - 1 : 2 * list[0]!);
    case "double":
      return writer.double(field, list[0]!);
    case "fixed":
      return fixed(writer, field, BigInt(String(value)));
    case "varints": {
      const before = writer.size;
      for (const one of list.toReversed()) writer.varint(one);
      return writer.message(field, before);
    }
    case "doubles":
      return writer.bytes(field, new Uint8Array(Float64Array.from(list).buffer));
    case "fixeds":
      return writer.bytes(field, new Uint8Array(BigInt64Array.from(list, BigInt).buffer));
  }
}

function fixed(writer: ProtoWriter, field: number, value: bigint): void {
  writer.fixed64(field, Number(BigInt.asIntN(32, value)), Number(BigInt.asIntN(32, value >> 32n)));
}
