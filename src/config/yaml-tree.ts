import {
  type Alias,
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  type Node,
  type Pair,
  parseDocument,
  Scalar,
  type ScalarTag,
  type YAMLMap,
  visit,
} from "yaml";
import { AppError } from "../base/errors.ts";

/**
 * A Prometheus configuration as a YAML tree that is edited in place: what nobody touches is written again as it was read,
 * with its comments, unknown keys, number spellings and secrets. Scalars stay text (`010`, `yes`, `~`): what they mean is
 * for Prometheus to say.
 */

/** An empty value is null to Prometheus, so it must not come out as the text `""`. */
const EMPTY_TAG: ScalarTag = {
  tag: "tag:yaml.org,2002:null",
  default: true,
  test: /^$/,
  identify: (value) => value === null,
  createNode: () => new Scalar(null),
  resolve: () => new Scalar(null),
  // Between brackets a bare `key:` before a comma is read differently by different parsers.
  stringify: (_item, { inFlow }) => (inFlow === true ? "null" : ""),
};

/** Nodes that aliases may stand for in all; a small file can ask for billions. */
export const MAX_ALIASED_NODES = 1_000_000;

const MERGE_KEY = "<<";

/** Throws `bad-data` when `text` is not YAML. */
export function parseTree(text: string, path: string): Document {
  const document = parseDocument(text, {
    schema: "failsafe",
    version: "1.1",
    customTags: (tags) => [...tags, EMPTY_TAG],
    uniqueKeys: false,
    prettyErrors: false,
    logLevel: "silent",
  });
  const [error] = document.errors;
  // The parser's own message quotes the line, which may hold a secret.
  if (error !== undefined)
    throw new AppError("bad-data", `cannot read ${path}: it is not valid YAML (${error.code})`);
  expandAliases(document, path);
  return document;
}

/** The tree as text. Long lines stay long: folding them would change block scalars. */
export function printTree(document: Document, options: { indentSeq?: boolean } = {}): string {
  return document.toString({
    lineWidth: 0,
    flowCollectionPadding: false,
    directives: false,
    ...options,
  });
}

/** Replaces aliases and merge keys by what they stand for, so that one place can change without the others. */
function expandAliases(document: Document, path: string): void {
  let hasAlias = false;
  visit(document, {
    Alias: () => {
      hasAlias = true;
      return visit.BREAK;
    },
  });
  if (!hasAlias) return;
  let left = MAX_ALIASED_NODES;
  const expand = (alias: Alias): Node => {
    const target = alias.resolve(document);
    if (target === undefined)
      throw new AppError("bad-data", `cannot read ${path}: the alias ${alias.source} is unknown`);
    const copy = target.clone() as Node;
    visit(copy, {
      Node: () => {
        if (--left < 0)
          throw new AppError(
            "resource-exhausted",
            `cannot read ${path}: its aliases stand for more than ${MAX_ALIASED_NODES} nodes`,
          );
      },
    });
    return copy;
  };
  visit(document, { Alias: (_key, alias) => expand(alias) });
  visit(document, {
    Node: (_key, node) => {
      if (!isAlias(node)) delete node.anchor;
    },
  });
  visit(document, { Map: (_key, map) => mergeInto(map) });
}

/** `<<: {…}` and `<<: [{…}, …]`: a map's own keys win, then those of the earlier source. */
function mergeInto(map: YAMLMap): void {
  const isMerge = (pair: Pair): boolean =>
    isScalar(pair.key) && pair.key.value === MERGE_KEY && pair.key.type !== "QUOTE_DOUBLE";
  const sources = map.items.filter(isMerge).flatMap(({ value }) => {
    if (isMap(value)) return [value];
    return isSeq(value) ? value.items.filter(isMap) : [];
  });
  if (sources.length === 0) return;
  map.items = map.items.filter((pair) => !isMerge(pair));
  const known = new Set(map.items.map(keyOf));
  for (const source of sources) {
    mergeInto(source);
    for (const pair of source.items) {
      if (known.has(keyOf(pair))) continue;
      known.add(keyOf(pair));
      map.items.push(pair);
    }
  }
}

/** A pair's key as text, "" for one that is not text. */
export function keyOf(pair: unknown): string {
  return isPair(pair) ? (textOf(pair.key) ?? "") : "";
}

/** The text of a scalar node, undefined for anything else. */
export function textOf(node: unknown): string | undefined {
  return isScalar(node) && typeof node.value === "string" ? node.value : undefined;
}
