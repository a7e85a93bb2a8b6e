import { type LabelSetMessage, readLabelSet, writeLabelSet } from "./info.ts";
import { ProtoReader, ProtoWriter, WIRE_FIXED64 } from "./wire.ts";

/** Messages of Thanos's Exemplars service (docs/format/storeapi.md). */
export interface ExemplarsRequestMessage {
  /** A PromQL expression, of which only the selectors count. */
  readonly query: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly partialResponseStrategy: number;
}

export interface ExemplarMessage {
  readonly labels: LabelSetMessage;
  readonly value: number;
  readonly timeMs: number;
}

export interface ExemplarDataMessage {
  readonly seriesLabels: LabelSetMessage;
  readonly exemplars: readonly ExemplarMessage[];
}

export function encodeExemplarsRequest(request: ExemplarsRequestMessage): Uint8Array {
  const writer = new ProtoWriter();
  writer.uint32(4, request.partialResponseStrategy);
  writer.int64(3, request.endMs);
  writer.int64(2, request.startMs);
  if (request.query !== "") writer.string(1, request.query);
  return writer.finish();
}

export function decodeExemplarsRequest(bytes: Uint8Array): ExemplarsRequestMessage {
  const request = { query: "", startMs: 0, endMs: 0, partialResponseStrategy: 0 };
  const reader = new ProtoReader(bytes);
  while (reader.more) {
    const key = reader.key();
    if (key === 0x0a) request.query = reader.string();
    else if (key === 0x10) request.startMs = reader.int64();
    else if (key === 0x18) request.endMs = reader.int64();
    else if (key === 0x20) request.partialResponseStrategy = reader.uint32();
    else reader.skip(key);
  }
  return request;
}

/** A response that carries the exemplars of one series. */
export function encodeExemplarData(data: ExemplarDataMessage): Uint8Array {
  const writer = new ProtoWriter();
  for (let i = data.exemplars.length - 1; i >= 0; i--) {
    const { labels, value, timeMs } = data.exemplars[i]!;
    const before = writer.size;
    writer.int64(3, timeMs);
    if (value !== 0 || Object.is(value, -0)) writer.double(2, value);
    writeLabelSet(writer, 1, labels);
    writer.message(2, before);
  }
  writeLabelSet(writer, 1, data.seriesLabels);
  writer.message(1, 0);
  return writer.finish();
}

/** The exemplars of one series, or a warning. */
export function decodeExemplarsResponse(bytes: Uint8Array): {
  readonly data?: ExemplarDataMessage;
  readonly warning?: string;
} {
  const reader = new ProtoReader(bytes);
  while (reader.more) {
    const key = reader.key();
    if (key === 0x0a) return { data: readData(reader.nested()) };
    if (key === 0x12) return { warning: reader.string() };
    reader.skip(key);
  }
  return {};
}

function readData(reader: ProtoReader): ExemplarDataMessage {
  let seriesLabels: LabelSetMessage = [];
  const exemplars: ExemplarMessage[] = [];
  while (reader.more) {
    const key = reader.key();
    if (key === 0x0a) seriesLabels = readLabelSet(reader.nested());
    else if (key === 0x12) exemplars.push(readExemplar(reader.nested()));
    else reader.skip(key);
  }
  return { seriesLabels, exemplars };
}

function readExemplar(reader: ProtoReader): ExemplarMessage {
  const exemplar = { labels: [] as LabelSetMessage, value: 0, timeMs: 0 };
  while (reader.more) {
    const key = reader.key();
    if (key === 0x0a) exemplar.labels = readLabelSet(reader.nested());
    else if (key === ((2 << 3) | WIRE_FIXED64)) exemplar.value = reader.double();
    else if (key === 0x18) exemplar.timeMs = reader.int64();
    else reader.skip(key);
  }
  return exemplar;
}
