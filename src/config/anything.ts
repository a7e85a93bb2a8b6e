import { isMap, isScalar, isSeq, type Node } from "yaml";
import { decode, isPlain, type Kind } from "./kind.ts";
import { entriesOf } from "./object.ts";
import { bool, parseNumber } from "./scalars.ts";
import type { Reader } from "./reader.ts";
import type { Printed } from "./yaml-writer.ts";

/** Any YAML value: text, numbers, booleans, lists and maps as YAML 1.1 reads them. */
export type Anything = string | number | boolean | null | readonly Anything[] | AnyMap;
type AnyMap = ReadonlyMap<string, Anything>;

export const anything: Kind<Anything> = {
  zero: null,
  decode: (node, reader) => decodeAnything(node, reader),
  print: (value) => printAnything(value),
  isEmpty: (value) => value === null,
};

function decodeAnything(node: Node, reader: Reader): Anything {
  if (isSeq(node))
    return (node.items as Node[]).map((item) => decode<Anything>(anything, item, reader));
  if (isMap(node))
    return new Map(
      entriesOf(node, reader, "this map").map(({ key, value }) => [
        key,
        decode<Anything>(anything, value, reader),
      ]),
    );
  if (!isScalar(node)) return null;
  const written = String(node.value);
  if (!isPlain(node)) return written;
  const number = parseNumber(written);
  if (!Number.isNaN(number)) return number;
  return /^(?:y|yes|true|on|n|no|false|off)$/i.test(written) ? bool.decode(node, reader) : written;
}

function printAnything(value: Anything): Printed {
  if (value instanceof Map)
    return new Map(Array.from(value, ([key, one]) => [key, printAnything(one as Anything)]));
  return Array.isArray(value)
    ? value.map((one: Anything) => printAnything(one))
    : (value as Printed);
}
