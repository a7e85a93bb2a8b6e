/** Beyond so many series a receiver starts over with an empty table. */
export const REFS_MAX_SERIES = 4_000_000;

const FIRST_SLOTS = 2048;
/** Four words of hash, and the ref. */
const ENTRY_WORDS = 5;

/**
 * The refs of series that came before, by the hash of their labels as they were sent (128 bits, by write-kernel.as: that two
 * of ten million series come to the same has a probability of about 10^-25). For a series that is known no string is made,
 * and the table keeps about 30 bytes of it.
 *
 * Entries lie in the order in which they came. Senders keep to an order, so that mostly the entry behind the one found
 * last is the one that is looked for, and is in the processor's cache.
 */
export class SeriesRefs {
  #entries = new Int32Array((ENTRY_WORDS * FIRST_SLOTS) / 2);
  #count = 0;
  /** The number of an entry + 1, or 0. */
  #slots = new Int32Array(FIRST_SLOTS);
  /** The entry to look at first. */
  #likely = 0;

  get isFull(): boolean {
    return this.#count > REFS_MAX_SERIES;
  }

  /** The ref of the series whose hash stands in `words` at `at`, or -1. */
  find(words: Int32Array, at: number): number {
    if (this.#count === 0) return -1;
    const entries = this.#entries;
    const slots = this.#slots;
    const a = words[at]!;
    const b = words[at + 1]!;
    const c = words[at + 2]!;
    const d = words[at + 3]!;
    const mask = slots.length - 1;
    let entry = this.#likely;
    for (let slot = a & mask; ; slot = (slot + 1) & mask) {
      const place = entry * ENTRY_WORDS;
      if (
        entries[place] === a &&
        entries[place + 1] === b &&
        entries[place + 2] === c &&
        entries[place + 3] === d
      ) {
        this.#likely = entry + 1 < this.#count ? entry + 1 : 0;
        return entries[place + 4]!;
      }
      entry = slots[slot]! - 1;
      if (entry < 0) return -1;
    }
  }

  /** Remembers the ref of a series that `find` does not know. */
  add(words: Int32Array, at: number, ref: number): void {
    if ((this.#count + 1) * 2 >= this.#slots.length) this.#grow();
    const place = this.#count * ENTRY_WORDS;
    for (let i = 0; i < 4; i++) this.#entries[place + i] = words[at + i]!;
    this.#entries[place + 4] = ref;
    this.#insert(words[at]!, ++this.#count);
  }

  #insert(hash: number, number: number): void {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = hash & mask;
    while (slots[slot] !== 0) slot = (slot + 1) & mask;
    slots[slot] = number;
  }

  #grow(): void {
    this.#slots = new Int32Array(2 * this.#slots.length);
    const entries = new Int32Array((ENTRY_WORDS * this.#slots.length) / 2);
    entries.set(this.#entries);
    this.#entries = entries;
    for (let i = 0; i < this.#count; i++) this.#insert(entries[i * ENTRY_WORDS]!, i + 1);
  }
}
