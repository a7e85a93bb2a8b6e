import { mapKey } from "../base/map-key.ts";
import { compareText, quote } from "../base/text.ts";
import {
  comparePacked,
  comparePackedRests,
  packedBeginsWith,
  type PackedLabels,
  unpackLabels,
  valueOf,
} from "./packed-labels.ts";

export const METRIC_NAME = "__name__";

const LEGACY_NAME = /^[a-zA-Z_][a-zA-Z0-9_]*$/;

/** Labels of several series in a form of their own, those of each at its places. */
export interface LabelSource {
  /** The value of `name`, or "" when absent. */
  get(name: string, from: number, to: number): string;
  /** All names and values: name, value, name, value, … */
  texts(from: number, to: number): string[];
  /** As bytes; undefined when they are not ASCII. */
  pack(from: number, to: number): PackedLabels | undefined;
}

/**
 * The identity of a series or target: label names and values, sorted by name in UTF-8 byte order, immutable, without
 * empty values (in Prometheus an empty label is an absent one). Pairs are kept flat: name, value, name, value, …; those of
 * series that were just read are bytes until more than one value of them is asked for.
 */
export class Labels {
  static readonly EMPTY = new Labels([], undefined);

  /** Not there while the labels are packed. */
  #flat: readonly string[] | undefined;
  #packed: PackedLabels | undefined;
  /** Where they are while they are neither texts nor packed. */
  #source: LabelSource | undefined;
  #from = 0;
  #to = 0;
  #key: string | undefined;

  private constructor(flat: readonly string[] | undefined, packed: PackedLabels | undefined) {
    this.#flat = flat;
    this.#packed = packed;
  }

  /** From pairs in any order; empty values are left out; of a repeated name the last value wins. */
  static fromPairs(pairs: Iterable<readonly [string, string]>): Labels {
    const byName = new Map(pairs);
    const flat: string[] = [];
    for (const name of [...byName.keys()].sort(compareText)) {
      const value = byName.get(name)!;
      if (value !== "") flat.push(name, value);
    }
    return flat.length === 0 ? Labels.EMPTY : new Labels(flat, undefined);
  }

  static fromObject(object: Readonly<Record<string, string>>): Labels {
    return Labels.fromPairs(Object.entries(object));
  }

  /** Takes over `flat` (name, value, …), which the caller vouches to be sorted, unique and without empty values. */
  static fromSorted(flat: readonly string[]): Labels {
    return flat.length === 0 ? Labels.EMPTY : new Labels(flat, undefined);
  }

  /** Takes over `packed`, whose labels the caller vouches to be sorted, unique and without empty values. */
  static fromPacked(packed: PackedLabels): Labels {
    return packed.from === packed.to ? Labels.EMPTY : new Labels(undefined, packed);
  }

  /** Those at `from` (inclusive) to `to` (exclusive) of `source`, which the caller vouches to be sorted, unique and not empty. */
  static fromSource(source: LabelSource, from: number, to: number): Labels {
    if (from === to) return Labels.EMPTY;
    const labels = new Labels(undefined, undefined);
    labels.#source = source;
    labels.#from = from;
    labels.#to = to;
    return labels;
  }

  /** Their bytes, unless they are texts. */
  get packed(): PackedLabels | undefined {
    if (this.#source === undefined) return this.#packed;
    this.#packed = this.#source.pack(this.#from, this.#to);
    if (this.#packed === undefined) this.#flat = this.#source.texts(this.#from, this.#to);
    this.#source = undefined;
    return this.#packed;
  }

  /** How many labels there are. */
  get count(): number {
    return (this.#flat ?? this.#unpack()).length / 2;
  }

  /** The name of the label at `index` (0-based, in sorted order). */
  nameAt(index: number): string {
    return (this.#flat ?? this.#unpack())[2 * index]!;
  }

  valueAt(index: number): string {
    return (this.#flat ?? this.#unpack())[2 * index + 1]!;
  }

  /** The value of `name`, or "" when absent. */
  get(name: string): string {
    if (this.#source !== undefined) return this.#source.get(name, this.#from, this.#to);
    if (this.#packed !== undefined) return valueOf(this.#packed, name);
    const flat = this.#flat ?? this.#unpack();
    for (let i = 0; i < flat.length; i += 2) if (flat[i] === name) return flat[i + 1]!;
    return "";
  }

  has(name: string): boolean {
    return this.get(name) !== "";
  }

  /** Whether the first label is `name` and has this value. */
  beginsWith(name: string, value: string): boolean {
    const { packed } = this;
    if (packed !== undefined) return packedBeginsWith(packed, name, value);
    return this.count > 0 && this.nameAt(0) === name && this.valueAt(0) === value;
  }

  *[Symbol.iterator](): Iterator<[string, string]> {
    const flat = this.#flat ?? this.#unpack();
    for (let i = 0; i < flat.length; i += 2) yield [flat[i]!, flat[i + 1]!];
  }

  /** A copy with `name` set to `value`; an empty value removes it. */
  with(name: string, value: string): Labels {
    return Labels.fromPairs([...this, [name, value]]);
  }

  /** A copy without the labels in `names`. */
  without(names: Iterable<string>): Labels {
    const gone = names instanceof Set ? (names as ReadonlySet<string>) : new Set(names);
    return this.#filter((name) => !gone.has(name));
  }

  /** A copy with only the labels in `names`. */
  only(names: Iterable<string>): Labels {
    const kept = names instanceof Set ? (names as ReadonlySet<string>) : new Set(names);
    return this.#filter((name) => kept.has(name));
  }

  /** A text of all pairs that no others have, for use as a Map key. Computed once. */
  key(): string {
    if (this.#key !== undefined) return this.#key;
    let key = "";
    for (const part of this.#flat ?? this.#unpack()) key += `${part.length}:${part}`;
    return (this.#key = mapKey(key));
  }

  /** A copy without the labels that are hidden from series: those starting with `__`. */
  withoutHidden(): Labels {
    return this.#filter((name) => !name.startsWith("__"));
  }

  equals(other: Labels): boolean {
    return this === other || compareLabels(this, other) === 0;
  }

  /** A null-prototype object (label names such as `__proto__` are legal), for JSON. */
  toJSON(): Record<string, string> {
    const object = Object.create(null) as Record<string, string>;
    for (const [name, value] of this) object[name] = value;
    return object;
  }

  /** `{a="b", "x.y"="z"}` as Prometheus prints label sets. */
  toString(): string {
    let text = "";
    for (const [name, value] of this)
      text += `${text === "" ? "" : ", "}${LEGACY_NAME.test(name) ? name : quote(name)}=${quote(value)}`;
    return `{${text}}`;
  }

  #filter(keep: (name: string) => boolean): Labels {
    const all = this.#flat ?? this.#unpack();
    const flat: string[] = [];
    for (let i = 0; i < all.length; i += 2) if (keep(all[i]!)) flat.push(all[i]!, all[i + 1]!);
    if (flat.length === all.length) return this;
    return Labels.fromSorted(flat);
  }

  #unpack(): readonly string[] {
    this.#flat = this.#source?.texts(this.#from, this.#to) ?? unpackLabels(this.#packed!);
    this.#source = undefined;
    this.#packed = undefined;
    return this.#flat;
  }
}

/** Prometheus's order of label sets: pair by pair, name then value, in byte order; a prefix comes first. */
export function compareLabels(a: Labels, b: Labels): number {
  if (a.packed !== undefined && b.packed !== undefined) return comparePacked(a.packed, b.packed);
  return compareTexts(a, b, 0);
}

/** As `compareLabels`, without the first label of each, which both have. */
export function compareLabelRests(a: Labels, b: Labels): number {
  if (a === b) return 0;
  if (a.packed !== undefined && b.packed !== undefined)
    return comparePackedRests(a.packed, b.packed);
  return compareTexts(a, b, 1);
}

function compareTexts(a: Labels, b: Labels, from: number): number {
  const count = Math.min(a.count, b.count);
  for (let i = from; i < count; i++) {
    const order = compareText(a.nameAt(i), b.nameAt(i)) || compareText(a.valueAt(i), b.valueAt(i));
    if (order !== 0) return order;
  }
  return a.count - b.count;
}

/** `name{a="b"}`, the way a series is shown to people. */
export function formatSeries(labels: Labels): string {
  const name = labels.get(METRIC_NAME);
  if (name === "") return labels.toString();
  const rest = labels.without([METRIC_NAME]);
  if (!isLegacyMetricName(name))
    return `{${quote(name)}${rest.count === 0 ? "" : `, ${rest.toString().slice(1, -1)}`}}`;
  return rest.count === 0 ? name : `${name}${rest.toString()}`;
}

export function isLegacyLabelName(name: string): boolean {
  return LEGACY_NAME.test(name);
}

export function isLegacyMetricName(name: string): boolean {
  return /^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name);
}

/** Any non-empty valid Unicode text is a label name under UTF-8 validation. */
export function isValidLabelName(name: string): boolean {
  return name !== "" && name.isWellFormed();
}
