/**
 * Scratch memory that scrapes lend each other: bodies while they arrive, and append columns until the storage has
 * logged them. A few free pieces are kept, so that memory follows the number of scrapes under way, not of targets.
 */
const FREE_MAX_COUNT = 8;
const FREE_MAX_BYTES = 64 << 20;

export class BodyPool {
  readonly #free: Uint8Array[] = [];
  #freeBytes = 0;

  /** At least `size` bytes with any content; the caller owns them until `release`. */
  acquire(size: number): Uint8Array {
    // The buffer may stay with a target for long: one much larger than needed would be wasted on it.
    let best = -1;
    for (const [i, buffer] of this.#free.entries())
      if (
        buffer.length >= size &&
        buffer.length <= 2 * size + 4096 &&
        (best < 0 || buffer.length < this.#free[best]!.length)
      )
        best = i;
    if (best < 0) return new Uint8Array(size + (size >> 5) + 64);
    const [buffer] = this.#free.splice(best, 1);
    this.#freeBytes -= buffer!.length;
    return buffer!;
  }

  release(buffer: Uint8Array): void {
    if (buffer.length === 0 || buffer.length > FREE_MAX_BYTES) return;
    this.#free.push(buffer);
    this.#freeBytes += buffer.length;
    while (this.#free.length > FREE_MAX_COUNT || this.#freeBytes > FREE_MAX_BYTES)
      this.#freeBytes -= this.#free.shift()!.length;
  }
}

/** Growing columns of samples to append. */
export class SampleColumns {
  refs = new Int32Array(1024);
  times = new Float64Array(1024);
  values = new Float64Array(1024);
  count = 0;

  /** Makes room for `count` samples in all. */
  reserve(count: number): void {
    if (count <= this.refs.length) return;
    const size = Math.max(count, this.refs.length + (this.refs.length >> 1));
    const { refs, times, values } = this;
    this.refs = new Int32Array(size);
    this.refs.set(refs.subarray(0, this.count));
    this.times = new Float64Array(size);
    this.times.set(times.subarray(0, this.count));
    this.values = new Float64Array(size);
    this.values.set(values.subarray(0, this.count));
  }

  push(ref: number, timeMs: number, value: number): void {
    this.reserve(this.count + 1);
    this.refs[this.count] = ref;
    this.times[this.count] = timeMs;
    this.values[this.count] = value;
    this.count++;
  }
}

export class ColumnPool {
  readonly #free: SampleColumns[] = [];

  acquire(): SampleColumns {
    const columns = this.#free.pop() ?? new SampleColumns();
    columns.count = 0;
    return columns;
  }

  release(columns: SampleColumns): void {
    if (this.#free.length < FREE_MAX_COUNT) this.#free.push(columns);
  }
}
