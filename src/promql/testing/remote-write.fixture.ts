import { compressSnappy } from "../../base/snappy.ts";
import type { FloatHistogram } from "../../model/histogram.ts";
import type { Labels } from "../../model/labels.ts";

/** Sends samples to a real Prometheus by remote write 1.0, the only way in for native histograms. */
export interface WrittenSeries {
  readonly labels: Labels;
  readonly samples: readonly WrittenSample[];
}

export interface WrittenSample {
  readonly timeMs: number;
  readonly value: number | FloatHistogram;
  /** Of a histogram: its counts are whole numbers and sent as such. */
  readonly isInteger?: boolean;
}

/** Throws what the server says when it does not take all of `series`. */
export async function remoteWrite(url: string, series: readonly WrittenSeries[]): Promise<void> {
  const message = new Message();
  for (const one of series) message.nested(1, encodeSeries(one));
  const response = await fetch(`${url}/api/v1/write`, {
    method: "POST",
    headers: {
      "content-encoding": "snappy",
      "content-type": "application/x-protobuf",
      "x-prometheus-remote-write-version": "0.1.0",
    },
    body: new Uint8Array(compressSnappy(message.toBytes())),
  });
  if (!response.ok) throw new Error(`remote write: ${response.status} ${await response.text()}`);
}

function encodeSeries({ labels, samples }: WrittenSeries): Message {
  const message = new Message();
  for (const [name, value] of labels) message.nested(1, new Message().text(1, name).text(2, value));
  for (const { timeMs, value, isInteger } of samples)
    if (typeof value === "number")
      message.nested(2, new Message().double(1, value).varint(2, BigInt(timeMs)));
    else if (isInteger === true) message.nested(4, encodeIntegerHistogram(value, timeMs));
    else message.nested(4, encodeHistogram(value, timeMs));
  return message;
}

const HINTS = ["unknown", "reset", "not_reset", "gauge"];

function encodeHistogram(h: FloatHistogram, timeMs: number): Message {
  const message = new Message()
    .double(2, h.count)
    .double(3, h.sum)
    .varint(4, zigzag(h.schema))
    .double(5, h.zeroThreshold)
    .double(7, h.zeroCount);
  encodeSpans(message, 8, h.negativeSpans);
  message.doubles(10, h.negativeBuckets);
  encodeSpans(message, 11, h.positiveSpans);
  return message
    .doubles(13, h.positiveBuckets)
    .varint(14, BigInt(HINTS.indexOf(h.counterResetHint)))
    .varint(15, BigInt(timeMs))
    .doubles(16, h.customValues);
}

function encodeIntegerHistogram(h: FloatHistogram, timeMs: number): Message {
  const message = new Message()
    .varint(1, BigInt(h.count))
    .double(3, h.sum)
    .varint(4, zigzag(h.schema))
    .double(5, h.zeroThreshold)
    .varint(6, BigInt(h.zeroCount));
  encodeSpans(message, 8, h.negativeSpans);
  encodeDeltas(message, 9, h.negativeBuckets);
  encodeSpans(message, 11, h.positiveSpans);
  encodeDeltas(message, 12, h.positiveBuckets);
  return message
    .varint(14, BigInt(HINTS.indexOf(h.counterResetHint)))
    .varint(15, BigInt(timeMs))
    .doubles(16, h.customValues);
}

function encodeDeltas(message: Message, field: number, buckets: Float64Array): void {
  buckets.forEach((count, k) => message.varint(field, zigzag(count - (buckets[k - 1] ?? 0))));
}

function encodeSpans(message: Message, field: number, spans: Int32Array): void {
  for (let i = 0; i < spans.length; i += 2)
    message.nested(
      field,
      new Message().varint(1, zigzag(spans[i]!)).varint(2, BigInt(spans[i + 1]!)),
    );
}

function zigzag(value: number): bigint {
  return BigInt(value < 0 ? -2 * value - 1 : 2 * value);
}

/** A protobuf message as it grows. */
class Message {
  readonly #bytes: number[] = [];

  toBytes(): Uint8Array {
    return Uint8Array.from(this.#bytes);
  }

  varint(field: number, value: bigint): this {
    this.#number(BigInt(field << 3));
    this.#number(value);
    return this;
  }

  double(field: number, value: number): this {
    this.#number(BigInt((field << 3) | 1));
    this.#append(new Uint8Array(Float64Array.of(value).buffer));
    return this;
  }

  doubles(field: number, values: Float64Array): this {
    return values.length === 0 ? this : this.#block(field, new Uint8Array(values.slice().buffer));
  }

  text(field: number, value: string): this {
    return this.#block(field, Buffer.from(value));
  }

  nested(field: number, message: Message): this {
    return this.#block(field, message.#bytes);
  }

  #block(field: number, bytes: ArrayLike<number> & Iterable<number>): this {
    this.#number(BigInt((field << 3) | 2));
    this.#number(BigInt(bytes.length));
    this.#append(bytes);
    return this;
  }

  #number(value: bigint): void {
    let rest = value;
    for (; rest >= 0x80n; rest >>= 7n) this.#bytes.push(Number(rest & 0x7fn) | 0x80);
    this.#bytes.push(Number(rest));
  }

  #append(bytes: Iterable<number>): void {
    for (const byte of bytes) this.#bytes.push(byte);
  }
}
