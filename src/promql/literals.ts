/** The values of number, duration and string tokens. */
import { quote } from "../base/text.ts";

/** What a literal is worth, or why it is worth nothing (Prometheus's text). */
export type Literal<T> = { readonly value: T } | { readonly reason: string };

const INTEGER = /^(?:0x_?[0-9a-f](?:_?[0-9a-f])*|0(?:_?[0-7])*|[1-9](?:_?\d)*)$/i;
const FLOAT = /^(?=\.?\d)(?:\d(?:_?\d)*)?(?:\.(?:\d(?:_?\d)*)?)?(?:e[+-]?\d(?:_?\d)*)?$/i;
const INT64_MAX = 2n ** 63n - 1n;
/** Digits of the largest 64-bit integer in base 8. */
const INT64_MAX_DIGITS = 21;

/** A number token: decimal, octal with a leading 0, hexadecimal, `Inf`, `NaN`; digits may be parted by `_`. */
export function numberOf(text: string): Literal<number> {
  const lower = text.toLowerCase();
  if (lower === "inf") return { value: Infinity };
  if (lower === "nan") return { value: NaN };
  if (INTEGER.test(text)) {
    const digits = lower.replaceAll("_", "");
    const octal = digits.length > 1 && digits.startsWith("0") && digits[1] !== "x";
    // What 64 bits cannot hold is read once more as a float, where a leading 0 means nothing.
    const isLong = digits.replace(/^0x?0*/, "").length > INT64_MAX_DIGITS;
    const integer = isLong ? undefined : BigInt(octal ? `0o${digits.slice(1)}` : digits);
    if (integer !== undefined && integer <= INT64_MAX) return { value: Number(integer) };
  }
  const parsing = `error parsing number: strconv.ParseFloat: parsing ${quote(text)}: `;
  if (!FLOAT.test(text)) return { reason: `${parsing}invalid syntax` };
  const value = Number(lower.replaceAll("_", ""));
  return Number.isFinite(value) ? { value } : { reason: `${parsing}value out of range` };
}

/** Milliseconds of each unit, from the largest to the smallest: a duration names them in this order. */
const UNITS: readonly (readonly [string, number])[] = [
  ["y", 31_536_000_000],
  ["w", 604_800_000],
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1000],
  ["ms", 1],
];
/** Go's time.Duration ends here, at about 292 years. */
export const DURATION_MAX_SECONDS = 2 ** 63 / 1e9;

/** The seconds of a duration token such as `1h30m`. */
export function durationOf(text: string): Literal<number> {
  if (text === "0") return { value: 0 };
  const invalid = { reason: `not a valid duration string: ${quote(text)}` };
  if (!/^\d/.test(text)) return invalid;
  let totalMs = 0;
  let lastUnit = -1;
  for (const part of text.match(/\d+\D*/g) ?? []) {
    const digits = /^\d+/.exec(part)![0];
    const name = part.slice(digits.length);
    if (name === "") return invalid;
    const unit = UNITS.findIndex(([candidate]) => candidate === name);
    if (unit < 0) return { reason: `unknown unit ${quote(name)} in duration ${quote(text)}` };
    if (unit <= lastUnit || Number(digits) >= 2 ** 64) return invalid;
    lastUnit = unit;
    totalMs += Number(digits) * UNITS[unit]![1];
    if (totalMs > DURATION_MAX_SECONDS * 1000) return { reason: "duration out of range" };
  }
  return { value: totalMs / 1000 };
}

const SHORT_ESCAPES: Readonly<Record<string, number>> = {
  a: 7,
  b: 8,
  f: 12,
  n: 10,
  r: 13,
  t: 9,
  v: 11,
};

/**
 * The text of a string token whose escapes the lexer has checked. `\x` and octal escapes stand for single bytes; bytes
 * that are not UTF-8, which Go's strings can hold, become the lone surrogates U+DC80 to U+DCFF: no label is called so.
 */
export function unquote(token: string): string {
  const body = token.slice(1, -1);
  if (token.startsWith("`") || !body.includes("\\")) return body;
  const bytes: Buffer[] = [];
  let rest = 0;
  for (let at = body.indexOf("\\"); at >= 0; at = body.indexOf("\\", rest)) {
    bytes.push(Buffer.from(body.slice(rest, at)));
    const character = body[at + 1]!;
    const digits = escapeDigits(character);
    if (digits === 0) {
      bytes.push(Buffer.from([SHORT_ESCAPES[character] ?? character.charCodeAt(0)]));
      rest = at + 2;
    } else if (digits === 3) {
      rest = at + 4;
      bytes.push(Buffer.from([Number.parseInt(body.slice(at + 1, rest), 8)]));
    } else {
      rest = at + 2 + digits;
      const code = Number.parseInt(body.slice(at + 2, rest), 16);
      bytes.push(digits === 2 ? Buffer.from([code]) : Buffer.from(String.fromCodePoint(code)));
    }
  }
  bytes.push(Buffer.from(body.slice(rest)));
  return decodeUtf8(Buffer.concat(bytes));
}

const REPLACEMENT = "\ufffd";

function decodeUtf8(bytes: Buffer): string {
  const whole = bytes.toString("utf8");
  if (!whole.includes(REPLACEMENT)) return whole;
  let text = "";
  for (let at = 0; at < bytes.length;) {
    const size = utf8Size(bytes[at]!);
    const character = bytes.toString("utf8", at, at + size);
    const isValid =
      size > 0 &&
      (character !== REPLACEMENT ||
        bytes.readUIntBE(at, Math.min(3, bytes.length - at)) === 0xefbfbd) &&
      Buffer.byteLength(character) === size;
    text += isValid ? character : String.fromCharCode(0xdc00 + bytes[at]!);
    at += isValid ? size : 1;
  }
  return text;
}

/** Bytes of the character that begins with `lead`; 0 when none does. */
function utf8Size(lead: number): number {
  if (lead < 0x80) return 1;
  if (lead < 0xc2 || lead > 0xf4) return 0;
  return lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
}

/** Go's quoting of what `unquote` gives: undecodable bytes are written as `\x`. */
export function quoteBytes(text: string): string {
  const quoted = quote(text);
  if (text.isWellFormed()) return quoted;
  return quoted.replace(/(?<!\\)((?:\\\\)*)\\udc([89a-f][0-9a-f])/g, String.raw`$1\x$2`);
}

function escapeDigits(character: string): number {
  if (character >= "0" && character <= "7") return 3;
  return character === "x" ? 2 : character === "u" ? 4 : character === "U" ? 8 : 0;
}
