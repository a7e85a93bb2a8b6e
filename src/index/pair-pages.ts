/** The largest page, in words; a pair takes two. */
const PAGE_WORDS = 32 * 1024;
/** Values are put in order by a walk from the lowest to the highest symbol while that takes so many steps a value at most. */
const WALK_MAX_STEPS = 16;

/**
 * The series of one label name while an index is written: pairs of a series' ref and the symbol of its value, in pages, so
 * that growing copies nothing. The first pages are small, as most names need.
 */
export class PairPages {
  readonly #pages: Uint32Array[] = [];
  #last = new Uint32Array(0);
  #used = 0;
  count = 0;

  add(ref: number, value: number): void {
    if (this.#used === this.#last.length) {
      this.#last = new Uint32Array(Math.min(Math.max(this.#last.length * 2, 128), PAGE_WORDS));
      this.#pages.push(this.#last);
      this.#used = 0;
    }
    this.#last[this.#used++] = ref;
    this.#last[this.#used++] = value;
    this.count++;
  }

  /** Adds how often each value occurs to `counts` (all 0 before); the values in order. */
  countValues(counts: Uint32Array): Uint32Array {
    const values = new Uint32Array(this.count);
    let found = 0;
    let first = counts.length;
    let last = -1;
    let rest = this.count * 2;
    for (const page of this.#pages) {
      const used = Math.min(page.length, rest);
      rest -= used;
      for (let i = 1; i < used; i += 2) {
        const value = page[i]!;
        if (counts[value]!++ > 0) continue;
        values[found++] = value;
        if (value < first) first = value;
        if (value > last) last = value;
      }
    }
    if (last - first >= found * WALK_MAX_STEPS) return values.subarray(0, found).sort();
    found = 0;
    for (let value = first; value <= last; value++) if (counts[value]! > 0) values[found++] = value;
    return values.subarray(0, found);
  }

  /** Puts each ref at the place `next` has for its value, which then is one more. */
  scatter(refs: Uint32Array, next: Uint32Array): void {
    let rest = this.count * 2;
    for (const page of this.#pages) {
      const used = Math.min(page.length, rest);
      rest -= used;
      for (let i = 0; i < used; i += 2) refs[next[page[i + 1]!]!++] = page[i]!;
    }
  }
}
