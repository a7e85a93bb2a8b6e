import {
  CHUNK_SPAN,
  CHUNK_START,
  CHUNK_WORDS,
  DELTA,
  FIRST_BLOCK,
  LAST_TIME,
  LAST_VALUE,
  META,
  PENDING,
  type SeriesPage,
  WRITE_AT,
} from "./series-table.ts";

/**
 * The chunk each series is writing: XOR bits (docs/format/chunks.md, all but the sample count in front) in a chain of
 * 64-byte blocks, 15 words of data and the next block's address. The state of the bit writer is in the series' line;
 * words are in host order here and become bytes when the chunk is copied out.
 */
const BLOCK_WORDS = 16;
const NEXT = BLOCK_WORDS - 1;
const SLAB_SHIFT = 18;
const SLAB_WORDS = 1 << SLAB_SHIFT;
const SLAB_MASK = SLAB_WORDS - 1;
/** "No window yet": no leading-zero count is that high. */
const NO_WINDOW = 63;
const TWO_32 = 4294967296;
/** Blocks are addressed by 32-bit word numbers; the first block is not used, so that 0 means none. */
const ADDRESS_LIMIT = TWO_32 - SLAB_WORDS;

export class OpenChunks {
  readonly #slabs: Int32Array[] = [];
  #used = BLOCK_WORDS;
  #free = 0;
  #blockCount = 0;

  /** How many bytes the blocks in use take. */
  get size(): number {
    return this.#blockCount * BLOCK_WORDS * 4;
  }

  /** Opens a chunk whose first sample is (`t`, `low`, `high`) and which should end before `t + spanMs`. */
  start(page: SeriesPage, base: number, sample: { t: number; low: number; high: number }): void {
    const { words, floats } = page;
    const { t, low, high } = sample;
    const block = this.#acquire();
    words[base + FIRST_BLOCK] = block;
    words[base + WRITE_AT] = block;
    words[base + PENDING] = 0;
    words[base + META] = (NO_WINDOW << 5) | (1 << 17);
    words[base + CHUNK_WORDS] = 0;
    words[base + DELTA] = 0;
    words[base + LAST_VALUE] = low;
    words[base + LAST_VALUE + 1] = high;
    floats[(base >> 1) + CHUNK_START] = t;
    floats[(base >> 1) + (LAST_TIME >> 1)] = t;
    this.#pushVarint(words, base, t >= 0 ? t * 2 : -t * 2 - 1);
    this.#push(words, base, high, 32);
    this.#push(words, base, low, 32);
  }

  /**
   * Adds a sample later than the last one to the open chunk. The trick: the codes of time and value are joined into as
   * few pieces as fit 32 bits, and the bit writer's state is loaded and stored once.
   */
  append(page: SeriesPage, base: number, t: number, low: number, high: number): void {
    const { words, floats } = page;
    const timeAt = (base >> 1) + (LAST_TIME >> 1);
    const delta = t - floats[timeAt]!;
    floats[timeAt] = t;
    let code = 0;
    let length = 0;
    if (words[base + META]! >>> 17 === 1) this.#pushVarint(words, base, delta);
    else {
      const change = delta - words[base + DELTA]!;
      if (change === 0) length = 1;
      else if (change >= -8191 && change <= 8192) {
        code = 0x8000 | (change & 0x3fff);
        length = 16;
      } else if (change >= -65535 && change <= 65536) {
        code = 0xc0000 | (change & 0x1ffff);
        length = 20;
      } else if (change >= -524287 && change <= 524288) {
        code = 0xe00000 | (change & 0xfffff);
        length = 24;
      } else {
        this.#push(words, base, 15, 4);
        this.#push(words, base, Math.floor(change / TWO_32), 32);
        this.#push(words, base, change | 0, 32);
      }
    }
    words[base + DELTA] = delta;
    const xorLow = low ^ words[base + LAST_VALUE]!;
    const xorHigh = high ^ words[base + LAST_VALUE + 1]!;
    const meta = words[base + META]! + (1 << 17);
    let pendingCount = meta & 31;
    if ((xorLow | xorHigh) === 0) {
      // Fast path: one zero bit more. `length` is at most 24.
      const total = pendingCount + length + 1;
      if (total < 32) {
        if (code !== 0) words[base + PENDING] = words[base + PENDING]! | (code << (33 - total));
        words[base + META] = meta + length + 1;
      } else {
        words[base + META] = meta;
        this.#push(words, base, code << 1, length + 1);
      }
      return;
    }
    words[base + LAST_VALUE] = low;
    words[base + LAST_VALUE + 1] = high;
    const before = xorHigh !== 0 ? Math.clz32(xorHigh) : 31;
    const after =
      xorLow !== 0 ? 31 - Math.clz32(xorLow & -xorLow) : 63 - Math.clz32(xorHigh & -xorHigh);
    let leading = (meta >>> 5) & 63;
    let trailing = (meta >>> 11) & 63;
    let pending = words[base + PENDING]!;
    if (leading !== NO_WINDOW && before >= leading && after >= trailing) {
      code = (code << 2) | 2;
      length += 2;
    } else {
      leading = before;
      trailing = after;
      if (length > 16) {
        const total = pendingCount + length;
        if (total < 32) {
          pending |= code << (32 - total);
          pendingCount = total;
        } else {
          pendingCount = total - 32;
          this.#putWord(words, base, pending | (code >>> pendingCount));
          pending = pendingCount === 0 ? 0 : code << (32 - pendingCount);
        }
        code = 0;
        length = 0;
      }
      code = (code << 13) | (3 << 11) | (leading << 6) | ((64 - leading - trailing) & 63);
      length += 13;
    }
    let total = pendingCount + length;
    if (total < 32) {
      pending |= code << (32 - total);
      pendingCount = total;
    } else {
      pendingCount = total - 32;
      this.#putWord(words, base, pending | (code >>> pendingCount));
      pending = pendingCount === 0 ? 0 : code << (32 - pendingCount);
    }
    // The significant bits, left-aligned over two words; what is right of them is zero.
    const significant = 64 - leading - trailing;
    const top = leading === 0 ? xorHigh : (xorHigh << leading) | (xorLow >>> (32 - leading));
    const bottom = leading === 0 ? xorLow : xorLow << leading;
    pending |= pendingCount === 0 ? top : top >>> pendingCount;
    total = pendingCount + significant;
    if (total < 32) pendingCount = total;
    else {
      this.#putWord(words, base, pending);
      pending =
        pendingCount === 0 ? bottom : (top << (32 - pendingCount)) | (bottom >>> pendingCount);
      if (total < 64) pendingCount = total - 32;
      else {
        this.#putWord(words, base, pending);
        pending = pendingCount === 0 ? 0 : bottom << (32 - pendingCount);
        pendingCount = total - 64;
      }
    }
    words[base + PENDING] = pending;
    words[base + META] = (meta & ~0x1ffff) | pendingCount | (leading << 5) | (trailing << 11);
  }

  /** How many samples the open chunk has; 0 when there is none. */
  sampleCount(page: SeriesPage, base: number): number {
    return page.words[base + FIRST_BLOCK] === 0 ? 0 : page.words[base + META]! >>> 17;
  }

  /** How many bytes the open chunk takes when copied out. */
  encodedSize(page: SeriesPage, base: number): number {
    const { words } = page;
    return 2 + words[base + CHUNK_WORDS]! * 4 + (((words[base + META]! & 31) + 7) >>> 3);
  }

  /** Writes the open chunk's bytes, `encodedSize` of them, at `offset` of `out`; the chunk stays open. */
  copyTo(page: SeriesPage, base: number, out: Uint8Array, offset: number): void {
    const { words } = page;
    const count = words[base + META]! >>> 17;
    let at = offset;
    out[at++] = count >>> 8;
    out[at++] = count & 255;
    let rest = words[base + CHUNK_WORDS]!;
    let block = words[base + FIRST_BLOCK]! >>> 0;
    while (rest > 0) {
      const slab = this.#slabs[block >>> SLAB_SHIFT]!;
      const start = block & SLAB_MASK;
      const end = start + (rest < NEXT ? rest : NEXT);
      for (let i = start; i < end; i++) {
        const word = slab[i]!;
        out[at] = word >>> 24;
        out[at + 1] = word >>> 16;
        out[at + 2] = word >>> 8;
        out[at + 3] = word;
        at += 4;
      }
      rest -= end - start;
      block = slab[start + NEXT]! >>> 0;
    }
    const pending = words[base + PENDING]!;
    for (let bits = words[base + META]! & 31, shift = 24; bits > 0; bits -= 8, shift -= 8)
      out[at++] = pending >>> shift;
  }

  /** Gives back the blocks of the open chunk; the series has none afterwards. */
  release(page: SeriesPage, base: number): void {
    const { words } = page;
    const first = words[base + FIRST_BLOCK]! >>> 0;
    if (first === 0) return;
    const last = ((words[base + WRITE_AT]! >>> 0) & ~(BLOCK_WORDS - 1)) >>> 0;
    this.#slabs[last >>> SLAB_SHIFT]![(last & SLAB_MASK) + NEXT] = this.#free;
    this.#free = first;
    // A block is acquired when its first word is needed, or at the start.
    this.#blockCount -= Math.max(1, Math.ceil(words[base + CHUNK_WORDS]! / NEXT));
    words[base + FIRST_BLOCK] = 0;
    words[base + CHUNK_WORDS] = 0;
    words[base + CHUNK_SPAN] = 0;
    words[base + META] = 0;
  }

  /** Appends the low `length` (1–32) bits of `bits`. */
  #push(words: Int32Array, base: number, bits: number, length: number): void {
    const meta = words[base + META]!;
    const pendingCount = meta & 31;
    const total = pendingCount + length;
    const low = length === 32 ? bits : bits & ((1 << length) - 1);
    if (total < 32) {
      words[base + PENDING] = words[base + PENDING]! | (low << (32 - total));
      words[base + META] = meta + length;
      return;
    }
    const rest = total - 32;
    this.#putWord(words, base, words[base + PENDING]! | (rest === 0 ? low : low >>> rest));
    words[base + PENDING] = rest === 0 ? 0 : low << (32 - rest);
    words[base + META] = (meta & ~31) | rest;
  }

  #pushVarint(words: Int32Array, base: number, value: number): void {
    let rest = value;
    while (rest >= 128) {
      this.#push(words, base, (rest % 128) | 128, 8);
      rest = Math.floor(rest / 128);
    }
    this.#push(words, base, rest, 8);
  }

  #putWord(words: Int32Array, base: number, word: number): void {
    let at = words[base + WRITE_AT]! >>> 0;
    let slab = this.#slabs[at >>> SLAB_SHIFT]!;
    if ((at & NEXT) === NEXT) {
      const next = this.#acquire();
      slab[at & SLAB_MASK] = next;
      at = next;
      slab = this.#slabs[at >>> SLAB_SHIFT]!;
    }
    slab[at & SLAB_MASK] = word;
    words[base + WRITE_AT] = at + 1;
    words[base + CHUNK_WORDS] = words[base + CHUNK_WORDS]! + 1;
  }

  #acquire(): number {
    this.#blockCount++;
    const free = this.#free;
    if (free !== 0) {
      this.#free = this.#slabs[free >>> SLAB_SHIFT]![(free & SLAB_MASK) + NEXT]! >>> 0;
      return free;
    }
    const block = this.#used;
    this.#used += BLOCK_WORDS;
    if (block >>> SLAB_SHIFT >= this.#slabs.length) this.#slabs.push(new Int32Array(SLAB_WORDS));
    if (block > ADDRESS_LIMIT) throw new RangeError("the open chunks of a head exceed 16 GiB");
    return block;
  }
}
