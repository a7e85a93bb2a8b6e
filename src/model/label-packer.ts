import { Labels } from "./labels.ts";
import { LABEL_KEY, NAME_KEY, unpackLabels, VALUE_KEY } from "./packed-labels.ts";

/** Where the packer gets its texts: the symbols of an index. */
export interface SymbolBytes {
  /** In bytes. */
  sizeOf(symbol: number): number;
  /** Copies all bytes of the symbol to `target` from `at` on, and returns the bits that any of them has. */
  copyTo(symbol: number, target: Uint8Array, at: number): number;
}

const FIRST_BYTES = 1024;
const MAX_BUFFER_BYTES = 64 * 1024;
/** Two keys and two sizes, and those of the label around them, at most. */
const OVERHEAD_BYTES = 18;

/** Packs labels, those of one series after the other. Its buffers are left to what is packed in them when they are full. */
export class LabelPacker {
  readonly #symbols: SymbolBytes;
  #bytes = new Uint8Array(0);
  #from = 0;
  #at = 0;
  /** The bits that any byte of the labels has. */
  #bits = 0;

  constructor(symbols: SymbolBytes) {
    this.#symbols = symbols;
  }

  /** The next label, in order of name. */
  add(name: number, value: number): void {
    const symbols = this.#symbols;
    const nameSize = symbols.sizeOf(name);
    const valueSize = symbols.sizeOf(value);
    if (this.#at + nameSize + valueSize + OVERHEAD_BYTES > this.#bytes.length)
      this.#grow(nameSize + valueSize + OVERHEAD_BYTES);
    this.#putSize(
      LABEL_KEY,
      2 + sizeOfSize(nameSize) + nameSize + sizeOfSize(valueSize) + valueSize,
    );
    this.#putSize(NAME_KEY, nameSize);
    this.#bits |= symbols.copyTo(name, this.#bytes, this.#at);
    this.#at += nameSize;
    this.#putSize(VALUE_KEY, valueSize);
    this.#bits |= symbols.copyTo(value, this.#bytes, this.#at);
    this.#at += valueSize;
  }

  /** The labels that were added since the last call. */
  take(): Labels {
    const from = this.#from;
    this.#from = this.#at;
    const bits = this.#bits;
    this.#bits = 0;
    const packed = { bytes: this.#bytes, from, to: this.#at };
    if (bits < 0x80) return Labels.fromPacked(packed);
    return Labels.fromSorted(unpackLabels(packed).map(fromUtf8));
  }

  #putSize(key: number, size: number): void {
    const bytes = this.#bytes;
    let at = this.#at;
    bytes[at++] = key;
    let rest = size;
    for (; rest >= 0x80; rest >>>= 7) bytes[at++] = (rest & 0x7f) | 0x80;
    bytes[at++] = rest;
    this.#at = at;
  }

  /** A new buffer, into which the labels of the current series move. */
  #grow(needed: number): void {
    const begun = this.#at - this.#from;
    const size = Math.min(MAX_BUFFER_BYTES, Math.max(FIRST_BYTES, 2 * this.#bytes.length));
    const bytes = new Uint8Array(Math.max(size, 2 * (begun + needed)));
    bytes.set(this.#bytes.subarray(this.#from, this.#at));
    this.#bytes = bytes;
    this.#from = 0;
    this.#at = begun;
  }
}

/** A text whose characters are the bytes of one in UTF-8. */
function fromUtf8(text: string): string {
  return Buffer.from(text, "latin1").toString("utf8");
}

function sizeOfSize(size: number): number {
  let count = 1;
  for (let rest = size >>> 7; rest > 0; rest >>>= 7) count++;
  return count;
}
