import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { loadSync } from "@grpc/proto-loader";
import fc from "fast-check";
import { AppError } from "../base/errors.ts";
import { EMPTY_INFO, decodeInfoResponse, encodeInfoResponse, type InfoMessage } from "./info.ts";
import {
  decodeLabelNamesRequest,
  decodeLabelResponse,
  decodeLabelValuesRequest,
  encodeLabelNamesRequest,
  encodeLabelResponse,
  encodeLabelValuesRequest,
  type LabelRequestMessage,
} from "./label-messages.ts";
import {
  EMPTY_SERIES_REQUEST,
  decodeSeriesRequest,
  encodeSeriesRequest,
  type SeriesRequestMessage,
} from "./series-request.ts";
import {
  SeriesDecoder,
  SeriesEncoder,
  type ChunkMessage,
  type EncodedLabels,
} from "./series-response.ts";
import { MAX_INT64, MIN_INT64, ProtoReader, ProtoWriter } from "./wire.ts";

/** The judge: protobufjs over the .proto files beside this test. */
const definitions = loadSync(["store.proto", "info.proto"], {
  includeDirs: [import.meta.dirname],
  longs: String,
  enums: Number,
  keepCase: true,
});

function judge(name: string): {
  encode(message: object): Uint8Array;
  decode(bytes: Uint8Array): object;
} {
  const definition = definitions[name];
  assert.ok(definition !== undefined && "serialize" in definition, name);
  const { serialize, deserialize } = definition;
  assert.ok(typeof serialize === "function" && typeof deserialize === "function");
  return {
    encode: (message) => serialize(message),
    decode: (bytes) => deserialize(Buffer.from(bytes)),
  };
}

const timeMs = fc.oneof(
  fc.constantFrom(
    0,
    1,
    -1,
    127,
    128,
    2 ** 28 - 1,
    2 ** 28,
    2 ** 32,
    -(2 ** 32),
    MAX_INT64,
    MIN_INT64,
  ),
  fc.maxSafeInteger(),
  fc.integer(),
);
const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 12 }).filter((value) => value.isWellFormed()),
  fc.constantFrom("", "__proto__", "job", "😀�", "ä".repeat(30), "x".repeat(300)),
);
const count = fc.nat();
const flag = fc.boolean();
const strategy = fc.constantFrom(0, 1);
const matcher = fc.record({ type: fc.constantFrom(0, 1, 2, 3), name: text, value: text });
const someBytes = fc.uint8Array({ minLength: 1, maxLength: 40 });

/** int64 as protobufjs prints it, the ends included. */
function long(value: number): string {
  if (value >= MAX_INT64) return "9223372036854775807";
  return value <= MIN_INT64 ? "-9223372036854775808" : String(value);
}

/** Fields with their default value are not on the wire. */
function present(fields: Record<string, unknown>): Record<string, unknown> {
  const isDefault = (value: unknown): boolean =>
    value === undefined ||
    value === 0 ||
    value === "0" ||
    value === "" ||
    value === false ||
    (Array.isArray(value) && value.length === 0);
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => !isDefault(value)));
}

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
const same = (actual: unknown, expected: unknown): void =>
  assert.deepEqual(plain(actual), plain(expected));
/** fast-check's records have no prototype, decoded messages have one. */
const equal = (actual: unknown, expected: unknown): void =>
  assert.deepEqual(structuredClone(actual), structuredClone(expected));
const matchersOf = (matchers: readonly object[]): object[] =>
  matchers.map((one) => present({ ...one }));

const seriesRequest: fc.Arbitrary<SeriesRequestMessage> = fc.record({
  minTimeMs: timeMs,
  maxTimeMs: timeMs,
  matchers: fc.array(matcher, { maxLength: 4 }),
  maxResolutionWindowMs: timeMs,
  aggregates: fc.array(fc.nat({ max: 5 }), { maxLength: 3 }),
  partialResponseDisabled: flag,
  partialResponseStrategy: strategy,
  skipChunks: flag,
  hints: fc.constant(undefined),
  queryHints: fc.option(
    fc.record({
      stepMs: timeMs,
      func: text,
      grouping: fc.option(fc.record({ by: flag, labels: fc.array(text, { maxLength: 3 }) }), {
        nil: undefined,
      }),
      rangeMs: timeMs,
      newestOnly: flag,
      wantsCount: flag,
      sampleAbove: count,
    }),
    { nil: undefined },
  ),
  shardInfo: fc.option(
    fc.record({
      shardIndex: count,
      totalShards: count,
      by: flag,
      labels: fc.array(text, { maxLength: 3 }),
    }),
    { nil: undefined },
  ),
  withoutReplicaLabels: fc.array(text, { maxLength: 3 }),
  limit: count,
  responseBatchSize: count,
});

function judgedSeriesRequest(request: SeriesRequestMessage): Record<string, unknown> {
  const { queryHints: hints, shardInfo: shard } = request;
  return present({
    min_time: long(request.minTimeMs),
    max_time: long(request.maxTimeMs),
    matchers: matchersOf(request.matchers),
    max_resolution_window: long(request.maxResolutionWindowMs),
    aggregates: request.aggregates,
    partial_response_disabled: request.partialResponseDisabled,
    partial_response_strategy: request.partialResponseStrategy,
    skip_chunks: request.skipChunks,
    query_hints:
      hints &&
      present({
        step_millis: long(hints.stepMs),
        func: hints.func === "" ? undefined : { name: hints.func },
        grouping: hints.grouping && present({ ...hints.grouping }),
        range: hints.rangeMs === 0 ? undefined : { millis: long(hints.rangeMs) },
        newest_only: hints.newestOnly,
        wants_count: hints.wantsCount,
        sample_above: long(hints.sampleAbove),
      }),
    shard_info:
      shard &&
      present({
        shard_index: long(shard.shardIndex),
        total_shards: long(shard.totalShards),
        by: shard.by,
        labels: shard.labels,
      }),
    without_replica_labels: request.withoutReplicaLabels,
    limit: long(request.limit),
    response_batch_size: long(request.responseBatchSize),
  });
}

const labelRequest: fc.Arbitrary<LabelRequestMessage> = fc.record({
  partialResponseDisabled: flag,
  partialResponseStrategy: strategy,
  startMs: timeMs,
  endMs: timeMs,
  hints: fc.constant(undefined),
  matchers: fc.array(matcher, { maxLength: 3 }),
  withoutReplicaLabels: fc.array(text, { maxLength: 3 }),
  limit: count,
});

function judgedLabelRequest(request: LabelRequestMessage): Record<string, unknown> {
  return {
    partial_response_disabled: request.partialResponseDisabled,
    partial_response_strategy: request.partialResponseStrategy,
    start: long(request.startMs),
    end: long(request.endMs),
    matchers: matchersOf(request.matchers),
    without_replica_labels: request.withoutReplicaLabels,
    limit: long(request.limit),
  };
}

describe("requests agree with protobufjs both ways", () => {
  it("SeriesRequest", () => {
    const peer = judge("thanos.SeriesRequest");
    fc.assert(
      fc.property(seriesRequest, (request) => {
        const bytes = encodeSeriesRequest(request);
        equal(decodeSeriesRequest(bytes), request);
        const judged = judgedSeriesRequest(request);
        same(peer.decode(bytes), judged);
        equal(decodeSeriesRequest(peer.encode(judged)), request);
      }),
    );
  });

  it("keeps the hints of a SeriesRequest as they are", () => {
    const hints = { type_url: "type.googleapis.com/x", value: Buffer.from([1, 2]) };
    const bytes = judge("thanos.SeriesRequest").encode({ hints });
    const decoded = decodeSeriesRequest(bytes);
    same(judge("thanos.Any").decode(decoded.hints!), hints);
    same(judge("thanos.SeriesRequest").decode(encodeSeriesRequest(decoded)), { hints });
  });

  it("LabelNamesRequest and LabelValuesRequest", () => {
    const names = judge("thanos.LabelNamesRequest");
    const values = judge("thanos.LabelValuesRequest");
    fc.assert(
      fc.property(labelRequest, text, (request, label) => {
        const judged = judgedLabelRequest(request);
        const nameBytes = encodeLabelNamesRequest(request);
        same(names.decode(nameBytes), present(judged));
        equal(decodeLabelNamesRequest(nameBytes), request);
        equal(decodeLabelNamesRequest(names.encode(judged)), request);
        const valueBytes = encodeLabelValuesRequest({ ...request, label });
        same(values.decode(valueBytes), present({ ...judged, label }));
        equal(decodeLabelValuesRequest(valueBytes), { ...request, label });
        equal(decodeLabelValuesRequest(values.encode({ ...judged, label })), {
          ...request,
          label,
        });
      }),
    );
  });
});

describe("responses agree with protobufjs both ways", () => {
  it("LabelNamesResponse and LabelValuesResponse", () => {
    fc.assert(
      fc.property(fc.array(text), fc.array(text), (values, warnings) => {
        const bytes = encodeLabelResponse({ values, warnings });
        same(
          judge("thanos.LabelNamesResponse").decode(bytes),
          present({ names: values, warnings }),
        );
        same(judge("thanos.LabelValuesResponse").decode(bytes), present({ values, warnings }));
        equal(decodeLabelResponse(bytes), { values, warnings });
      }),
    );
  });

  it("InfoResponse", () => {
    const peer = judge("thanos.info.InfoResponse");
    const labelSet = fc.array(fc.tuple(text, text), { maxLength: 3 });
    const range = { minTimeMs: timeMs, maxTimeMs: timeMs };
    const message: fc.Arbitrary<InfoMessage> = fc.record({
      labelSets: fc.array(labelSet, { maxLength: 3 }),
      componentType: text,
      store: fc.option(
        fc.record({
          ...range,
          supportsSharding: flag,
          supportsWithoutReplicaLabels: flag,
          tsdbInfos: fc.array(fc.record({ labels: labelSet, ...range }), { maxLength: 2 }),
        }),
        { nil: undefined },
      ),
      rules: flag,
      metricMetadata: flag,
      targets: flag,
      query: flag,
      exemplars: flag,
      aggregates: text,
    });
    const setOf = (pairs: readonly (readonly [string, string])[]): object =>
      present({ labels: pairs.map(([name, value]) => ({ name, value })) });
    fc.assert(
      fc.property(message, (info) => {
        const bytes = encodeInfoResponse(info);
        equal(decodeInfoResponse(bytes), info);
        const judged = present({
          label_sets: info.labelSets.map(setOf),
          component_type: info.componentType,
          store:
            info.store &&
            present({
              min_time: long(info.store.minTimeMs),
              max_time: long(info.store.maxTimeMs),
              supports_sharding: info.store.supportsSharding,
              supports_without_replica_labels: info.store.supportsWithoutReplicaLabels,
              tsdb_infos: info.store.tsdbInfos.map((tsdb) =>
                present({
                  min_time: long(tsdb.minTimeMs),
                  max_time: long(tsdb.maxTimeMs),
                  labels: setOf(tsdb.labels),
                }),
              ),
            }),
          rules: info.rules ? {} : undefined,
          metric_metadata: info.metricMetadata ? {} : undefined,
          targets: info.targets ? {} : undefined,
          query: info.query ? {} : undefined,
          exemplars: info.exemplars
            ? present({ min_time: long(MIN_INT64), max_time: long(MAX_INT64) })
            : undefined,
          aggregates: info.aggregates,
        });
        same(peer.decode(bytes), judged);
        equal(decodeInfoResponse(peer.encode(judged)), info);
      }),
    );
    equal(decodeInfoResponse(new Uint8Array(0)), EMPTY_INFO);
  });
});

interface Decoded {
  readonly labels: readonly string[];
  readonly chunks: readonly ChunkMessage[];
}

function decodeAll(frames: Iterable<Uint8Array>): { series: Decoded[]; warnings: string[] } {
  const all: { series: Decoded[]; warnings: string[] } = { series: [], warnings: [] };
  const decoder = new SeriesDecoder();
  for (const frame of frames)
    decoder.decode(frame, {
      series: (labels, chunks) =>
        all.series.push({ labels: Array.isArray(labels) ? labels : textsOf(labels), chunks }),
      warning: (warning) => all.warnings.push(warning),
      count: () => assert.fail("nobody counts"),
    });
  return all;
}

function textsOf({ bytes, from, to }: EncodedLabels): string[] {
  const texts: string[] = [];
  const reader = new ProtoReader(bytes, from, to);
  while (reader.more) {
    assert.equal(reader.key(), 0x0a);
    const label = reader.nested();
    for (const key of [0x0a, 0x12]) {
      assert.equal(label.key(), key);
      texts.push(label.string());
    }
    assert.ok(!label.more);
  }
  return texts;
}

const flatLabels = fc
  .uniqueArray(fc.tuple(fc.string({ minLength: 1, maxLength: 8 }), text), {
    selector: ([name]) => name,
    maxLength: 5,
  })
  .map((pairs) =>
    pairs
      .filter(([, value]) => value !== "")
      .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
      .flat(),
  );
const chunkMessage = fc.record({
  encoding: fc.constantFrom(1, 2, 3),
  minTimeMs: timeMs,
  maxTimeMs: timeMs,
  data: someBytes,
});
const decodedSeries = fc.record({
  labels: flatLabels,
  chunks: fc.array(chunkMessage, { maxLength: 3 }),
});

const labelsMessage = (flat: readonly string[]) => ({
  packed: undefined,
  count: flat.length / 2,
  nameAt: (i: number) => flat[2 * i]!,
  valueAt: (i: number) => flat[2 * i + 1]!,
});

function judgedSeries({ labels, chunks }: Decoded): object {
  const pairs = Array.from({ length: labels.length / 2 }, (_, i) => ({
    name: labels[2 * i],
    value: labels[2 * i + 1],
  }));
  return present({
    labels: pairs,
    chunks: chunks.map((chunk) =>
      present({
        min_time: long(chunk.minTimeMs),
        max_time: long(chunk.maxTimeMs),
        raw: present({ type: chunk.encoding - 1, data: Buffer.from(chunk.data) }),
      }),
    ),
  });
}

describe("SeriesResponse", () => {
  const peer = judge("thanos.SeriesResponse");

  it("agrees with protobufjs both ways, single and batched", () => {
    fc.assert(
      fc.property(fc.array(decodedSeries, { maxLength: 5 }), text, (list, warning) => {
        const encoder = new SeriesEncoder();
        const messages = list.map(({ labels, chunks }) => ({
          labels: labelsMessage(labels),
          chunks,
        }));
        const frames = [
          ...messages.map((message) => Uint8Array.from(encoder.series(message))),
          Uint8Array.from(encoder.batch(messages)),
          Uint8Array.from(encoder.warning(warning)),
        ];
        same(
          frames.map((frame) => peer.decode(frame)),
          [
            ...list.map((one) => ({ series: judgedSeries(one) })),
            { batch: present({ series: list.map(judgedSeries) }) },
            { warning },
          ],
        );
        const expected = { series: [...list, ...list], warnings: [warning] };
        equal(decodeAll(frames), expected);
        const fromPeer = [
          ...list.map((one) => peer.encode({ series: judgedSeries(one) })),
          peer.encode({ batch: { series: list.map(judgedSeries) } }),
          peer.encode({ warning }),
        ];
        equal(decodeAll(fromPeer), expected);
      }),
    );
  });

  it("passes over hints, hashes, aggregates and frames of unknown kinds", () => {
    const frames = [
      peer.encode({ hints: { type_url: "x", value: Buffer.from([1]) } }),
      Uint8Array.of(0xfa, 0x01, 0x02, 0x00, 0x01),
      peer.encode({
        series: {
          labels: [{ name: "a", value: "b" }],
          chunks: [
            {
              min_time: "1",
              max_time: "2",
              raw: { data: Buffer.from([9]), hash: "18446744073709551615" },
            },
            { min_time: "1", max_time: "2", count: { data: Buffer.from([8]) } },
          ],
        },
      }),
    ];
    assert.deepEqual(decodeAll(frames), {
      series: [
        {
          labels: ["a", "b"],
          chunks: [{ encoding: 1, minTimeMs: 1, maxTimeMs: 2, data: Uint8Array.of(9) }],
        },
      ],
      warnings: [],
    });
  });

  it("sorts labels that come unsorted and drops empty ones", () => {
    const labels = [
      { name: "b", value: "1" },
      { name: "a", value: "2" },
      { name: "c", value: "" },
      { name: "😀", value: "4" },
      { name: "�", value: "3" },
    ];
    const { series } = decodeAll([peer.encode({ series: { labels } })]);
    assert.deepEqual(series[0]!.labels, ["a", "2", "b", "1", "�", "3", "😀", "4"]);
  });

  it("refuses chunk types it does not know", () => {
    const chunks = [{ raw: { type: 7, data: Buffer.from([1]) } }];
    assert.throws(() => decodeAll([peer.encode({ series: { chunks } })]), {
      code: "corrupt",
      message: "cannot decode message: chunk type 7 is unknown",
    });
  });

  it("gives chunk data without a copy", () => {
    const frame = peer.encode({ series: { chunks: [{ raw: { data: Buffer.from([1, 2, 3]) } }] } });
    const { series } = decodeAll([frame]);
    assert.equal(series[0]!.chunks[0]!.data.buffer, frame.buffer);
  });
});

describe("garbage", () => {
  const decoders: readonly ((bytes: Uint8Array) => unknown)[] = [
    decodeSeriesRequest,
    decodeLabelNamesRequest,
    decodeLabelValuesRequest,
    decodeLabelResponse,
    decodeInfoResponse,
    (bytes) => decodeAll([bytes]),
  ];
  const corruptOrFine = (bytes: Uint8Array): void => {
    for (const decode of decoders)
      try {
        decode(bytes);
      } catch (error) {
        assert.ok(error instanceof AppError && error.code === "corrupt", String(error));
      }
  };

  it("is refused as corrupt or read, never a crash", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), corruptOrFine), { numRuns: 2000 });
  });

  it("holds for valid messages with bytes changed and cut", () => {
    const valid = fc.oneof(
      seriesRequest.map((request) => encodeSeriesRequest(request)),
      decodedSeries.map(({ labels, chunks }) =>
        new SeriesEncoder().batch([{ labels: labelsMessage(labels), chunks }]),
      ),
    );
    fc.assert(
      fc.property(valid, fc.nat(), fc.nat({ max: 255 }), fc.nat(), (bytes, at, byte, cut) => {
        const broken = Uint8Array.from(bytes);
        if (broken.length === 0) return;
        broken[at % broken.length] = byte;
        corruptOrFine(broken);
        corruptOrFine(broken.subarray(0, cut % broken.length));
      }),
      { numRuns: 1000 },
    );
  });

  it("does not believe sizes beyond the end, however large", () => {
    for (const size of [[0x05], [0xff, 0xff, 0xff, 0xff, 0x0f], [0x85, 0x80, 0x80, 0x80, 0x10]])
      assert.throws(() => new ProtoReader(Uint8Array.of(...size, 1, 2)).view(), {
        code: "corrupt",
        message: "cannot decode message: a field reaches beyond the end",
      });
    assert.throws(() => new ProtoReader(new Uint8Array(11).fill(0x80)).int64(), {
      message: "cannot decode message: a varint is longer than 10 bytes",
    });
  });

  it("refuses texts that are not UTF-8", () => {
    assert.throws(() => decodeLabelResponse(Uint8Array.of(0x0a, 1, 0xff)), {
      code: "corrupt",
      message: "cannot decode message: a text is not valid UTF-8",
    });
  });
});

describe("SeriesDecoder", () => {
  const label = (name: string, value: string): Uint8Array => {
    const writer = new ProtoWriter();
    writer.string(2, value);
    writer.string(1, name);
    return Uint8Array.from(writer.finish());
  };
  /** A frame with one series of these fields. */
  const frame = (
    ...fields: readonly (readonly [field: number, bytes: Uint8Array])[]
  ): Uint8Array => {
    const writer = new ProtoWriter();
    for (const [field, bytes] of fields.toReversed()) writer.bytes(field, bytes);
    writer.message(1, 0);
    return Uint8Array.from(writer.finish());
  };
  const labelsOf = (bytes: Uint8Array): EncodedLabels | readonly string[] => {
    const found: (EncodedLabels | readonly string[])[] = [];
    new SeriesDecoder().decode(bytes, {
      series: (labels) => found.push(labels),
      warning: (text) => assert.fail(text),
      count: () => assert.fail("nobody counts"),
    });
    assert.equal(found.length, 1);
    return found[0]!;
  };
  const a = label("a", "1");
  const b = label("b", "v".repeat(300));
  const chunk = Uint8Array.of(0x1a, 3, 0x12, 1, 0);

  it("leaves labels as they are in the frame, for an encoder to write them again", () => {
    const bytes = frame([1, a], [1, b], [2, chunk]);
    const labels = labelsOf(bytes);
    assert.ok(!Array.isArray(labels) && "bytes" in labels && labels.bytes === bytes);
    assert.deepEqual(textsOf(labels), ["a", "1", "b", "v".repeat(300)]);
    const unused = (): never => assert.fail("the labels are encoded already");
    const again = new SeriesEncoder().series({
      labels: { packed: labels, count: 2, nameAt: unused, valueAt: unused },
      chunks: [],
    });
    assert.deepEqual(Uint8Array.from(again), frame([1, a], [1, b]));
  });

  it("reads labels of any other form as texts, in order and without empty ones", () => {
    const both = ["a", "1", "b", "v".repeat(300)];
    assert.deepEqual(labelsOf(frame([1, b], [1, a])), both);
    assert.deepEqual(labelsOf(frame([1, a], [2, chunk], [1, b])), both);
    assert.deepEqual(labelsOf(frame([1, a], [1, label("aa", "")], [1, b])), both);
    assert.deepEqual(labelsOf(frame([1, label("", "x")], [1, a], [1, b])), both);
    assert.deepEqual(labelsOf(frame([1, a], [1, a], [1, b])), both);
    // The value before the name, and a field that nobody knows.
    const turned = Uint8Array.of(0x12, 1, 0x31, 0x0a, 1, 0x61);
    assert.deepEqual(labelsOf(frame([1, turned], [1, b])), both);
    assert.deepEqual(labelsOf(frame([1, Uint8Array.of(...a, 0x18, 1)], [1, b])), both);
    assert.deepEqual(labelsOf(frame([1, a], [1, label("b", "ü")])), ["a", "1", "b", "ü"]);
  });
});

describe("EMPTY_SERIES_REQUEST", () => {
  it("is no bytes", () => assert.equal(encodeSeriesRequest(EMPTY_SERIES_REQUEST).length, 0));
});
