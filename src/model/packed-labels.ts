/**
 * Labels of ASCII as bytes: the `Label` messages of a StoreAPI series (docs/format/storeapi.md), in order of name.
 *
 *     ┌────┬──────┬────┬──────┬──────┬────┬──────┬───────┬────┬──
 *     │ 0a │ size │ 0a │ size │ name │ 12 │ size │ value │ 0a │ …
 *     └────┴──────┴────┴──────┴──────┴────┴──────┴───────┴────┴──
 *
 * Most series of a wide query are grouped by one label or counted, and nobody ever asks for the rest: they go from a shard's
 * index into the answer, and through a querier's merge, without becoming strings.
 */
export interface PackedLabels {
  /** Immutable for as long as the labels are used. */
  readonly bytes: Uint8Array;
  /** Inclusive. */
  readonly from: number;
  /** Exclusive. */
  readonly to: number;
}

/** The field of a label, and its two fields. */
export const LABEL_KEY = 0x0a;
export const NAME_KEY = 0x0a;
export const VALUE_KEY = 0x12;

/** Texts kept so that equal ones are one string, and are decoded once: a power of two. */
const TEXT_SLOTS = 4096;
const TEXT_MAX_BYTES = 64;
const texts = Array.from({ length: TEXT_SLOTS }, () => "");

/** Where `unpackLabel` has got to. */
let cursor = 0;

/** All names and values: name, value, name, value, … */
export function unpackLabels({ bytes, from, to }: PackedLabels): string[] {
  const flat: string[] = [];
  cursor = from;
  while (cursor < to) {
    enterLabel(bytes);
    flat.push(readText(bytes));
    flat.push(readText(bytes));
  }
  return flat;
}

/** Where each name and each value lies: from (inclusive), to (exclusive), and so on in `places`, whose first ones are filled; how many. */
export function placesOfTexts({ bytes, from, to }: PackedLabels, places: number[]): number {
  let count = 0;
  cursor = from;
  while (cursor < to) {
    enterLabel(bytes);
    for (let part = 0; part < 2; part++) {
      cursor++;
      const size = readSize(bytes);
      places[count++] = cursor;
      cursor += size;
      places[count++] = cursor;
    }
  }
  return count;
}

/** The value of the label `name`, "" when there is none. */
export function valueOf(labels: PackedLabels, name: string): string {
  const { bytes, to } = labels;
  const { length } = name;
  cursor = labels.from;
  while (cursor < to) {
    enterLabel(bytes);
    cursor++;
    const size = readSize(bytes);
    const at = cursor;
    cursor += size;
    if (size === length) {
      let i = 0;
      while (i < length && bytes[at + i] === name.charCodeAt(i)) i++;
      if (i === length) return readText(bytes);
    }
    cursor++;
    const valueSize = readSize(bytes);
    cursor += valueSize;
  }
  return "";
}

/** Whether the first label has this name and this value. */
export function packedBeginsWith(labels: PackedLabels, name: string, value: string): boolean {
  const { bytes } = labels;
  if (labels.from === labels.to) return false;
  cursor = labels.from;
  enterLabel(bytes);
  return isTextAt(bytes, name) && isTextAt(bytes, value);
}

/** Whether the field at `cursor`, which then is behind it, is `text`. */
function isTextAt(bytes: Uint8Array, text: string): boolean {
  cursor++;
  const size = readSize(bytes);
  const at = cursor;
  cursor += size;
  if (size !== text.length) return false;
  for (let i = 0; i < size; i++) if (bytes[at + i] !== text.charCodeAt(i)) return false;
  return true;
}

/** The order of two label sets: label by label, name then value, in byte order; the shorter one of equals comes first. */
export function comparePacked(a: PackedLabels, b: PackedLabels): number {
  return compareFrom(a, a.from, b, b.from);
}

/** As `comparePacked`, without the first label of each, which both have. */
export function comparePackedRests(a: PackedLabels, b: PackedLabels): number {
  return compareFrom(a, behindFirst(a), b, behindFirst(b));
}

function behindFirst({ bytes, from }: PackedLabels): number {
  cursor = from + 1;
  const size = readSize(bytes);
  return cursor + size;
}

function compareFrom(a: PackedLabels, fromA: number, b: PackedLabels, fromB: number): number {
  const x = a.bytes;
  const y = b.bytes;
  let i = fromA;
  let j = fromB;
  while (i < a.to && j < b.to) {
    cursor = i;
    enterLabel(x);
    i = cursor;
    cursor = j;
    enterLabel(y);
    j = cursor;
    // Its name, then its value.
    for (let part = 0; part < 2; part++) {
      cursor = i + 1;
      const sizeX = readSize(x);
      i = cursor;
      cursor = j + 1;
      const sizeY = readSize(y);
      j = cursor;
      const size = sizeX < sizeY ? sizeX : sizeY;
      for (let k = 0; k < size; k++) {
        const order = x[i + k]! - y[j + k]!;
        if (order !== 0) return order;
      }
      if (sizeX !== sizeY) return sizeX - sizeY;
      i += size;
      j += size;
    }
  }
  return a.to - i - (b.to - j);
}

/** Steps over the key and the size of the label at `cursor`. */
function enterLabel(bytes: Uint8Array): void {
  cursor++;
  readSize(bytes);
}

function readSize(bytes: Uint8Array): number {
  let byte = bytes[cursor++]!;
  if (byte < 0x80) return byte;
  let size = byte & 0x7f;
  for (let shift = 7; byte >= 0x80; shift += 7) {
    byte = bytes[cursor++]!;
    size |= (byte & 0x7f) << shift;
  }
  return size;
}

/** The text of the field at `cursor`, which then is behind it. */
function readText(bytes: Uint8Array): string {
  cursor++;
  const size = readSize(bytes);
  const from = cursor;
  cursor += size;
  if (size > TEXT_MAX_BYTES) return decode(bytes, from, cursor);
  let hash = size;
  for (let i = from; i < cursor; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193);
  const slot = (hash ^ (hash >>> 15)) & (TEXT_SLOTS - 1);
  const known = texts[slot]!;
  if (known.length === size) {
    let i = 0;
    while (i < size && known.charCodeAt(i) === bytes[from + i]) i++;
    if (i === size) return known;
  }
  return (texts[slot] = decode(bytes, from, cursor));
}

/** Up to here a text put together from characters is flat in V8; a longer one would be a tree of parts. */
const SHORT_TEXT = 12;

function decode(bytes: Uint8Array, from: number, to: number): string {
  if (to - from > SHORT_TEXT)
    return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).toString("latin1");
  let text = "";
  for (let i = from; i < to; i++) text += String.fromCharCode(bytes[i]!);
  return text;
}
