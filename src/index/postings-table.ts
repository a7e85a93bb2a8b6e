import { compareText } from "../base/text.ts";
import type { ByteCondition } from "../model/matcher.ts";
import { ByteCursor, decodeText } from "./byte-cursor.ts";
import type { ByteSource } from "./byte-source.ts";
import { EntryWalk, SAMPLE_EVERY } from "./entry-walk.ts";
import { SampledPairs } from "./sampled-pairs.ts";
import { type Section, withSection } from "./section.ts";

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
    const only = (text: string, list: number): void => {
      if (text === value) found = list;
    };
    await this.#scan(known, { from, to: from + 1 }, only, () => true);
    return found;
  }

  /** Calls `visit` with every value of `name` that fits `condition`, in order, and the offset of its list. */
  async forEachValue(
    name: string,
    visit: (value: string, list: number) => void,
    condition: ByteCondition = () => true,
  ): Promise<void> {
    const known = this.#names.get(name);
    if (known === undefined) return;
    const samples = this.#samples;
    for (let { from } = known; from < known.to;) {
      let to = from + 1;
      while (to < known.to && samples.start(to) - samples.start(from) < SCAN_BYTES) to++;
      await this.#scan(known, { from, to }, visit, condition);
      from = to;
    }
  }

  /** Reads the entries from sample `from` on, up to sample `to` or the last one of the name. */
  async #scan(
    known: NameEntries,
    range: { from: number; to: number },
    visit: (value: string, list: number) => void,
    condition: ByteCondition,
  ): Promise<void> {
    const start = this.#samples.start(range.from);
    const end = range.to < known.to ? this.#samples.start(range.to) : known.end;
    const bytes = await this.#source.read(this.#start + start, end - start);
    const cursor = new ByteCursor(bytes, `postings offset table of ${this.#source.name}`);
    while (cursor.at < bytes.length) {
      cursor.uvarint();
      cursor.skip(cursor.uvarint());
      const size = cursor.uvarint();
      const from = cursor.at;
      cursor.skip(size);
      const list = cursor.uvarint();
      if (condition(bytes, from, from + size)) visit(decodeText(bytes, from, from + size), list);
    }
  }
}
