import { AppError } from "../base/errors.ts";
import type { Labels } from "../model/labels.ts";
import type { ByteBuffer } from "./byte-buffer.ts";
import { decodeStartedSamples } from "./started-samples.ts";

/** The records inside a write-ahead log, as Prometheus has them. Format: docs/format/wal.md. */
export const RECORD_SERIES = 1;
export const RECORD_SAMPLES = 2;
/** With start times; Prometheus 3.11 and later write them when told to. */
export const RECORD_STARTED_SAMPLES = 11;

const TWO_32 = 4294967296;
const SAMPLE_MAX_BYTES = 28;

/** Appends one series record for `refs`. */
export function encodeSeries(
  out: ByteBuffer,
  refs: readonly number[],
  labelsOf: (ref: number) => Labels,
): void {
  out.putByte(RECORD_SERIES);
  for (const ref of refs) {
    const labels = labelsOf(ref);
    out.putUint64(ref);
    out.putUvarint(labels.count);
    for (let i = 0; i < labels.count; i++) {
      out.putText(labels.nameAt(i));
      out.putText(labels.valueAt(i));
    }
  }
}

/** Appends a samples record of the entries of the columns whose index is in `picked[0, count)`. */
export function encodeSamples(
  out: ByteBuffer,
  columns: { refs: Int32Array; times: Float64Array; values: Float64Array },
  picked: { indices: Uint32Array; count: number },
): void {
  const { refs, times, values } = columns;
  const { indices, count } = picked;
  const words = new Int32Array(values.buffer, values.byteOffset, values.length * 2);
  out.reserve(17 + count * SAMPLE_MAX_BYTES);
  const first = indices[0]!;
  const firstRef = refs[first]!;
  const firstTime = times[first]!;
  out.putByte(RECORD_SAMPLES);
  out.putUint64(firstRef);
  out.putInt64(firstTime);
  const { bytes, view } = out;
  let at = out.length;
  for (let i = 0; i < count; i++) {
    const k = indices[i]!;
    let rest = refs[k]! - firstRef;
    rest = rest >= 0 ? rest * 2 : -rest * 2 - 1;
    while (rest >= 128) {
      bytes[at++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    bytes[at++] = rest;
    rest = times[k]! - firstTime;
    rest = rest >= 0 ? rest * 2 : -rest * 2 - 1;
    while (rest >= 128) {
      bytes[at++] = (rest % 128) | 128;
      rest = Math.floor(rest / 128);
    }
    bytes[at++] = rest;
    view.setInt32(at, words[2 * k + 1]!);
    view.setInt32(at + 4, words[2 * k]!);
    at += 8;
  }
  out.length = at;
}

/** Samples of a decoded record; the columns are reused by the next decode. */
export class SampleColumns {
  /** Exact below 2^53. */
  refs = new Float64Array(1024);
  times = new Float64Array(1024);
  values = new Float64Array(1024);
  words = new Int32Array(this.values.buffer);
  count = 0;

  grow(): void {
    const size = this.refs.length * 2;
    const refs = new Float64Array(size);
    refs.set(this.refs);
    const times = new Float64Array(size);
    times.set(this.times);
    const words = new Int32Array(size * 2);
    words.set(this.words);
    this.refs = refs;
    this.times = times;
    this.words = words;
    this.values = new Float64Array(words.buffer);
  }
}

/** A view on the bytes of one record: its type byte is at `start`. */
export interface RecordBytes {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  readonly start: number;
  readonly end: number;
}

function corrupt(what: string): AppError {
  return new AppError("corrupt", `cannot decode WAL record: ${what}`);
}

/** Whether `type` is that of a record of floats. */
export function isSamplesRecord(type: number): boolean {
  return type === RECORD_SAMPLES || type === RECORD_STARTED_SAMPLES;
}

/** Decodes a record of floats into `into`, start times left out; throws `corrupt` when it is malformed. */
export function decodeSamples(record: RecordBytes, into: SampleColumns): void {
  const { bytes, view, end } = record;
  into.count = 0;
  if (bytes[record.start] === RECORD_STARTED_SAMPLES) return decodeStartedSamples(record, into);
  let at = record.start + 1;
  if (at === end) return;
  if (end - at < 16) throw corrupt("a samples record ends in its header");
  const firstRef = view.getUint32(at) * TWO_32 + view.getUint32(at + 4);
  const firstTime = view.getInt32(at + 8) * TWO_32 + view.getUint32(at + 12);
  at += 16;
  while (at < end) {
    let unsigned = 0;
    let scale = 1;
    let byte = 128;
    while (byte >= 128 && at < end) {
      byte = bytes[at++]!;
      unsigned += (byte & 127) * scale;
      scale *= 128;
    }
    const ref = firstRef + (unsigned % 2 === 0 ? unsigned / 2 : -(unsigned + 1) / 2);
    unsigned = 0;
    scale = 1;
    byte = 128;
    while (byte >= 128 && at < end) {
      byte = bytes[at++]!;
      unsigned += (byte & 127) * scale;
      scale *= 128;
    }
    const time = firstTime + (unsigned % 2 === 0 ? unsigned / 2 : -(unsigned + 1) / 2);
    if (end - at < 8) throw corrupt("a samples record ends inside a sample");
    if (into.count === into.refs.length) into.grow();
    const i = into.count++;
    into.refs[i] = ref;
    into.times[i] = time;
    into.words[2 * i + 1] = view.getInt32(at);
    into.words[2 * i] = view.getInt32(at + 4);
    at += 8;
  }
}

/**
 * Reads the series of a series record one by one: `onSeries` gets the ref (exact below 2^53) and the labels flat (name,
 * value, …), and the byte range of that entry, to copy it elsewhere. Throws `corrupt` when it is malformed.
 */
export function decodeSeries(
  record: RecordBytes,
  onSeries: (ref: number, flat: string[], range: { start: number; end: number }) => void,
): void {
  const { bytes, view, end } = record;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  let at = record.start + 1;
  const uvarint = (): number => {
    let value = 0;
    let scale = 1;
    for (;;) {
      if (at >= end) throw corrupt("a series record ends inside a number");
      const byte = bytes[at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
      scale *= 128;
    }
  };
  while (at < end) {
    const start = at;
    if (end - at < 8) throw corrupt("a series record ends inside a ref");
    const ref = view.getUint32(at) * TWO_32 + view.getUint32(at + 4);
    at += 8;
    const count = uvarint();
    if (count * 2 > end - at) throw corrupt(`a series with ${count} labels does not fit`);
    const flat: string[] = [];
    for (let i = 0; i < count * 2; i++) {
      const length = uvarint();
      if (length > end - at) throw corrupt("a label does not fit into its series record");
      flat.push(text.toString("utf8", at, at + length));
      at += length;
    }
    onSeries(ref, flat, { start, end: at });
  }
}
