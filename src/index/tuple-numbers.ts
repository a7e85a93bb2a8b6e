/** Numbers for sequences of numbers: the same for equal ones, from 0 on in the order in which they come. */
export class TupleNumbers {
  /** The sequences one behind the other, each with its length in front. */
  #pool = new Uint32Array(1024);
  #used = 0;
  /** Where the sequence of a number starts in the pool. */
  #starts = new Uint32Array(64);
  #count = 0;
  /** Open addressing: number + 1, or 0. */
  #slots = new Int32Array(128);
  #hashes = new Int32Array(64);
  /** The sequence that is being made lies behind the last one; how long it is. */
  #length = 0;
  #hash = 0;
  /** Neighbours are often equal. */
  #last = -1;

  /** How many numbers there are. */
  get count(): number {
    return this.#count;
  }

  /** Adds to the sequence that the next `take` numbers. */
  add(item: number): void {
    const at = this.#used + 1 + this.#length;
    if (at >= this.#pool.length) this.#pool = doubled(this.#pool);
    this.#pool[at] = item;
    this.#length++;
    this.#hash = Math.imul(this.#hash ^ item, 0x9e3779b1);
    this.#hash ^= this.#hash >>> 15;
  }

  /** The number of the sequence that was added up, and begins a new one. */
  take(): number {
    const hash = this.#hash ^ this.#length;
    const last = this.#last;
    if (last < 0 || this.#hashes[last] !== hash || !this.#equals(last))
      this.#last = this.#findOrAdd(hash);
    this.#length = 0;
    this.#hash = 0;
    return this.#last;
  }

  #findOrAdd(hash: number): number {
    const mask = this.#slots.length - 1;
    let slot = (hash ^ (hash >>> 13)) & mask;
    for (;;) {
      const number = this.#slots[slot]! - 1;
      if (number < 0) break;
      if (this.#hashes[number] === hash && this.#equals(number)) return number;
      slot = (slot + 1) & mask;
    }
    const number = this.#count++;
    if (number === this.#starts.length) {
      this.#starts = doubled(this.#starts);
      const hashes = new Int32Array(this.#hashes.length * 2);
      hashes.set(this.#hashes);
      this.#hashes = hashes;
    }
    this.#pool[this.#used] = this.#length;
    this.#starts[number] = this.#used;
    this.#hashes[number] = hash;
    this.#used += 1 + this.#length;
    if (this.#used + 1 >= this.#pool.length) this.#pool = doubled(this.#pool);
    this.#slots[slot] = number + 1;
    if (2 * this.#count > this.#slots.length) this.#rehash();
    return number;
  }

  #equals(number: number): boolean {
    const pool = this.#pool;
    const start = this.#starts[number]!;
    if (pool[start] !== this.#length) return false;
    for (let i = 1; i <= this.#length; i++)
      if (pool[start + i] !== pool[this.#used + i]) return false;
    return true;
  }

  #rehash(): void {
    this.#slots = new Int32Array(this.#slots.length * 2);
    const mask = this.#slots.length - 1;
    for (let number = 0; number < this.#count; number++) {
      const hash = this.#hashes[number]!;
      let slot = (hash ^ (hash >>> 13)) & mask;
      while (this.#slots[slot] !== 0) slot = (slot + 1) & mask;
      this.#slots[slot] = number + 1;
    }
  }
}

function doubled(column: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const grown = new Uint32Array(column.length * 2);
  grown.set(column);
  return grown;
}
