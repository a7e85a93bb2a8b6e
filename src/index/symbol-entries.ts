/**
 * The symbols of an index that is being written, in one buffer, each behind its length in bytes as the symbol table and
 * the offset tables have it: a million symbols are two objects for the garbage collector.
 */
export class SymbolEntries {
  count = 0;
  bytes = new Uint8Array(64 * 1024);
  /** Symbol `i` with its length is `bytes[ends[i - 1], ends[i])`, the first from 0 on. */
  #ends = new Uint32Array(1024);
  /** Where the text of the last symbol starts. */
  #lastStart = 0;

  /** The bytes of all entries. */
  get size(): number {
    return this.end(this.count - 1);
  }

  start(symbol: number): number {
    return this.end(symbol - 1);
  }

  end(symbol: number): number {
    return symbol < 0 ? 0 : this.#ends[symbol]!;
  }

  /** Adds the symbol `from[start, end)`, unless it does not come after the last one in byte order: then false. */
  add(from: Uint8Array, start: number, end: number): boolean {
    const { size } = this;
    const length = end - start;
    this.#reserve(size + length + 5);
    const { bytes } = this;
    if (this.count > 0) {
      let i = this.#lastStart;
      let j = start;
      while (i < size && j < end && bytes[i] === from[j]) {
        i++;
        j++;
      }
      if (j === end || (i < size && bytes[i]! > from[j]!)) return false;
    }
    let at = size;
    let rest = length;
    for (; rest >= 128; rest >>>= 7) bytes[at++] = (rest & 127) | 128;
    bytes[at++] = rest;
    this.#lastStart = at;
    for (let i = start; i < end; i++) bytes[at++] = from[i]!;
    this.#ends[this.count++] = at;
    return true;
  }

  text(symbol: number): string {
    let from = this.start(symbol);
    while (this.bytes[from]! >= 128) from++;
    return Buffer.from(this.bytes.buffer, from + 1, this.end(symbol) - from - 1).toString();
  }

  #reserve(size: number): void {
    if (size > this.bytes.length) {
      const bytes = new Uint8Array(size * 2);
      bytes.set(this.bytes);
      this.bytes = bytes;
    }
    if (this.count < this.#ends.length) return;
    const ends = new Uint32Array(this.#ends.length * 2);
    ends.set(this.#ends);
    this.#ends = ends;
  }
}
