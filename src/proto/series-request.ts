import { ProtoReader, ProtoWriter } from "./wire.ts";

/** `thanos.LabelMatcher.Type` */
export const MATCHER_EQ = 0;
export const MATCHER_NEQ = 1;
export const MATCHER_RE = 2;
export const MATCHER_NRE = 3;

export interface LabelMatcherMessage {
  readonly type: number;
  readonly name: string;
  readonly value: string;
}

/** `thanos.PartialResponseStrategy` */
export const STRATEGY_WARN = 0;
export const STRATEGY_ABORT = 1;

/** `thanos.Aggr.RAW`: samples as they were scraped. */
export const AGGR_RAW = 0;

export interface QueryHintsMessage {
  readonly stepMs: number;
  readonly func: string;
  readonly grouping: { readonly by: boolean; readonly labels: readonly string[] } | undefined;
  readonly rangeMs: number;
  /** Ours alone, see docs/format/storeapi.md. */
  readonly newestOnly: boolean;
  /** Ours alone: whether the answer begins with how many series it has. */
  readonly wantsCount: boolean;
  /** A sample is wanted of more series than this; 0: none. */
  readonly sampleAbove: number;
}

export interface ShardInfoMessage {
  readonly shardIndex: number;
  readonly totalShards: number;
  readonly by: boolean;
  readonly labels: readonly string[];
}

/** `thanos.SeriesRequest` (docs/format/storeapi.md). Times are inclusive milliseconds. */
export interface SeriesRequestMessage {
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly matchers: readonly LabelMatcherMessage[];
  readonly maxResolutionWindowMs: number;
  readonly aggregates: readonly number[];
  readonly partialResponseDisabled: boolean;
  readonly partialResponseStrategy: number;
  readonly skipChunks: boolean;
  /** A `google.protobuf.Any`, kept as it is. */
  readonly hints: Uint8Array | undefined;
  readonly queryHints: QueryHintsMessage | undefined;
  readonly shardInfo: ShardInfoMessage | undefined;
  readonly withoutReplicaLabels: readonly string[];
  /** 0: no limit. */
  readonly limit: number;
  /** 0 or 1: one series per frame. */
  readonly responseBatchSize: number;
}

export const EMPTY_SERIES_REQUEST: SeriesRequestMessage = {
  minTimeMs: 0,
  maxTimeMs: 0,
  matchers: [],
  maxResolutionWindowMs: 0,
  aggregates: [],
  partialResponseDisabled: false,
  partialResponseStrategy: STRATEGY_WARN,
  skipChunks: false,
  hints: undefined,
  queryHints: undefined,
  shardInfo: undefined,
  withoutReplicaLabels: [],
  limit: 0,
  responseBatchSize: 0,
};

export function encodeSeriesRequest(request: SeriesRequestMessage): Uint8Array {
  const writer = new ProtoWriter();
  writer.int64(16, request.responseBatchSize);
  writer.int64(15, request.limit);
  writeStrings(writer, 14, request.withoutReplicaLabels);
  if (request.shardInfo !== undefined) writeShardInfo(writer, request.shardInfo);
  if (request.queryHints !== undefined) writeQueryHints(writer, request.queryHints);
  if (request.hints !== undefined) writer.bytes(9, request.hints);
  writer.bool(8, request.skipChunks);
  writer.uint32(7, request.partialResponseStrategy);
  writer.bool(6, request.partialResponseDisabled);
  if (request.aggregates.length > 0) {
    const before = writer.size;
    for (let i = request.aggregates.length - 1; i >= 0; i--) writer.varint(request.aggregates[i]!);
    writer.message(5, before);
  }
  writer.int64(4, request.maxResolutionWindowMs);
  writeMatchers(writer, 3, request.matchers);
  writer.int64(2, request.maxTimeMs);
  writer.int64(1, request.minTimeMs);
  return writer.finish();
}

export function decodeSeriesRequest(bytes: Uint8Array): SeriesRequestMessage {
  const request = {
    ...EMPTY_SERIES_REQUEST,
    matchers: [] as LabelMatcherMessage[],
    aggregates: [] as number[],
    withoutReplicaLabels: [] as string[],
  };
  const reader = new ProtoReader(bytes);
  while (reader.more) {
    const key = reader.key();
    switch (key) {
      case 0x08:
        request.minTimeMs = reader.int64();
        break;
      case 0x10:
        request.maxTimeMs = reader.int64();
        break;
      case 0x1a:
        request.matchers.push(readMatcher(reader.nested()));
        break;
      case 0x20:
        request.maxResolutionWindowMs = reader.int64();
        break;
      case 0x28:
        request.aggregates.push(reader.uint32());
        break;
      case 0x2a: {
        const packed = reader.nested();
        while (packed.more) request.aggregates.push(packed.uint32());
        break;
      }
      case 0x30:
        request.partialResponseDisabled = reader.bool();
        break;
      case 0x38:
        request.partialResponseStrategy = reader.uint32();
        break;
      case 0x40:
        request.skipChunks = reader.bool();
        break;
      case 0x4a:
        request.hints = reader.view();
        break;
      case 0x62:
        request.queryHints = readQueryHints(reader.nested());
        break;
      case 0x6a:
        request.shardInfo = readShardInfo(reader.nested());
        break;
      case 0x72:
        request.withoutReplicaLabels.push(reader.string());
        break;
      case 0x78:
        request.limit = reader.int64();
        break;
      case 0x80: // field 16
        request.responseBatchSize = reader.int64();
        break;
      default:
        reader.skip(key);
    }
  }
  return request;
}

export function writeMatchers(
  writer: ProtoWriter,
  field: number,
  matchers: readonly LabelMatcherMessage[],
): void {
  for (let i = matchers.length - 1; i >= 0; i--) {
    const { type, name, value } = matchers[i]!;
    const before = writer.size;
    if (value !== "") writer.string(3, value);
    if (name !== "") writer.string(2, name);
    writer.uint32(1, type);
    writer.message(field, before);
  }
}

export function readMatcher(reader: ProtoReader): LabelMatcherMessage {
  const matcher = { type: MATCHER_EQ, name: "", value: "" };
  while (reader.more) {
    const key = reader.key();
    if (key === 0x08) matcher.type = reader.uint32();
    else if (key === 0x12) matcher.name = reader.string();
    else if (key === 0x1a) matcher.value = reader.string();
    else reader.skip(key);
  }
  return matcher;
}

export function writeStrings(writer: ProtoWriter, field: number, texts: readonly string[]): void {
  for (let i = texts.length - 1; i >= 0; i--) writer.string(field, texts[i]!);
}

/** Far from the numbers that StoreAPI may come to use; peers that do not know it pass over it. */
const NEWEST_ONLY_FIELD = 1000;
const WANTS_COUNT_FIELD = 1001;
const SAMPLE_ABOVE_FIELD = 1002;

function writeQueryHints(writer: ProtoWriter, hints: QueryHintsMessage): void {
  const before = writer.size;
  writer.int64(SAMPLE_ABOVE_FIELD, hints.sampleAbove);
  writer.bool(WANTS_COUNT_FIELD, hints.wantsCount);
  writer.bool(NEWEST_ONLY_FIELD, hints.newestOnly);
  if (hints.rangeMs !== 0) {
    const range = writer.size;
    writer.int64(1, hints.rangeMs);
    writer.message(5, range);
  }
  if (hints.grouping !== undefined) {
    const grouping = writer.size;
    writeStrings(writer, 3, hints.grouping.labels);
    writer.bool(1, hints.grouping.by);
    writer.message(4, grouping);
  }
  if (hints.func !== "") {
    const func = writer.size;
    writer.string(1, hints.func);
    writer.message(2, func);
  }
  writer.int64(1, hints.stepMs);
  writer.message(12, before);
}

function readQueryHints(reader: ProtoReader): QueryHintsMessage {
  let stepMs = 0;
  let func = "";
  let grouping: { by: boolean; labels: string[] } | undefined;
  let rangeMs = 0;
  let newestOnly = false;
  let wantsCount = false;
  let sampleAbove = 0;
  while (reader.more) {
    const key = reader.key();
    if (key === 0x08) stepMs = reader.int64();
    else if (key === 0x12) {
      const nested = reader.nested();
      while (nested.more) {
        const inner = nested.key();
        if (inner === 0x0a) func = nested.string();
        else nested.skip(inner);
      }
    } else if (key === 0x22) {
      grouping = { by: false, labels: [] };
      const nested = reader.nested();
      while (nested.more) {
        const inner = nested.key();
        if (inner === 0x08) grouping.by = nested.bool();
        else if (inner === 0x1a) grouping.labels.push(nested.string());
        else nested.skip(inner);
      }
    } else if (key === 0x2a) {
      const nested = reader.nested();
      while (nested.more) {
        const inner = nested.key();
        if (inner === 0x08) rangeMs = nested.int64();
        else nested.skip(inner);
      }
    } else if (key === NEWEST_ONLY_FIELD * 8) newestOnly = reader.bool();
    else if (key === WANTS_COUNT_FIELD * 8) wantsCount = reader.bool();
    else if (key === SAMPLE_ABOVE_FIELD * 8) sampleAbove = reader.int64();
    else reader.skip(key);
  }
  return { stepMs, func, grouping, rangeMs, newestOnly, wantsCount, sampleAbove };
}

function writeShardInfo(writer: ProtoWriter, shard: ShardInfoMessage): void {
  const before = writer.size;
  writeStrings(writer, 4, shard.labels);
  writer.bool(3, shard.by);
  writer.int64(2, shard.totalShards);
  writer.int64(1, shard.shardIndex);
  writer.message(13, before);
}

function readShardInfo(reader: ProtoReader): ShardInfoMessage {
  const shard = { shardIndex: 0, totalShards: 0, by: false, labels: [] as string[] };
  while (reader.more) {
    const key = reader.key();
    if (key === 0x08) shard.shardIndex = reader.int64();
    else if (key === 0x10) shard.totalShards = reader.int64();
    else if (key === 0x18) shard.by = reader.bool();
    else if (key === 0x22) shard.labels.push(reader.string());
    else reader.skip(key);
  }
  return shard;
}
