/**
 * The sampled entries of a postings offset table, one name after the other: where each starts in the table, and its
 * value. However many there are, they are three objects for the garbage collector.
 */
export class SampledPairs {
  count = 0;
  valueBytes = 0;
  #starts = new Uint32Array(64);
  /** Value `i` is `#values[#ends[i - 1], #ends[i])`, the first one from 0 on. */
  #ends = new Uint32Array(64);
  #values = new Uint8Array(1024);

  add(start: number, value: Uint8Array): void {
    this.addAll(Uint32Array.of(start), Uint32Array.of(this.valueBytes + value.length), value);
  }

  /** Adds one or several. `ends` count on from `valueBytes`; `values` may hold more than they tell. */
  addAll(starts: Uint32Array, ends: Uint32Array, values: Uint8Array): void {
    const count = this.count + starts.length;
    const valueBytes = ends[ends.length - 1]!;
    if (count > this.#starts.length || valueBytes > this.#values.length)
      this.#resize(count * 2, valueBytes * 2);
    this.#starts.set(starts, this.count);
    this.#ends.set(ends, this.count);
    this.#values.set(values.subarray(0, valueBytes - this.valueBytes), this.valueBytes);
    this.count = count;
    this.valueBytes = valueBytes;
  }

  /** Gives up the room for more. */
  trim(): void {
    this.#resize(this.count, this.valueBytes);
  }

  start(i: number): number {
    return this.#starts[i]!;
  }

  /** The bytes of a value: a view, not to be changed. */
  value(i: number): Uint8Array {
    return this.#values.subarray(i === 0 ? 0 : this.#ends[i - 1]!, this.#ends[i]!);
  }

  /** The last of the samples `from` (inclusive) to `to` (exclusive) whose value is not after `value`; `from - 1` if none. */
  lastUpTo(value: Uint8Array, range: { from: number; to: number }): number {
    let low = range.from;
    let high = range.to;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (Buffer.compare(this.value(middle), value) <= 0) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  #resize(count: number, valueBytes: number): void {
    const [starts, ends, values] = [this.#starts, this.#ends, this.#values];
    this.#starts = new Uint32Array(count);
    this.#ends = new Uint32Array(count);
    this.#values = new Uint8Array(valueBytes);
    this.#starts.set(starts.subarray(0, this.count));
    this.#ends.set(ends.subarray(0, this.count));
    this.#values.set(values.subarray(0, this.valueBytes));
  }
}
