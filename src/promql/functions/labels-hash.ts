import type { Labels } from "../../model/labels.ts";
import { xxhash64 } from "./xxhash64.ts";

const SEPARATOR = Buffer.from([0xff]);

/** Prometheus's hash of a label set: xxHash64 over name, 0xff, value, 0xff of each label in order. */
export function labelsHash(labels: Labels): bigint {
  const parts: Buffer[] = [];
  for (const [name, value] of labels)
    parts.push(Buffer.from(name), SEPARATOR, Buffer.from(value), SEPARATOR);
  return xxhash64(Buffer.concat(parts));
}
