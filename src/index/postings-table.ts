import { compareText } from "../base/text.ts";
import { ByteCursor, decodeText } from "./byte-cursor.ts";
import type { ByteSource } from "./byte-source.ts";
import { readSection } from "./section.ts";

/** Every so many entries of a label name one is kept in memory, as Prometheus does. */
const SAMPLE_EVERY = 32;
/** Values of a name are read in pieces of about this size. */
const SCAN_BYTES = 1024 * 1024;

/** The sampled entries of one label name, in order. */
interface NameEntries {
  readonly values: string[];
  /** Where each sampled entry starts in the file. */
  readonly entries: number[];
  /** Where the entries of this name end. */
  end: number;
  count: number;
  /** Version 1 has no order, so all of it is kept: the list's offset of each value. */
  lists?: number[];
}

/**
 * Where the postings of each label pair are. The table in the file can be as large as all label values together; in
 * memory is every 32nd entry, and what lies between two is read when it is asked for.
 */
export class PostingsTable {
  readonly #source: ByteSource;
  readonly #names = new Map<string, NameEntries>();
  readonly #sorted: readonly string[];
  /** Offset of the list of all series; undefined in an index without it. */
  readonly all: number | undefined;
  /** How many label pairs there are. */
  readonly pairCount: number = 0;

  private constructor(
    source: ByteSource,
    section: { bytes: Uint8Array; start: number },
    version: number,
  ) {
    this.#source = source;
    const { bytes, start } = section;
    const cursor = new ByteCursor(bytes, `postings offset table of ${source.name}`);
    const count = cursor.u32();
    let nameStart = 0;
    let nameEnd = -1;
    let current: NameEntries | undefined;
    const run = { at: 0, count: 0 };
    for (let i = 0; i < count; i++) {
      const sinceSample = current === undefined ? 0 : current.count % SAMPLE_EVERY;
      if (current !== undefined && version !== 1 && sinceSample !== 0) {
        // Fast path: all but a few entries have the name of the one before, and a short value.
        run.at = cursor.at;
        run.count = Math.min(SAMPLE_EVERY - sinceSample, count - i);
        passEntries(bytes, run, nameStart, nameEnd);
        cursor.at = run.at;
        this.pairCount += run.count;
        current.count += run.count;
        i += run.count;
        if (i === count) break;
      }
      const { at } = cursor;
      if (cursor.uvarint() !== 2) throw cursor.corrupt(`entry ${i} has not two keys`);
      const nameLength = cursor.uvarint();
      const from = cursor.at;
      cursor.skip(nameLength);
      const to = cursor.at;
      const valueLength = cursor.uvarint();
      const valueFrom = cursor.at;
      cursor.skip(valueLength);
      const valueTo = cursor.at;
      const list = cursor.uvarint();
      if (nameLength === 0) {
        if (valueLength === 0) this.all = list;
        continue;
      }
      this.pairCount++;
      if (!sameBytes(bytes, { from, to, nameStart, nameEnd }) || current === undefined) {
        if (current !== undefined) this.#finish(current, cursor, start + at);
        nameStart = from;
        nameEnd = to;
        const name = decodeText(bytes, from, to);
        current = this.#names.get(name) ?? { values: [], entries: [], end: 0, count: 0 };
        if (version !== 1 && current.count > 0) throw cursor.corrupt("its names are not in order");
        if (version === 1) current.lists ??= [];
        this.#names.set(name, current);
      }
      if (current.lists !== undefined || current.count % SAMPLE_EVERY === 0) {
        current.values.push(decodeText(bytes, valueFrom, valueTo));
        current.entries.push(start + at);
        current.lists?.push(list);
      }
      current.count++;
    }
    if (current !== undefined) this.#finish(current, cursor, start + cursor.at);
    if (version === 1) for (const entries of this.#names.values()) sortEntries(entries);
    this.#sorted = [...this.#names.keys()].sort(compareText);
  }

  static async read(source: ByteSource, offset: number, version: number): Promise<PostingsTable> {
    const section = await readSection(source, offset, "postings offset table");
    return new PostingsTable(source, section, version);
  }

  /** All label names in byte order. */
  names(): readonly string[] {
    return this.#sorted;
  }

  /** How many values `name` has. */
  valueCount(name: string): number {
    return this.#names.get(name)?.count ?? 0;
  }

  /** The offset of the list of (`name`, `value`), or undefined. */
  async find(name: string, value: string): Promise<number | undefined> {
    const known = this.#names.get(name);
    if (known === undefined) return undefined;
    let low = 0;
    let high = known.values.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareText(known.values[middle]!, value) <= 0) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return undefined;
    if (known.lists !== undefined)
      return known.values[low - 1] === value ? known.lists[low - 1] : undefined;
    let found: number | undefined;
    await this.#scan(known, { from: low - 1, to: low }, (text, list) => {
      if (text === value) found = list;
    });
    return found;
  }

  /** Calls `visit` with every value of `name`, in order, and the offset of its list. */
  async forEachValue(name: string, visit: (value: string, list: number) => void): Promise<void> {
    const known = this.#names.get(name);
    if (known === undefined) return;
    const { entries, lists, values } = known;
    if (lists !== undefined) {
      for (let i = 0; i < values.length; i++) visit(values[i]!, lists[i]!);
      return;
    }
    for (let from = 0; from < entries.length;) {
      let to = from + 1;
      while (to < entries.length && entries[to]! - entries[from]! < SCAN_BYTES) to++;
      await this.#scan(known, { from, to }, visit);
      from = to;
    }
  }

  /** Reads the entries between the samples `from` (inclusive) and `to` (exclusive). */
  async #scan(
    known: NameEntries,
    range: { from: number; to: number },
    visit: (value: string, list: number) => void,
  ): Promise<void> {
    const start = known.entries[range.from]!;
    const end = known.entries[range.to] ?? known.end;
    const bytes = await this.#source.read(start, end - start);
    const cursor = new ByteCursor(bytes, `postings offset table of ${this.#source.name}`);
    while (cursor.at < bytes.length) {
      cursor.uvarint();
      cursor.skip(cursor.uvarint());
      const value = cursor.text();
      visit(value, cursor.uvarint());
    }
  }

  #finish(entries: NameEntries, cursor: ByteCursor, end: number): void {
    if (entries.count === 0) throw cursor.corrupt("a name has no values");
    entries.end = end;
  }
}

/** Passes the entries at `run.at`, `run.count` at most, that have the same name and a value below 128 bytes. */
function passEntries(
  bytes: Uint8Array,
  run: { at: number; count: number },
  nameStart: number,
  nameEnd: number,
): void {
  const nameLength = nameEnd - nameStart;
  const { length } = bytes;
  let { at } = run;
  let count = 0;
  for (; count < run.count && nameLength < 128; count++) {
    if (bytes[at] !== 2 || bytes[at + 1] !== nameLength) break;
    let i = at + 2;
    let j = nameStart;
    for (; j < nameEnd && bytes[i] === bytes[j]; i++) j++;
    if (j < nameEnd || i >= length || bytes[i]! > 127) break;
    i += bytes[i]! + 1;
    const last = i + 8;
    while (i < last && i < length && bytes[i]! > 127) i++;
    if (i >= last || i >= length) break;
    at = i + 1;
  }
  run.at = at;
  run.count = count;
}

function sameBytes(
  bytes: Uint8Array,
  range: { from: number; to: number; nameStart: number; nameEnd: number },
): boolean {
  const { from, to, nameStart, nameEnd } = range;
  if (to - from !== nameEnd - nameStart) return false;
  for (let i = from, j = nameStart; i < to; i++, j++) if (bytes[i] !== bytes[j]) return false;
  return true;
}

function sortEntries(entries: NameEntries): void {
  const { values, lists } = entries;
  const pairs = values.map((value, i) => ({ value, list: lists![i]! }));
  pairs.sort((a, b) => compareText(a.value, b.value));
  for (const [i, { value, list }] of pairs.entries()) {
    values[i] = value;
    lists![i] = list;
  }
}
