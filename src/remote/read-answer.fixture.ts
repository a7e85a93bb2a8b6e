import { crc32c } from "../base/crc32c.ts";
import { ProtoWriter } from "../proto/wire.ts";

/** Remote-read answers for tests, written as Prometheus writes them. */

/** One frame with one series of one chunk. */
export function frame(labels: Record<string, string>, data: Uint8Array, type = 1): Uint8Array {
  const writer = new ProtoWriter();
  const series = writer.size;
  const chunk = writer.size;
  writer.bytes(4, data);
  writer.uint32(3, type);
  writer.int64(2, 2000);
  writer.int64(1, -5);
  writer.message(2, chunk);
  writeLabels(writer, labels);
  writer.message(1, series);
  return framed(writer.finish());
}

export function writeLabels(writer: ProtoWriter, labels: Record<string, string>): void {
  for (const [name, value] of Object.entries(labels).reverse()) {
    const label = writer.size;
    writer.string(2, value);
    writer.string(1, name);
    writer.message(1, label);
  }
}

function framed(message: Uint8Array): Uint8Array {
  const size = varint(message.length);
  const head = Buffer.alloc(size.length + 4);
  head.set(size);
  head.writeUInt32BE(crc32c(message), size.length);
  return Buffer.concat([head, message]);
}

export function varint(value: number): number[] {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    bytes.push(rest < 128 ? rest : (rest & 127) | 128);
    if (rest < 128) return bytes;
  }
}
