import { compareText } from "../base/text.ts";
import type { ByteChoice } from "../model/matcher.ts";
import { ByteCursor } from "./byte-cursor.ts";
import type { ByteSource } from "./byte-source.ts";
import { readSection } from "./section.ts";

const ENCODER = new TextEncoder();

/** The postings offset table of an index of version 1, whose entries have no order, so that all of them are kept. */
export class PostingsTableV1 {
  readonly #lists = new Map<string, Map<string, number>>();
  readonly #sorted: readonly string[];
  readonly all: number | undefined;
  readonly pairCount: number = 0;

  private constructor(name: string, bytes: Uint8Array) {
    const cursor = new ByteCursor(bytes, `postings offset table of ${name}`);
    const total = cursor.u32();
    for (let i = 0; i < total; i++) {
      if (cursor.uvarint() !== 2) throw cursor.corrupt(`entry ${i} has not two keys`);
      const label = cursor.text();
      const value = cursor.text();
      const list = cursor.uvarint();
      if (label === "") {
        if (value === "") this.all = list;
        continue;
      }
      this.pairCount++;
      let values = this.#lists.get(label);
      if (values === undefined) this.#lists.set(label, (values = new Map()));
      values.set(value, list);
    }
    for (const [label, values] of this.#lists)
      this.#lists.set(label, new Map([...values].sort(([a], [b]) => compareText(a, b))));
    this.#sorted = [...this.#lists.keys()].sort(compareText);
  }

  static async read(
    source: ByteSource,
    place: { offset: number; end: number },
  ): Promise<PostingsTableV1> {
    const { bytes } = await readSection(source, { what: "postings offset table", ...place });
    return new PostingsTableV1(source.name, bytes);
  }

  names(): readonly string[] {
    return this.#sorted;
  }

  valueCount(name: string): number {
    return this.#lists.get(name)?.size ?? 0;
  }

  async find(name: string, value: string): Promise<number | undefined> {
    return this.#lists.get(name)?.get(value);
  }

  async forEachValue(name: string, visit: (value: string, list: number) => void): Promise<void> {
    for (const [value, list] of this.#lists.get(name) ?? []) visit(value, list);
  }

  async chosenLists(name: string, { automaton, isMatchWanted }: ByteChoice): Promise<number[]> {
    const lists: number[] = [];
    for (const [value, list] of this.#lists.get(name) ?? []) {
      const bytes = ENCODER.encode(value);
      if (automaton.matches(bytes, 0, bytes.length) === isMatchWanted) lists.push(list);
    }
    return lists;
  }
}
