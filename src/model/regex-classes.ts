import { RE2JS } from "re2js";

const MAX_CODE_POINT = 0x10ffff;

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

/** The classes of Unicode that were asked for, of which there are some hundreds. */
const UNICODE = new Map<string, readonly number[]>();

/** The members of the class `\p{name}`, from the engine's tables; undefined when there is none. */
export function unicodeClass(name: string): readonly number[] | undefined {
  const known = UNICODE.get(name);
  if (known !== undefined) return known;
  let members: readonly number[];
  try {
    const { inst } = RE2JS.compile(`[\\p{${name}}]`).re2().prog as { inst: readonly Instruction[] };
    const runes = Array.from(inst.find((each) => (each.runes?.length ?? 0) > 0)?.runes ?? []);
    if (runes.length === 0) return undefined;
    members = runes.length === 1 ? [runes[0]!, runes[0]!] : runes;
  } catch {
    return undefined;
  }
  if (members.some((end) => end > MAX_CODE_POINT)) return undefined;
  UNICODE.set(name, members);
  return members;
}

/** What the engine compiles to, as far as it is looked at. */
interface Instruction {
  readonly runes: ArrayLike<number> | null;
}
