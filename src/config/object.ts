import { isAlias, isMap, isScalar, isSeq, type Node } from "yaml";
import { didYouMean, quote } from "../base/text.ts";
import { decode, scalarText, type Kind } from "./kind.ts";
import { describe, isNull, rangeOf, type Reader, type Where } from "./reader.ts";
import type { Printed } from "./yaml-writer.ts";

/** One key of an object. */
export interface Field<T> {
  readonly kind: Kind<T>;
  /** The value when the key is absent. */
  readonly default: T;
  /** Printed even when empty. */
  readonly always: boolean;
}

/** A key of `kind`; `default` is what an absent key means (the kind's zero unless given). */
export function field<T>(
  kind: Kind<T>,
  options: { readonly default?: NoInfer<T>; readonly always?: boolean } = {},
): Field<T> {
  return {
    kind,
    default: options.default ?? kind.zero,
    always: options.always ?? false,
  };
}

// oxlint-disable-next-line typescript/no-explicit-any -- any field fits; `Values` recovers each one's type
export type Fields = Readonly<Record<string, Field<any>>>;

/** What an object with `fields` decodes to: the YAML keys and their values. */
export type Values<F extends Fields> = {
  readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never;
};

export interface ObjectKind<F extends Fields> extends Kind<Values<F>> {
  readonly fields: F;
  /** Every key absent. */
  readonly defaults: Values<F>;
}

/**
 * A map with known keys. `name` is how messages call it ("a scrape config"). `check` gets the decoded values when
 * every key was readable, reports through `at`, and may return the values in their final form.
 */
export function object<F extends Fields>(
  name: string,
  fields: F,
  check?: (values: Values<F>, at: Where, reader: Reader) => Values<F> | void,
): ObjectKind<F> {
  const keys = Object.keys(fields);
  const all = (pick: (field: Fields[string]) => unknown): Values<F> =>
    // The one place where a table of fields becomes the type it describes.
    Object.fromEntries(keys.map((key) => [key, pick(fields[key]!)])) as Values<F>;
  const defaults = all((one) => one.default);
  return {
    fields,
    defaults,
    zero: all((one) => one.kind.zero),
    decode(node, reader) {
      const before = reader.problems.length;
      const values: Record<string, unknown> = { ...defaults };
      const seen = new Map<string, Node>();
      for (const { key, keyNode, value } of entriesOf(node, reader, name)) {
        if (!Object.hasOwn(fields, key)) {
          reportUnknown(reader, keyNode, { key, name, keys });
          continue;
        }
        seen.set(key, value);
        values[key] = decode(fields[key]!.kind, value, reader);
      }
      const decoded = values as Values<F>;
      const where = whereOf(node, seen, reader);
      reader.remember(decoded, where);
      if (reader.problems.length > before || check === undefined) return decoded;
      const checked = check(decoded, where, reader) ?? decoded;
      reader.remember(checked, where);
      return checked;
    },
    print(values) {
      const printed = new Map<string, Printed>();
      for (const key of keys) {
        const { kind, always } = fields[key]!;
        const value: unknown = values[key];
        if (always || !kind.isEmpty(value)) printed.set(key, kind.print(value));
      }
      return printed;
    },
    isEmpty: (values) => keys.every((key) => fields[key]!.kind.isEmpty(values[key])),
  };
}

/** A map with free keys, each checked by `keyKind`. The object has no prototype: any text may be a key. */
export function map<T>(
  keyKind: Kind<string>,
  valueKind: Kind<T>,
): Kind<Readonly<Record<string, T>>> {
  return {
    zero: Object.freeze(Object.create(null) as Record<string, T>),
    decode(node, reader) {
      const values = Object.create(null) as Record<string, T>;
      for (const { key, keyNode, value } of entriesOf(node, reader, "this map")) {
        keyKind.decode(keyNode, reader);
        values[key] = decode(valueKind, value, reader);
      }
      return values;
    },
    print: (values) =>
      new Map(
        Object.keys(values)
          .sort(compareKeys)
          .map((key) => [key, valueKind.print(values[key]!)]),
      ),
    isEmpty: (values) => Object.keys(values).length === 0,
  };
}

export interface Entry {
  readonly key: string;
  readonly keyNode: Node;
  readonly value: Node;
}

/** The entries of a map with `<<` merged in place: a later entry wins, as in Prometheus. */
export function entriesOf(node: Node, reader: Reader, name: string): Entry[] {
  if (!isMap(node)) {
    reader.report(node, `expected ${name}, which is a map (key: value), got ${describe(node)}`);
    return [];
  }
  const entries: Entry[] = [];
  const own = new Set<string>();
  for (const pair of node.items) {
    const keyNode = pair.key as Node;
    const valueNode = (pair.value ?? keyNode) as Node;
    const key = reader.resolve(keyNode, (resolved) =>
      isNull(resolved) ? "" : scalarText(resolved, reader),
    );
    if (key === undefined) continue;
    if (key === "<<" && isScalar(keyNode) && keyNode.type === "PLAIN") {
      entries.push(...mergedEntries(valueNode, reader, name));
      continue;
    }
    if (own.has(key))
      reader.report(keyNode, `the key ${quote(key)} is already set in ${name}`, {
        help: "keep one of the two",
      });
    own.add(key);
    entries.push({ key, keyNode, value: pair.value === null ? nullAt(keyNode) : valueNode });
  }
  return entries;
}

function mergedEntries(node: Node, reader: Reader, name: string): Entry[] {
  return reader.resolve(node, (resolved) => {
    if (isSeq(resolved))
      return (resolved.items as Node[])
        .toReversed() // the first map in the list wins
        .flatMap((item) => reader.resolve(item, (one) => mergedMap(one, node, reader, name)));
    return mergedMap(resolved, node, reader, name);
  });
}

function mergedMap(node: Node, at: Node, reader: Reader, name: string): Entry[] {
  if (isMap(node)) return entriesOf(node, reader, name);
  reader.report(at, "map merge requires map or sequence of maps as the value");
  return [];
}

/** `? key` without a value. */
function nullAt(keyNode: Node): Node {
  const empty = keyNode.clone() as Node;
  if (isScalar(empty)) {
    empty.value = "";
    empty.type = "PLAIN";
  }
  return empty;
}

function reportUnknown(
  reader: Reader,
  keyNode: Node,
  unknown: { readonly key: string; readonly name: string; readonly keys: readonly string[] },
): void {
  const near = didYouMean(unknown.key, unknown.keys);
  reader.report(keyNode, `unknown key ${quote(unknown.key)} in ${unknown.name}`, {
    help: near === undefined ? keyList(unknown.keys) : `did you mean "${near}"?`,
  });
}

/** Beyond this many keys a list of them all is no help. */
const MAX_KEYS_LISTED = 16;

function keyList(keys: readonly string[]): string | undefined {
  return keys.length > MAX_KEYS_LISTED ? undefined : `its keys are: ${keys.join(", ")}`;
}

function whereOf(node: Node, seen: ReadonlyMap<string, Node>, reader: Reader): Where {
  return {
    has: (key) => seen.has(key),
    fail(key, message, options = {}) {
      let at = (key === undefined ? undefined : seen.get(key)) ?? firstKey(node) ?? node;
      if (isAlias(at)) at = reader.source.anchors.get(at) ?? at;
      if (options.index !== undefined && isSeq(at)) at = (at.items[options.index] as Node) ?? at;
      const { start, end } = rangeOf(at);
      reader.report({ start, end: isScalar(at) ? end : start + 1 }, message, {
        help: options.help,
      });
    },
  };
}

function firstKey(node: Node): Node | undefined {
  return isMap(node) ? ((node.items[0]?.key as Node | undefined) ?? undefined) : undefined;
}

/** Go-yaml's order of map keys: numbers inside by value, letters before other characters' order, as people sort. */
function compareKeys(a: string, b: string): number {
  const as = Array.from(a);
  const bs = Array.from(b);
  for (let i = 0; i < as.length && i < bs.length; i++) {
    const x = as[i]!;
    const y = bs[i]!;
    if (x === y) continue;
    const xIsLetter = /\p{L}/u.test(x);
    const yIsLetter = /\p{L}/u.test(y);
    if (xIsLetter && yIsLetter) return x < y ? -1 : 1;
    if (xIsLetter !== yIsLetter) {
      const inDigits = i > 0 && /\d/.test(as[i - 1]!);
      if (inDigits) return xIsLetter ? -1 : 1;
      return xIsLetter ? 1 : -1;
    }
    const xNumber = /^\d+/.exec(as.slice(i).join(""))?.[0];
    const yNumber = /^\d+/.exec(bs.slice(i).join(""))?.[0];
    if (xNumber !== undefined && yNumber !== undefined && Number(xNumber) !== Number(yNumber))
      return Number(xNumber) - Number(yNumber);
    return x < y ? -1 : 1;
  }
  return as.length - bs.length;
}
