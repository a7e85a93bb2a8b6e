import { randomInt, seededRandom } from "../../base/random.ts";

/** A pattern and a text of up to 10 KB each, made to be as hard to hold against each other as can be. */
export interface Bomb {
  readonly name: string;
  readonly pattern: string;
  readonly text: string;
}

const SIZE = 10_000;

/** `part` as often as it fits into `size` characters. */
function times(part: string, size = SIZE): string {
  return part.repeat(Math.floor(size / part.length));
}

/** Patterns that take time to read, to compile or to run, or memory; the same ones each time. */
export function regexBombs(): Bomb[] {
  const random = seededRandom(7);
  const pick = (alphabet: string): string => alphabet[randomInt(random, alphabet.length)]!;
  const noise = (alphabet: string, size = SIZE): string =>
    Array.from({ length: size }, () => pick(alphabet)).join("");
  const wide = (from: number, count: number): string =>
    Array.from({ length: count }, (_, i) => String.fromCodePoint(from + i)).join("");
  const words = (count: number, size: number, alphabet: string): string[] =>
    Array.from({ length: count }, () => noise(alphabet, size));
  const same = "a".repeat(SIZE);
  const ab = noise("ab");
  const comb = (open: string, close: (i: number) => string, count: number): string =>
    open.repeat(count) + Array.from({ length: count }, (_, i) => close(i)).join("");
  const tree = (depth: number): string =>
    depth === 0
      ? pick("abc") + pick("?*+")
      : `(${tree(depth - 1)}${["|", ""][randomInt(random, 2)]}${tree(depth - 1)})${pick("*+?")}`;
  const bomb = (name: string, pattern: string, text: string): Bomb => ({ name, pattern, text });
  return [
    bomb("(a|aa)+ many times", times("(a|aa)+"), same),
    bomb("(a|aa)+ many times, of noise", `(${times("(a|ab|b?)+", 9000)})`, ab),
    bomb("a? and as many a", `(a?){500}a{500}${times("a?", 9000)}`, "a".repeat(900)),
    bomb("a?b? of noise", times("a?b?"), ab),
    bomb("a?b? of noise, in short", times("a?b?[bc]?", 800), ab),
    bomb("the last 80", `[ab]*${"a[ab]{9}".repeat(9)}`, ab),
    bomb("(.*a){n}", times(".*a"), same),
    bomb("(.*a)(.*b) of noise", Array.from({ length: 3333 }, () => `.*${pick("ab")}`).join(""), ab),
    bomb("([ab]*c?)*", times("([ab]*c?)*"), noise("abc")),
    bomb(
      "([ab]*c?)* nested",
      comb("(", (i) => `[ab]*${"abc"[i % 3]}?)*`, 240),
      noise("abcd"),
    ),
    bomb("a tree of repetitions", tree(10), noise("abc")),
    bomb(
      "a comb of stars",
      comb("(?:", (i) => `${"abc"[i % 3]})*`, 450),
      noise("abc"),
    ),
    bomb("the last 1000", "(a|b)*a(a|b){999}", ab),
    bomb("the last 1000, many times", times("[ab]*a[bc]{0,999}"), noise("abc")),
    bomb("counted, bounded on both sides", times("[ab]{3,900}[bc]{2,800}"), noise("abc")),
    bomb("counted, nested", times("((a{0,30}b?){0,30})"), ab),
    bomb("counted groups", times("(ab|c){0,1000}"), noise("abc")),
    bomb("counted groups at least", times("(ab|c){1000}"), noise("abc")),
    bomb("counted groups that overlap", times("(ab?|b){0,99}c?"), noise("abc")),
    bomb("any characters, counted", times(".{0,1000}x?"), noise("abx")),
    bomb("any characters, counted, half of it", times(".{0,1000}x?", 4000), noise("abx")),
    bomb("counted, entered now and then", times("(a[^x]{9,500}b|c)*", 9000), noise("abc")),
    bomb("big classes", times("[\\pL\\d_.-]?"), noise("aж1漢-")),
    bomb(
      "many classes",
      Array.from({ length: 900 }, (_, i) => `[\\pL${wide(0x4e00 + i, 1)}-]*`).join(""),
      wide(0x4e00, 3300),
    ),
    bomb(
      "classes of ranges",
      Array.from(
        { length: 900 },
        (_, i) => `[${wide(0x4e00 + 3 * i, 1)}-${wide(0x5e00 + 2 * i, 1)}]?`,
      ).join(""),
      wide(0x4e00, 3300),
    ),
    bomb("classes of Unicode", times("\\pL*\\p{Greek}?\\PN+"), noise("aж漢α1")),
    bomb("many long words", `(${words(9, 1100, "ab").join("|")})*`, ab),
    bomb("many short words", `(${words(1600, 5, "abc").join("|")})*`, noise("abc")),
    bomb("many short words, several times", times(`(${words(200, 5, "ab").join("|")})+`), ab),
    bomb(
      "words, case-insensitive",
      `(?i)(${words(1600, 5, "abk").join("|")})*`,
      noise("aAbBkK\u212A"),
    ),
    bomb(
      "case-insensitive classes",
      `(?i)${times("([a-z]*[k-s]?)+[^a-c]*")}`,
      noise("aAkKsſ\u212A"),
    ),
    bomb(
      "case-insensitive, other scripts",
      `(?i)(${words(1500, 3, "жЖßẞσςΣ").join("|")})+`,
      noise("жЖßẞσςΣ", 5000),
    ),
    bomb(
      "characters of three bytes",
      `(${wide(0x4e00, 3300)}|.)*`,
      noise(wide(0x4e00, 3000), 3300),
    ),
    bomb(
      "characters of four bytes",
      times("(\u{1F600}|\u{1F601}?)*\u{1F602}?"),
      noise("x", 10) + times("\u{1F600}\u{1F602}", 5000),
    ),
    bomb("boundaries of words", times("(\\b|\\B)\\w*\\b.?"), noise("ab -")),
    bomb("anchors", times("(^a|b$|a*|b*)*"), ab),
    bomb("lines", `(?m)${times("(^a*$\\n?)*b?")}`, noise("ab\n")),
    bomb("lazy", times("(a*?|b??)+?c*?"), noise("abc")),
    bomb("named groups", Array.from({ length: 600 }, (_, i) => `(?P<g${i}>a|ab)*b?`).join(""), ab),
    bomb("nothing but groups", "(".repeat(400) + "a|b".repeat(2) + ")*".repeat(400), ab),
    bomb("quoted", times("(\\Qa+b\\E)*a?"), noise("a+b")),
    bomb("literals", ab, ab),
    bomb("any one of two", times("[ab]"), ab.slice(0, 2500)),
    bomb("as many moves as there may be", times("(.?[ab]c?){0,99}", 400), ab.slice(0, 4800)),
    bomb("more moves than there may be", times("(.?[ab]c?){0,99}", 1650), ab),
    bomb("counters that come and go", times("(a[ab]{64,900}|b[ab]{70,800})*"), ab),
    bomb(
      "large classes, each another",
      Array.from(
        { length: 440 },
        (_, i) => `[\\pL\\pM\\pN\\pP\\pS\\pZ${wide(0x4e00 + i, 1)}]?a`,
      ).join(""),
      ab,
    ),
    bomb(
      "ranges, and as many characters",
      `(${Array.from({ length: 830 }, (_, i) => `[${wide(0x4e00 + i, 1)}-${wide(0x5e00 + 2 * i, 1)}x]?a?`).join("")})*`,
      wide(0x4e00, 3300),
    ),
    bomb("wrong at its end", `${times("(a|aa)+")})`, same),
    bomb("wrong where it starts", `(${times("(a|aa)+")}`, same),
    bomb(
      "noise of everything",
      Array.from({ length: 2500 }, () => `${pick("abc.")}${pick("?*+")}`).join(""),
      noise("abc"),
    ),
  ];
}
