import { compressSnappy } from "../base/snappy.ts";
import type { FloatHistogram } from "../model/histogram.ts";
import { ProtoWriter } from "../proto/wire.ts";
import { type HistogramMessage, writeHistogram } from "./histogram-message.ts";

/** Write requests for tests, good and bad, written as senders write them. */
export type Pair = readonly [name: string, value: string | Uint8Array];

export interface Bits {
  readonly low: number;
  readonly high: number;
}

export interface RequestSeries {
  readonly labels: readonly Pair[];
  /** A value is given by its bits where an array must not hold it: JavaScript quiets NaNs. */
  readonly samples?: readonly (readonly [
    timeMs: number,
    value: number | Bits,
    /** 2.0 only. */
    startMs?: number,
  ])[];
  readonly histograms?: readonly (HistogramMessage & { readonly startMs?: number })[];
  readonly exemplars?: readonly {
    readonly labels: readonly Pair[];
    readonly value: number;
    readonly timeMs: number;
  }[];
  /** In place of references to the labels; 2.0 only. */
  readonly labelRefs?: readonly number[];
  readonly metadata?: { readonly type: number; readonly help: string; readonly unit: string };
  /** As Prometheus 3.5 has it; 2.0 only. */
  readonly createdMs?: number;
}

/** A `prometheus.WriteRequest`, not compressed. */
export function writeRequestV1(series: readonly RequestSeries[]): Uint8Array {
  const writer = new ProtoWriter();
  for (const one of series.toReversed()) {
    const before = writer.size;
    for (const message of (one.histograms ?? []).toReversed()) {
      const start = writer.size;
      writeHistogram(writer, message);
      writer.message(4, start);
    }
    for (const exemplar of (one.exemplars ?? []).toReversed()) {
      const start = writer.size;
      writer.int64(3, exemplar.timeMs);
      writer.double(2, exemplar.value);
      writeLabels(writer, exemplar.labels);
      writer.message(3, start);
    }
    writeSamples(writer, one);
    writeLabels(writer, one.labels);
    writer.message(1, before);
  }
  return writer.finish().slice();
}

/** An `io.prometheus.write.v2.Request`, not compressed. */
export function writeRequestV2(series: readonly RequestSeries[]): Uint8Array {
  const symbols: (string | Uint8Array)[] = [""];
  const ids = new Map<string, number>([["", 0]]);
  const id = (text: string | Uint8Array): number => {
    const key = typeof text === "string" ? text : `\0${Buffer.from(text).toString("hex")}`;
    let known = ids.get(key);
    if (known === undefined) {
      ids.set(key, (known = symbols.length));
      symbols.push(text);
    }
    return known;
  };
  const writer = new ProtoWriter();
  const refsOf = (labels: readonly Pair[]): number[] =>
    labels.flatMap(([name, value]) => [id(name), id(value)]);
  for (const one of series.toReversed()) {
    const before = writer.size;
    if (one.createdMs !== undefined) writer.int64(6, one.createdMs);
    if (one.metadata !== undefined) {
      const start = writer.size;
      writer.uint32(4, id(one.metadata.unit));
      writer.uint32(3, id(one.metadata.help));
      writer.uint32(1, one.metadata.type);
      writer.message(5, start);
    }
    for (const exemplar of (one.exemplars ?? []).toReversed()) {
      const start = writer.size;
      writer.int64(3, exemplar.timeMs);
      writer.double(2, exemplar.value);
      writeRefs(writer, refsOf(exemplar.labels));
      writer.message(4, start);
    }
    for (const message of (one.histograms ?? []).toReversed()) {
      const start = writer.size;
      if (message.startMs !== undefined) writer.int64(17, message.startMs);
      writeHistogram(writer, message);
      writer.message(3, start);
    }
    writeSamples(writer, one);
    writeRefs(writer, one.labelRefs ?? refsOf(one.labels));
    writer.message(5, before);
  }
  for (const symbol of symbols.toReversed()) writeText(writer, 4, symbol);
  return writer.finish().slice();
}

export async function post(
  url: string,
  body: Uint8Array,
  headers: Record<string, string>,
): Promise<Response> {
  return fetch(`${url}/api/v1/write`, {
    method: "POST",
    headers,
    body: new Uint8Array(compressSnappy(body)),
  });
}

export const V1_HEADERS = {
  "content-type": "application/x-protobuf",
  "content-encoding": "snappy",
  "x-prometheus-remote-write-version": "0.1.0",
} as const;

export const V2_HEADERS = {
  "content-type": "application/x-protobuf;proto=io.prometheus.write.v2.Request",
  "content-encoding": "snappy",
  "x-prometheus-remote-write-version": "2.0.0",
} as const;

export function histogramMessage(
  timeMs: number,
  histogram: FloatHistogram,
  isFloat = false,
): HistogramMessage {
  return { timeMs, histogram, isFloat };
}

function writeSamples(writer: ProtoWriter, series: RequestSeries): void {
  for (const [timeMs, value, startMs] of (series.samples ?? []).toReversed()) {
    const start = writer.size;
    if (startMs !== undefined) writer.int64(3, startMs);
    writer.int64(2, timeMs);
    if (typeof value === "number") writer.double(1, value);
    else writer.fixed64(1, value.low, value.high);
    writer.message(2, start);
  }
}

function writeLabels(writer: ProtoWriter, labels: readonly Pair[]): void {
  for (const [name, value] of labels.toReversed()) {
    const start = writer.size;
    writeText(writer, 2, value);
    writeText(writer, 1, name);
    writer.message(1, start);
  }
}

function writeRefs(writer: ProtoWriter, refs: readonly number[]): void {
  const start = writer.size;
  for (const ref of refs.toReversed()) writer.varint(ref);
  writer.message(1, start);
}

function writeText(writer: ProtoWriter, field: number, text: string | Uint8Array): void {
  if (typeof text === "string") writer.string(field, text);
  else writer.bytes(field, text);
}
