import type { Fields } from "../kubernetes/fields.ts";
import type { JobMap } from "./job.ts";

/** A mapping of free names to lists of texts; undefined when there is none. */
export function listMap(of: Fields, key: string): JobMap | undefined {
  const map = of.optionalChild(key);
  if (map === undefined) return undefined;
  const lists = Object.create(null) as Record<string, readonly string[]>;
  for (const name of map.keys()) lists[name] = map.texts(name);
  return lists;
}
