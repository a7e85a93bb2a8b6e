import { parseFloatText } from "../base/float.ts";

/** Powers of ten that a double holds exactly. */
export const EXACT_POWERS = new Float64Array(23);
for (let i = 0; i < 23; i++) EXACT_POWERS[i] = Number(`1e${i}`);

/** The largest integer below which every integer is a double. */
export const EXACT_INTEGER_MAX = 9_007_199_254_740_992;

/** Two 32-bit halves of the NaN that Prometheus stores for every NaN it reads (0x7ff8000000000001). */
const NORMAL_NAN_LOW = 1;
const NORMAL_NAN_HIGH = 0x7ff80000;

/** Writes Prometheus's ordinary NaN at `index`, bit for bit. */
export function writeNormalNaN(values: Float64Array, index: number): void {
  const words = new Uint32Array(values.buffer, values.byteOffset + index * 8, 2);
  words[0] = NORMAL_NAN_LOW;
  words[1] = NORMAL_NAN_HIGH;
}

/**
 * The float written in `bytes` from `start` to `end` (exclusive), or undefined when that is not a float or too large
 * for one. `bytes` and `text` are two views of the same memory.
 */
export function parseFloatBytes(
  bytes: Uint8Array,
  text: Buffer,
  range: { readonly start: number; readonly end: number },
): number | undefined {
  const { start, end } = range;
  let p = start;
  let c = p < end ? bytes[p]! : 0;
  const negative = c === 45;
  if (negative || c === 43) c = ++p < end ? bytes[p]! : 0;
  let mantissa = 0;
  let digits = 0;
  let exponent = 0;
  for (; c >= 48 && c <= 57; digits++) {
    mantissa = mantissa * 10 + (c - 48);
    c = ++p < end ? bytes[p]! : 0;
  }
  if (c === 46) {
    c = ++p < end ? bytes[p]! : 0;
    for (; c >= 48 && c <= 57; digits++, exponent--) {
      mantissa = mantissa * 10 + (c - 48);
      c = ++p < end ? bytes[p]! : 0;
    }
  }
  let wellFormed = digits > 0;
  if (c === 101 || c === 69) {
    c = ++p < end ? bytes[p]! : 0;
    const down = c === 45;
    if (down || c === 43) c = ++p < end ? bytes[p]! : 0;
    const first = p;
    let power = 0;
    while (c >= 48 && c <= 57) {
      if (power < 100_000) power = power * 10 + (c - 48);
      c = ++p < end ? bytes[p]! : 0;
    }
    wellFormed &&= p > first;
    exponent += down ? -power : power;
  }
  if (!wellFormed || p !== end) return parseFloatText(text.toString("latin1", start, end));
  // Fast path: up to 2^53 in the digits and a power of ten up to 22 is one correctly rounded operation on two exact
  // doubles (Clinger).
  if (mantissa <= EXACT_INTEGER_MAX && exponent <= 22 && exponent >= -22) {
    const value =
      exponent >= 0 ? mantissa * EXACT_POWERS[exponent]! : mantissa / EXACT_POWERS[-exponent]!;
    return negative ? -value : value;
  }
  const value = Number(text.toString("latin1", start, end));
  // Go calls a number beyond the largest double an error.
  return value === Infinity || value === -Infinity ? undefined : value;
}

/** Why `word` is not a float, in the words of Go's strconv. */
export function floatError(word: string, quoted: string): string {
  if (/[pP_]/.test(word)) return "unsupported character in float";
  return `strconv.ParseFloat: parsing ${quoted}: ${parseFloatText(word) === undefined ? "invalid syntax" : "value out of range"}`;
}
