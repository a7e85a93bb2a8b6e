import { compareText } from "../base/text.ts";
import type { ByteChoice } from "../model/matcher.ts";
import { ByteCursor, decodeText } from "./byte-cursor.ts";
import type { ByteSource } from "./byte-source.ts";
import { EntryWalk, SAMPLE_EVERY } from "./entry-walk.ts";
import { SampledPairs } from "./sampled-pairs.ts";
import { type Section, withSection } from "./section.ts";
import { withRead } from "./spare-memory.ts";
import { ValueScan } from "./value-scan.ts";

/** Values of a name are read in pieces of about this size. */
const SCAN_BYTES = 1024 * 1024;
const ENCODER = new TextEncoder();

/** The entries of one label name. */
interface NameEntries {
  /** Its samples: `from` inclusive, `to` exclusive. */
  readonly from: number;
  to: number;
  /** Where its entries end in the table. */
  end: number;
  count: number;
}

/** Samples: `from` inclusive, `to` exclusive. */
interface Range {
  readonly from: number;
  readonly to: number;
}

/**
 * Where the postings of each label pair are. The table in the file can be as large as all label values together; in
 * memory is every 32nd entry of a name, and what lies between two is read when it is asked for.
 */
export class PostingsTable {
  readonly #source: ByteSource;
  /** Where the table starts in the file. */
  readonly #start: number;
  readonly #names = new Map<string, NameEntries>();
  readonly #sorted: readonly string[];
  readonly #samples = new SampledPairs();
  /** Offset of the list of all series; undefined in an index without it. */
  readonly all: number | undefined;
  /** How many label pairs there are. */
  readonly pairCount: number = 0;

  private constructor(source: ByteSource, section: Section) {
    const { bytes, start } = section;
    this.#source = source;
    this.#start = start;
    const cursor = new ByteCursor(bytes, `postings offset table of ${source.name}`);
    const walk = new EntryWalk(bytes);
    const samples = this.#samples;
    const total = cursor.u32();
    let name: string | undefined;
    let current: NameEntries | undefined;
    for (let i = 0; i < total; i++) {
      const { at } = cursor;
      if (cursor.uvarint() !== 2) throw cursor.corrupt(`entry ${i} has not two keys`);
      const nameText = cursor.range();
      const value = cursor.range();
      const list = cursor.uvarint();
      if (nameText.start === nameText.end) {
        if (value.start === value.end) this.all = list;
        continue;
      }
      this.pairCount++;
      const found = decodeText(bytes, nameText.start, nameText.end);
      if (current === undefined || found !== name) {
        name = found;
        if (this.#names.has(name)) throw cursor.corrupt("its names are not in order");
        current = { from: samples.count, to: 0, end: 0, count: 0 };
        this.#names.set(name, current);
        walk.setName(nameText.start, nameText.end);
      }
      if (current.count % SAMPLE_EVERY === 0)
        samples.add(at, bytes.subarray(value.start, value.end));
      current.count++;
      // Fast path: nearly all entries have the name of the one before.
      const run = { limit: total - i - 1, before: current.count, samples };
      const passed = walk.pairs(cursor.at, run);
      cursor.at = walk.at;
      i += passed;
      this.pairCount += passed;
      current.count += passed;
      current.to = samples.count;
      current.end = cursor.at;
    }
    samples.trim();
    this.#sorted = [...this.#names.keys()].sort(compareText);
  }

  /** Reads the table in `source` from `offset` to `end`. */
  static read(source: ByteSource, place: { offset: number; end: number }): Promise<PostingsTable> {
    const what = "postings offset table";
    return withSection(source, { what, ...place }, (section) => new PostingsTable(source, section));
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
    const from = this.#samples.lastUpTo(ENCODER.encode(value), known);
    if (from < known.from) return undefined;
    let found: number | undefined;
    for (const range of this.#reads(known, { from, to: from + 1 }))
      await withRead(this.#source, range, (bytes) =>
        this.#visit(bytes, (text, list) => {
          if (text === value) found = list;
        }),
      );
    return found;
  }

  /** Calls `visit` with every value of `name`, in order, and the offset of its list. */
  async forEachValue(name: string, visit: (value: string, list: number) => void): Promise<void> {
    const known = this.#names.get(name);
    if (known === undefined) return;
    for (const range of this.#reads(known, known))
      await withRead(this.#source, range, (bytes) => this.#visit(bytes, visit));
  }

  /** The offsets of the lists of the values of `name` that `choice` takes. */
  async chosenLists(name: string, choice: ByteChoice): Promise<number[]> {
    const lists: number[] = [];
    const known = this.#names.get(name);
    if (known === undefined) return lists;
    const size = ENCODER.encode(name).length;
    const scan = new ValueScan(choice, 1 + (size < 128 ? 1 : 2) + size);
    for (const range of this.#reads(known, this.#near(known, choice)))
      await withRead(this.#source, range, (bytes) => {
        for (let at = 0; at < bytes.length;) {
          scan.next(bytes, at, lists);
          at = scan.at;
          if (at < bytes.length) at = this.#chooseOne(bytes, at, choice, lists);
        }
      });
    return lists;
  }

  /** The samples between which all values are that `choice` can take. */
  #near(known: NameEntries, { automaton, isMatchWanted }: ByteChoice): Range {
    const { prefix } = automaton;
    if (!isMatchWanted || prefix.length === 0) return known;
    const from = Math.max(known.from, this.#samples.lastUpTo(prefix, known));
    // No UTF-8 has this byte.
    const behind = Uint8Array.of(...prefix, 0xff);
    return { from, to: this.#samples.lastUpTo(behind, { from, to: known.to }) + 1 };
  }

  /** The places in the file of the entries from sample `from` on, up to sample `to` or the last one of the name. */
  *#reads(known: NameEntries, range: Range): Generator<{ start: number; end: number }> {
    const samples = this.#samples;
    for (let { from } = range; from < range.to;) {
      let to = from + 1;
      while (to < range.to && samples.start(to) - samples.start(from) < SCAN_BYTES) to++;
      const end = to < known.to ? samples.start(to) : known.end;
      yield { start: this.#start + samples.start(from), end: this.#start + end };
      from = to;
    }
  }

  #visit(bytes: Uint8Array, visit: (value: string, list: number) => void): void {
    const cursor = this.#cursor(bytes);
    while (cursor.at < bytes.length) {
      const { start, end } = valueOf(cursor);
      const list = cursor.uvarint();
      visit(decodeText(bytes, start, end), list);
    }
  }

  /** Reads the entry at `at` and adds its list to `lists` when it is chosen; where the next one is. */
  #chooseOne(bytes: Uint8Array, at: number, choice: ByteChoice, lists: number[]): number {
    const cursor = this.#cursor(bytes);
    cursor.at = at;
    const { start, end } = valueOf(cursor);
    const list = cursor.uvarint();
    if (choice.automaton.matches(bytes, start, end) === choice.isMatchWanted) lists.push(list);
    return cursor.at;
  }

  #cursor(bytes: Uint8Array): ByteCursor {
    return new ByteCursor(bytes, `postings offset table of ${this.#source.name}`);
  }
}

/** Where the value of the entry at the cursor is. */
function valueOf(cursor: ByteCursor): { start: number; end: number } {
  cursor.uvarint();
  cursor.skip(cursor.uvarint());
  return cursor.range();
}
