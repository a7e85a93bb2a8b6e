import type { Labels } from "../../model/labels.ts";
import { xxhash64 } from "./xxhash64.ts";

/** The hash of a label set in Prometheus as released: xxHash64 over each name and value with its length before it. */
export function labelsHash(labels: Labels): bigint {
  const parts: Buffer[] = [];
  for (const [name, value] of labels)
    for (const text of [name, value]) {
      const bytes = Buffer.from(text);
      parts.push(encodeLength(bytes.length), bytes);
    }
  return xxhash64(Buffer.concat(parts));
}

/** One byte below 255, else 255 and three bytes, lowest first. */
function encodeLength(length: number): Buffer {
  return length < 255
    ? Buffer.from([length])
    : Buffer.from([255, length & 255, (length >> 8) & 255, (length >> 16) & 255]);
}
