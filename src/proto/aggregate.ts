import { readLabelSet, writeLabelSet, type LabelSetMessage } from "./info.ts";
import { corrupt, ProtoReader, ProtoWriter } from "./wire.ts";

/**
 * Messages of `shoal.Aggregate`, which only shards and queries of one version speak with each other (docs/format/storeapi.md).
 * Columns go as the bytes of typed arrays, little-endian.
 */
export interface AggregateRequestMessage {
  readonly query: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly stepMs: number;
  readonly lookbackMs: number;
  /** The step of subqueries that name none. */
  readonly subqueryStepMs: number;
  readonly steps: number;
  readonly features: readonly string[];
  /** Labels to strip from all series. */
  readonly without: readonly string[];
  readonly maxSamples: number;
  readonly maxSeries: number;
  readonly maxBytes: number;
  readonly maxTimeMs: number;
  /** No other store is asked, and no labels are stripped: series need no hashes, and a choice is made for good. */
  readonly isOnly: boolean;
}

export function encodeAggregateRequest(request: AggregateRequestMessage): Uint8Array {
  const writer = new ProtoWriter();
  writer.int64(14, request.subqueryStepMs);
  writer.bool(13, request.isOnly);
  writer.int64(12, request.maxTimeMs);
  writer.int64(11, request.maxBytes);
  writer.int64(10, request.maxSeries);
  writer.int64(9, request.maxSamples);
  for (let i = request.without.length - 1; i >= 0; i--) writer.string(8, request.without[i]!);
  for (let i = request.features.length - 1; i >= 0; i--) writer.string(7, request.features[i]!);
  writer.int64(6, request.steps);
  writer.int64(5, request.lookbackMs);
  writer.int64(4, request.stepMs);
  writer.int64(3, request.endMs);
  writer.int64(2, request.startMs);
  writer.string(1, request.query);
  return writer.finish();
}

export function decodeAggregateRequest(bytes: Uint8Array): AggregateRequestMessage {
  const request = {
    query: "",
    startMs: 0,
    endMs: 0,
    stepMs: 0,
    lookbackMs: 0,
    subqueryStepMs: 0,
    steps: 0,
    features: [] as string[],
    without: [] as string[],
    maxSamples: 0,
    maxSeries: 0,
    maxBytes: 0,
    maxTimeMs: 0,
    isOnly: false,
  };
  const reader = new ProtoReader(bytes);
  while (reader.more) {
    const key = reader.key();
    if (key === 0x0a) request.query = reader.string();
    else if (key === 0x10) request.startMs = reader.int64();
    else if (key === 0x18) request.endMs = reader.int64();
    else if (key === 0x20) request.stepMs = reader.int64();
    else if (key === 0x28) request.lookbackMs = reader.int64();
    else if (key === 0x30) request.steps = reader.int64();
    else if (key === 0x3a) request.features.push(reader.string());
    else if (key === 0x42) request.without.push(reader.string());
    else if (key === 0x48) request.maxSamples = reader.int64();
    else if (key === 0x50) request.maxSeries = reader.int64();
    else if (key === 0x58) request.maxBytes = reader.int64();
    else if (key === 0x60) request.maxTimeMs = reader.int64();
    else if (key === 0x68) request.isOnly = reader.bool();
    else if (key === 0x70) request.subqueryStepMs = reader.int64();
    else reader.skip(key);
  }
  return request;
}

/** A group (with the labels of its first series) or a candidate of the answer. */
export interface AggregateHeadMessage {
  readonly labels: LabelSetMessage;
  readonly first: LabelSetMessage;
  readonly dropName: boolean;
}

export interface AggregateAnswerMessage {
  readonly groups: readonly AggregateHeadMessage[];
  readonly candidates: readonly AggregateHeadMessage[];
  readonly main: Float64Array;
  readonly side: Float64Array;
  readonly weight: Float64Array;
  readonly counts: Uint32Array;
  readonly flags: Uint8Array;
  readonly rows: Uint32Array;
  readonly seriesHashes: Uint32Array;
  readonly stats: Float64Array;
}

/** A message without content says that the answer is being made; any other one is the answer. */
export const STILL_AGGREGATING = new Uint8Array(0);

export function encodeAggregateAnswer(answer: AggregateAnswerMessage): Uint8Array {
  const writer = new ProtoWriter();
  writer.bytes(10, bytesOf(answer.seriesHashes));
  writer.bytes(9, bytesOf(answer.rows));
  writer.bytes(8, answer.flags);
  writer.bytes(7, bytesOf(answer.counts));
  writer.bytes(6, bytesOf(answer.weight));
  writer.bytes(5, bytesOf(answer.side));
  writer.bytes(4, bytesOf(answer.main));
  writer.bytes(3, bytesOf(answer.stats));
  for (let i = answer.candidates.length - 1; i >= 0; i--)
    writeHead(writer, 2, answer.candidates[i]!);
  for (let i = answer.groups.length - 1; i >= 0; i--) writeHead(writer, 1, answer.groups[i]!);
  return writer.finish();
}

export function decodeAggregateAnswer(bytes: Uint8Array): AggregateAnswerMessage {
  const groups: AggregateHeadMessage[] = [];
  const candidates: AggregateHeadMessage[] = [];
  const columns = new Map<number, Uint8Array<ArrayBuffer>>();
  const reader = new ProtoReader(bytes);
  while (reader.more) {
    const key = reader.key();
    const field = key >>> 3;
    if (key === 0x0a) groups.push(readHead(reader.nested()));
    else if (key === 0x12) candidates.push(readHead(reader.nested()));
    else if ((key & 7) === 2 && field <= 10) columns.set(field, new Uint8Array(reader.view()));
    else reader.skip(key);
  }
  const column = (field: number, width: number): ArrayBuffer => {
    const found = columns.get(field) ?? new Uint8Array(0);
    if (found.length % width !== 0) throw corrupt(`column ${field} is cut off`);
    return found.buffer;
  };
  return {
    groups,
    candidates,
    stats: new Float64Array(column(3, 8)),
    main: new Float64Array(column(4, 8)),
    side: new Float64Array(column(5, 8)),
    weight: new Float64Array(column(6, 8)),
    counts: new Uint32Array(column(7, 4)),
    flags: new Uint8Array(column(8, 1)),
    rows: new Uint32Array(column(9, 4)),
    seriesHashes: new Uint32Array(column(10, 8)),
  };
}

function bytesOf({ buffer, byteOffset, byteLength }: Float64Array | Uint32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function writeHead(writer: ProtoWriter, field: number, head: AggregateHeadMessage): void {
  const before = writer.size;
  writer.bool(3, head.dropName);
  writeLabelSet(writer, 2, head.first);
  writeLabelSet(writer, 1, head.labels);
  writer.message(field, before);
}

function readHead(reader: ProtoReader): AggregateHeadMessage {
  let labels: LabelSetMessage = [];
  let first: LabelSetMessage = [];
  let dropName = false;
  while (reader.more) {
    const key = reader.key();
    if (key === 0x0a) labels = readLabelSet(reader.nested());
    else if (key === 0x12) first = readLabelSet(reader.nested());
    else if (key === 0x18) dropName = reader.bool();
    else reader.skip(key);
  }
  return { labels, first, dropName };
}
