import { isMap, isPair, isScalar, isSeq } from "yaml";
import { keyOf, parseTree } from "./yaml-tree.ts";

/**
 * The text without what may differ between the shards of one system (`external_labels`, such as a `replica`) and without
 * its layout: two texts that agree here run the same.
 */
export function comparableConfig(text: string, path: string): string {
  const document = parseTree(text, path);
  const { contents } = document;
  const global = isMap(contents) ? contents.get("global", true) : undefined;
  if (isMap(global)) global.delete("external_labels");
  return JSON.stringify(plain(contents));
}

/** A tree as nested lists, maps as sorted pairs. */
function plain(node: unknown): unknown {
  if (isMap(node))
    return [
      "map",
      ...node.items
        .filter(isPair)
        .map((pair) => [keyOf(pair), plain(pair.value)] as const)
        .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)),
    ];
  if (isSeq(node)) return ["list", ...node.items.map(plain)];
  return isScalar(node) ? node.value : null;
}
