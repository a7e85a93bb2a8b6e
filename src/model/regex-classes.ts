import { CLASS_MEMBERS, CLASS_NAMES } from "./regex-unicode.gen.ts";

/** The members of classes of ASCII, as pairs of first and last: those of a backslash, and those of `[:name:]`. */
export const CLASSES: Readonly<Record<string, readonly number[]>> = {
  d: pairs("09"),
  s: pairs("\t\n\f\r  "),
  w: pairs("09AZ__az"),
  alnum: pairs("09AZaz"),
  alpha: pairs("AZaz"),
  ascii: [0, 0x7f],
  blank: pairs("\t\t  "),
  cntrl: [0, 0x1f, 0x7f, 0x7f],
  digit: pairs("09"),
  graph: pairs("!~"),
  lower: pairs("az"),
  print: pairs(" ~"),
  punct: pairs("!/:@[`{~"),
  space: pairs("\t\r  "),
  upper: pairs("AZ"),
  word: pairs("09AZaz__"),
  xdigit: pairs("09AFaf"),
};

function pairs(text: string): readonly number[] {
  return Array.from(text, (character) => character.charCodeAt(0)).sort((a, b) => a - b);
}

/** Of each class of Unicode: where in the members it starts, and how many bytes it has; or which other one it is. */
let unicode: ReadonlyMap<string, readonly [number, number] | string> | undefined;
let bytes: Uint8Array | undefined;

/** The members of the class `\p{name}`; undefined when there is none. Case, `_`, `-` and spaces do not matter mostly. */
export function unicodeClass(name: string): readonly number[] | undefined {
  unicode ??= readNames();
  const plain = name.replace(/[_ -]/g, "");
  // Names of several words were known as they are only, before Go took all others in any case.
  let found = unicode.get(name);
  found ??= unicode.get(plain.slice(0, 1).toUpperCase() + plain.slice(1).toLowerCase());
  if (typeof found === "string") found = unicode.get(found);
  return typeof found === "object" ? readMembers(found) : undefined;
}

function readNames(): Map<string, readonly [number, number] | string> {
  const names = new Map<string, readonly [number, number] | string>();
  let at = 0;
  for (const entry of CLASS_NAMES.split(",")) {
    const [name, value] = entry.split(" ") as [string, string];
    const size = Number(value);
    names.set(name, Number.isNaN(size) ? value : [at, size]);
    if (!Number.isNaN(size)) at += size;
  }
  return names;
}

/** Each number is how far one end of a range is from the one before. */
function readMembers([from, size]: readonly [number, number]): number[] {
  bytes ??= Buffer.from(CLASS_MEMBERS, "base64");
  const members: number[] = [];
  for (let at = from, code = 0; at < from + size;) {
    let shift = 0;
    for (; bytes[at]! >= 0x80; shift += 7) code += (bytes[at++]! & 0x7f) << shift;
    code += bytes[at++]! << shift;
    members.push(members.length % 2 === 0 ? code : code - 1);
  }
  return members;
}
