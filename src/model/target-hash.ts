import type { Labels } from "./labels.ts";
import { Utf8Scratch } from "./utf8-scratch.ts";
import { formatHash64, hashBytes64, type Hash64 } from "./xxh64.ts";

const SCRATCH = new Utf8Scratch();
/** No UTF-8 text holds this byte, so no two label sets have the same bytes. */
const SEPARATOR = 0xff;

/** Prometheus's hash of a label set: xxh64 over name 0xFF value 0xFF …, sorted by name. */
export function hashLabels64(labels: Labels): Hash64 {
  SCRATCH.clear();
  for (let i = 0; i < labels.count; i++) {
    SCRATCH.append(labels.nameAt(i));
    SCRATCH.appendByte(SEPARATOR);
    SCRATCH.append(labels.valueAt(i));
    SCRATCH.appendByte(SEPARATOR);
  }
  return hashBytes64(SCRATCH.bytes, { start: 0, size: SCRATCH.size });
}

/** `hashLabels64` as decimal text. */
export function hashLabels(labels: Labels): string {
  return formatHash64(hashLabels64(labels));
}

/**
 * Prometheus's identity of a target, also the source of its scrape offset: FNV-1a-64 over the label hash as decimal text
 * of at least 16 digits, then the URL. `allLabels` includes those starting with `__`. Decimal text.
 */
export function hashTarget(allLabels: Labels, url: string): string {
  return formatHash64(hashTarget64(allLabels, url));
}

export function hashTarget64(allLabels: Labels, url: string): Hash64 {
  const prefix = hashLabels(allLabels).padStart(16, "0");
  SCRATCH.clear();
  SCRATCH.append(prefix);
  SCRATCH.append(url);
  return fnv1a64(SCRATCH.bytes, SCRATCH.size);
}

/** FNV-1a-64 in two halves: the prime is 2^40 + 0x1b3, so a product is one small multiplication and a shift. */
export function fnv1a64(bytes: Uint8Array, size: number): Hash64 {
  let high = 0xcbf29ce4;
  let low = 0x84222325;
  for (let i = 0; i < size; i++) {
    low = (low ^ bytes[i]!) >>> 0;
    const product = low * 0x1b3;
    high = (high * 0x1b3 + Math.floor(product / 0x1_0000_0000) + low * 256) % 0x1_0000_0000;
    low = product >>> 0;
  }
  return { high, low };
}
