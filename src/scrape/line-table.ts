/** The series was dropped by relabelling. */
export const REF_DROPPED = -1;
/** The storage took no ref for the series (a series limit): it is tried again at each scrape. */
export const REF_REFUSED = -2;
/** `REF_DUPLICATE - i`: the same text as line `i` of the same body. */
export const REF_DUPLICATE = -3;

/**
 * The samples of one body, line by line, with what the storage calls their series. What stands between two samples
 * (comments, metadata, blank lines) belongs to the one that follows, so one comparison covers both:
 *
 *     # TYPE a counter⏎a{x="1"} 17⏎a{x="2"} 4⏎# EOF⏎
 *     └──────────────┘└───────┘    └───────┘  └────── nothing follows: read again each time
 *        gap of 0      series 0     series 1
 */
export class LineTable {
  body: Uint8Array = new Uint8Array(0);
  /** Bytes of `body` that are the exposition. */
  length = 0;
  count = 0;
  seriesStart = new Int32Array(0);
  seriesEnd = new Int32Array(0);
  /** One past the newline; the next line's gap starts here. */
  lineEnd = new Int32Array(0);
  refs = new Int32Array(0);
  values = new Float64Array(0);
  /** Index into METRIC_KINDS of the TYPE in force. */
  kinds = new Uint8Array(0);
  /** 1 where the series gets a staleness marker when it goes away. */
  tracked = new Uint8Array(0);
  trackedCount = 0;

  /** Makes room for `count` lines, keeping those there are. */
  reserve(count: number): void {
    if (count <= this.refs.length) return;
    const size = Math.max(count + 16, this.refs.length + (this.refs.length >> 1));
    const { seriesStart, seriesEnd, lineEnd, refs, values, kinds, tracked } = this;
    this.#allocate(size);
    this.#copy({ seriesStart, seriesEnd, lineEnd, refs, values, kinds, tracked }, this.count);
  }

  /** Takes over lines and body of `from`; the columns are copied into memory that just fits. */
  assign(from: LineTable): void {
    const { count } = from;
    if (count > this.refs.length || count < this.refs.length >> 2)
      this.#allocate(count + (count >> 3));
    this.#copy(from, count);
    this.body = from.body;
    this.length = from.length;
    this.count = count;
    this.trackedCount = from.trackedCount;
  }

  #allocate(size: number): void {
    this.seriesStart = new Int32Array(size);
    this.seriesEnd = new Int32Array(size);
    this.lineEnd = new Int32Array(size);
    this.refs = new Int32Array(size);
    this.values = new Float64Array(size);
    this.kinds = new Uint8Array(size);
    this.tracked = new Uint8Array(size);
  }

  #copy(from: Pick<LineTable, Column>, count: number): void {
    this.seriesStart.set(from.seriesStart.subarray(0, count));
    this.seriesEnd.set(from.seriesEnd.subarray(0, count));
    this.lineEnd.set(from.lineEnd.subarray(0, count));
    this.refs.set(from.refs.subarray(0, count));
    this.values.set(from.values.subarray(0, count));
    this.kinds.set(from.kinds.subarray(0, count));
    this.tracked.set(from.tracked.subarray(0, count));
  }
}

type Column = "seriesStart" | "seriesEnd" | "lineEnd" | "refs" | "values" | "kinds" | "tracked";

/** Finds lines of a table by the bytes of their series: open addressing, linear probing, nothing on the heap per line. */
export class SeriesIndex {
  #slots = new Int32Array(64);
  #mask = 63;
  #used = 0;
  readonly #seed: number;

  /** `seed` keeps a hostile body from choosing its collisions. */
  constructor(seed: number) {
    this.#seed = seed | 0;
  }

  clear(expected: number): void {
    let size = 64;
    while (size < expected * 2) size *= 2;
    if (size > this.#slots.length || size * 8 < this.#slots.length)
      this.#slots = new Int32Array(size);
    else this.#slots.fill(0);
    this.#mask = this.#slots.length - 1;
    this.#used = 0;
  }

  /** Adds all lines of `table` that are not duplicates. */
  build(table: LineTable): void {
    this.clear(table.count);
    for (let i = 0; i < table.count; i++) if (table.refs[i]! > REF_DUPLICATE) this.add(table, i);
  }

  /** The line of `table` whose series is bytes[start, end) of `bytes`, or -1. */
  find(
    table: LineTable,
    bytes: Uint8Array,
    range: { readonly start: number; readonly end: number },
  ): number {
    const { start, end } = range;
    const size = end - start;
    const { body, seriesStart, seriesEnd } = table;
    for (let at = this.#hash(bytes, start, end) & this.#mask; ; at = (at + 1) & this.#mask) {
      const line = this.#slots[at]! - 1;
      if (line < 0) return -1;
      const from = seriesStart[line]!;
      if (seriesEnd[line]! - from !== size) continue;
      let i = 0;
      while (i < size && body[from + i] === bytes[start + i]) i++;
      if (i === size) return line;
    }
  }

  /** Adds line `line`, which is not there yet. */
  add(table: LineTable, line: number): void {
    if (this.#used * 2 >= this.#slots.length) this.#grow(table);
    this.#put(table, line);
    this.#used++;
  }

  #put(table: LineTable, line: number): void {
    let at = this.#hash(table.body, table.seriesStart[line]!, table.seriesEnd[line]!) & this.#mask;
    while (this.#slots[at] !== 0) at = (at + 1) & this.#mask;
    this.#slots[at] = line + 1;
  }

  #grow(table: LineTable): void {
    const old = this.#slots;
    this.#slots = new Int32Array(old.length * 2);
    this.#mask = this.#slots.length - 1;
    for (const slot of old) if (slot !== 0) this.#put(table, slot - 1);
  }

  #hash(bytes: Uint8Array, start: number, end: number): number {
    let hash = this.#seed;
    let p = start;
    for (; p + 4 <= end; p += 4) {
      const word = bytes[p]! | (bytes[p + 1]! << 8) | (bytes[p + 2]! << 16) | (bytes[p + 3]! << 24);
      hash = Math.imul(hash ^ word, 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    for (; p < end; p++) hash = Math.imul(hash ^ bytes[p]!, 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 16), 0xc2b2ae35);
    return hash ^ (hash >>> 13);
  }
}
