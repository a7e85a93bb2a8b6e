import type { ParsedColumns } from "./columns.ts";
import { EntryParser, type TextFormat } from "./entry-parser.ts";
import { EXACT_INTEGER_MAX, EXACT_POWERS, parseFloatBytes, writeNormalNaN } from "./float-bytes.ts";
import {
  LABEL_PART,
  LABEL_START,
  METRIC_PART,
  METRIC_START,
  NAME_CLASS,
  VALUE_PART,
} from "./lexer.ts";

/** Labels of one line that are compared with those of the line before. */
const SLOTS_MAX = 32;

/**
 * Exposition text to columns, on bytes.
 *
 * The trick: one flat loop reads lines of the ordinary shape `name{label="value",…} 123.4` without tokens, strings or
 * objects. It never fails: at the first byte out of the ordinary it goes back to the start of that line and lets the
 * exact EntryParser read it, which accepts the rest of the grammar or has the error. A name or label that begins as the
 * one in its place in the line before is compared with it, four bytes at a time, instead of being looked at byte by byte:
 * what was plain text there is plain text here. The loop needs no bounds checks
 * because a newline stands behind the body and no inner loop passes a newline.
 */
export class ExpositionParser {
  readonly #format: TextFormat;
  readonly #entries: EntryParser;
  #bytes: Uint8Array = new Uint8Array(1);
  #text: Buffer = Buffer.alloc(0);
  #length = 0;
  #position = 0;
  #view: DataView = new DataView(new ArrayBuffer(0));
  /** The name of the ordinary line read last. */
  #nameStart = 0;
  #nameEnd = 0;
  /** Of the last label read in each place: its start, its value's start, and the end of what is plain of the value. */
  #slots = 0;
  readonly #slotStart = new Int32Array(SLOTS_MAX);
  readonly #slotValue = new Int32Array(SLOTS_MAX);
  readonly #slotEnd = new Int32Array(SLOTS_MAX);

  constructor(format: TextFormat) {
    this.#format = format;
    this.#entries = new EntryParser(format);
  }

  /**
   * Starts on `body`, whose first `length` bytes are the exposition. `body` must be longer than that: the byte after
   * the exposition is overwritten with a newline. It stays the caller's and must not change until parsing ends.
   */
  reset(body: Uint8Array, length: number): void {
    if (body.length <= length)
      throw new RangeError("BUG: the body needs one byte of room at its end");
    body[length] = 10;
    this.#bytes = body;
    this.#text = Buffer.from(body.buffer, body.byteOffset, body.length);
    this.#length = length;
    this.#position = 0;
    this.#view = new DataView(body.buffer, body.byteOffset, body.length);
    this.#nameStart = 0;
    this.#nameEnd = 0;
    this.#slots = 0;
    this.#entries.reset(body, this.#text, length);
  }

  /** Where the next entry starts. */
  get position(): number {
    return this.#position;
  }

  /** The body as a Buffer over the same memory, for taking text out of it. */
  get text(): Buffer {
    return this.#text;
  }

  /** What the last TYPE line said: an index into METRIC_KINDS. */
  get kind(): number {
    return this.#entries.kind;
  }

  /** Goes on at `position`, the start of a line, as if a TYPE line of `kind` stood last before it. */
  seek(position: number, kind: number): void {
    this.#position = position;
    this.#entries.kind = kind;
  }

  /**
   * Appends up to `limit` more samples to `into`, with the metadata and exemplars on the way; false when the body
   * ended. Throws `bad-data` with Prometheus's text and the line number; `into` then holds what came before.
   */
  parse(into: ParsedColumns, limit = Infinity): boolean {
    const target = Math.min(into.count + limit, 2 ** 31);
    for (;;) {
      this.#parseOrdinary(into, target);
      if (into.count >= target) return true;
      const entry = this.#entries.next(this.#position, into);
      this.#position = this.#entries.position;
      if (entry === "end") return false;
    }
  }

  /** Fast path: reads ordinary samples until `target` are there, or a line is something else. */
  #parseOrdinary(into: ParsedColumns, target: number): void {
    const b = this.#bytes;
    const length = this.#length;
    const kind = this.#entries.kind;
    const isText = this.#format === "text";
    const classes = NAME_CLASS;
    const powers = EXACT_POWERS;
    let { seriesStart, seriesEnd, lineEnd, values, hasTimestamp, timestamps, kinds } = into;
    let n = into.count;
    let line = this.#position;
    const view = this.#view;
    const lastWord = b.length - 4;
    const slotStart = this.#slotStart;
    const slotValue = this.#slotValue;
    const slotEnd = this.#slotEnd;
    let slots = this.#slots;
    let nameStart = this.#nameStart;
    let nameEnd = this.#nameEnd;
    // One read beyond the newline at the end would make every read of the loop slow for good.
    while (n < target && line <= length) {
      let p = line;
      let c = b[p]!;
      if ((classes[c]! & METRIC_START) === 0) break;
      // The name of the line before, as far as it goes, is a name here too.
      let q = nameStart;
      let word = 0;
      while (q + 4 <= nameEnd && p <= lastWord) {
        word = view.getInt32(p, true) ^ view.getInt32(q, true);
        if (word !== 0) break;
        p += 4;
        q += 4;
      }
      if (p === line) c = b[++p]!;
      else c = b[p]!;
      while ((classes[c]! & METRIC_PART) !== 0) c = b[++p]!;
      nameStart = line;
      nameEnd = p;
      if (c === 123) {
        c = b[++p]!;
        let slot = 0;
        while ((classes[c]! & LABEL_START) !== 0) {
          const start = p;
          let inside = false;
          let valueFrom = 0;
          if (slot < slots) {
            q = slotStart[slot]!;
            const known = slotEnd[slot]!;
            word = 0;
            while (q + 4 <= known && p <= lastWord) {
              word = view.getInt32(p, true) ^ view.getInt32(q, true);
              if (word !== 0) break;
              p += 4;
              q += 4;
            }
            if (word !== 0) {
              const same = (31 - Math.clz32(word & -word)) >> 3;
              p += same;
              q += same;
            }
            inside = q >= slotValue[slot]!;
          }
          if (inside) {
            valueFrom = start + slotValue[slot]! - slotStart[slot]!;
            c = b[p]!;
          } else {
            p = start;
            do c = b[++p]!;
            while ((classes[c]! & LABEL_PART) !== 0);
            if (c !== 61 || b[++p] !== 34) {
              c = 0;
              break;
            }
            c = b[++p]!;
            valueFrom = p;
          }
          let plainEnd = 0;
          for (;;) {
            // Text that needs its UTF-8 checked, and raw newlines, are not ordinary.
            while ((classes[c]! & VALUE_PART) !== 0) c = b[++p]!;
            if (c !== 92 || b[p + 1] === 10) break;
            if (plainEnd === 0) plainEnd = p;
            p += 2;
            c = b[p]!;
          }
          if (c !== 34) break;
          if (slot < SLOTS_MAX) {
            slotStart[slot] = start;
            slotValue[slot] = valueFrom;
            // Only up to the first escape: what is the same may end inside of one.
            slotEnd[slot] = plainEnd === 0 ? p : plainEnd;
            if (slot === slots) slots++;
          }
          slot++;
          c = b[++p]!;
          if (c !== 44) break;
          c = b[++p]!;
        }
        if (c !== 125) break;
        c = b[++p]!;
      }
      const end = p;
      if (c !== 32) break;
      c = b[++p]!;
      const valueStart = p;
      const negative = c === 45;
      if (negative) c = b[++p]!;
      const firstDigit = p;
      let mantissa = 0;
      let scale = 0;
      while (c >= 48 && c <= 57) {
        mantissa = mantissa * 10 + (c - 48);
        c = b[++p]!;
      }
      let digits = p - firstDigit;
      if (c === 46) {
        const point = p;
        c = b[++p]!;
        while (c >= 48 && c <= 57) {
          mantissa = mantissa * 10 + (c - 48);
          c = b[++p]!;
        }
        scale = p - point - 1;
        digits += scale;
      }
      let value = 0;
      if ((c === 10 || c === 32) && digits > 0 && mantissa <= EXACT_INTEGER_MAX && scale <= 22) {
        value = scale === 0 ? mantissa : mantissa / powers[scale]!;
        if (negative) value = -value;
      } else {
        while (c > 32 && c !== 123) c = b[++p]!;
        const slow = parseFloatBytes(b, this.#text, { start: valueStart, end: p });
        if (slow === undefined) break;
        value = slow;
      }
      let timestamp = 0;
      let stamped = 0;
      if (c === 32 && isText) {
        c = b[++p]!;
        const first = p;
        while (c >= 48 && c <= 57) {
          timestamp = timestamp * 10 + (c - 48);
          c = b[++p]!;
        }
        if (p === first || p - first > 15) break;
        stamped = 1;
      }
      // The newline behind an OpenMetrics body is not its own.
      if (c !== 10 || (p === length && !isText)) break;
      if (n === values.length) {
        into.count = n;
        into.reserve(n + 1);
        ({ seriesStart, seriesEnd, lineEnd, values, hasTimestamp, timestamps, kinds } = into);
      }
      seriesStart[n] = line;
      seriesEnd[n] = end;
      values[n] = value;
      if (value !== value) writeNormalNaN(values, n);
      hasTimestamp[n] = stamped;
      timestamps[n] = timestamp;
      kinds[n] = kind;
      line = p + 1;
      lineEnd[n] = line;
      n++;
    }
    into.count = n;
    this.#position = line;
    this.#slots = slots;
    this.#nameStart = nameStart;
    this.#nameEnd = nameEnd;
  }
}

/** Parses a whole body into `into`, which is cleared first. See `ExpositionParser` for the terms. */
export function parseText(
  body: Uint8Array,
  length: number,
  into: ParsedColumns,
  format: TextFormat = "text",
): void {
  into.clear();
  const parser = new ExpositionParser(format);
  parser.reset(body, length);
  parser.parse(into);
}
