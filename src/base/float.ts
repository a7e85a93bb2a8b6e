/**
 * Floats as Prometheus reads, writes and marks them. V8 may quiet a signalling NaN that passes through a plain
 * number, so staleness is decided on the raw bits inside typed arrays, never on `number` values.
 */

/** Go's strconv.FormatFloat(value, 'f', -1, 64): shortest digits, never an exponent. */
export function formatFixed(value: number): string {
  const special = formatSpecial(value);
  if (special !== undefined) return special;
  const text = String(value);
  const at = text.indexOf("e");
  return at < 0 ? text : expandExponent(text, at);
}

/** A sample value in the HTTP API and in exposition: 'f' form, but 'e' form below 1e-6 and from 1e21 on. */
export function formatSampleValue(value: number): string {
  const special = formatSpecial(value);
  if (special !== undefined) return special;
  const text = String(value);
  const at = text.indexOf("e");
  return at < 0 ? text : padExponent(text, at);
}

/** Go's strconv.FormatFloat(value, 'g', -1, 64), which is `%g` and `%v`: 'e' form below 1e-4 and from 1e6 on. */
export function formatGeneral(value: number): string {
  const special = formatSpecial(value);
  if (special !== undefined) return special;
  const magnitude = Math.abs(value);
  if (magnitude >= 1e-4 && magnitude < 1e6) return formatFixed(value);
  const text = value.toExponential();
  return padExponent(text, text.indexOf("e"));
}

/** Go's strconv.FormatFloat(value, 'e', -1, 64), as `/api/v1/alerts` has it. */
export function formatExponent(value: number): string {
  const special = formatSpecial(value);
  if (special !== undefined)
    return special === "0" ? "0e+00" : special === "-0" ? "-0e+00" : special;
  const text = value.toExponential();
  return padExponent(text, text.indexOf("e"));
}

function formatSpecial(value: number): string | undefined {
  if (value !== value) return "NaN";
  if (value === Infinity) return "+Inf";
  if (value === -Infinity) return "-Inf";
  if (value === 0) return Object.is(value, -0) ? "-0" : "0";
  return undefined;
}

/** Go writes at least two exponent digits: 1e-07 where JavaScript has 1e-7. */
function padExponent(text: string, at: number): string {
  const sign = text[at + 1];
  const digits = text.slice(sign === "+" || sign === "-" ? at + 2 : at + 1);
  return `${text.slice(0, at)}e${sign === "-" ? "-" : "+"}${digits.length < 2 ? `0${digits}` : digits}`;
}

function expandExponent(text: string, at: number): string {
  const negative = text.startsWith("-");
  const mantissa = text.slice(negative ? 1 : 0, at);
  const exponent = Number(text.slice(at + 1));
  const [whole = "", fraction = ""] = mantissa.split(".");
  const digits = whole + fraction;
  const point = whole.length + exponent;
  let body: string;
  if (point <= 0) body = `0.${"0".repeat(-point)}${digits}`;
  else if (point >= digits.length) body = digits + "0".repeat(point - digits.length);
  else body = `${digits.slice(0, point)}.${digits.slice(point)}`;
  return negative ? `-${body}` : body;
}

const FLOAT_SYNTAX = /^[+-]?(?:\d+\.?\d*(?:e[+-]?\d+)?|\.\d+(?:e[+-]?\d+)?)$/i;

/**
 * A float as Prometheus's text formats accept it (Go's ParseFloat without `_` and hexadecimal forms; `NaN`, `Inf`,
 * `Infinity` in any case, signed); undefined when the text is not one.
 */
export function parseFloatText(text: string): number | undefined {
  if (FLOAT_SYNTAX.test(text)) return Number(text);
  switch (text.toLowerCase()) {
    case "nan":
      return NaN;
    case "inf":
    case "+inf":
    case "infinity":
    case "+infinity":
      return Infinity;
    case "-inf":
    case "-infinity":
      return -Infinity;
    default:
      return undefined;
  }
}

/** The staleness marker 0x7ff0000000000002 as two little-endian 32-bit halves. */
export const STALE_NAN_LOW = 0x00000002;
export const STALE_NAN_HIGH = 0x7ff00000;

/** Writes the staleness marker's exact bits at `index` of `values`. */
export function writeStale(values: Float64Array, index: number): void {
  const words = new Uint32Array(values.buffer, values.byteOffset + index * 8, 2);
  words[0] = STALE_NAN_LOW;
  words[1] = STALE_NAN_HIGH;
}

/**
 * Whether word pair `index` of `words` (a Uint32Array over a Float64Array's buffer) is the staleness marker. A
 * marker that was quieted on its way (0x7ff8000000000002) counts too: no other NaN of Prometheus has that payload.
 */
export function isStaleWords(words: Uint32Array, index: number): boolean {
  return (
    words[2 * index] === STALE_NAN_LOW &&
    (words[2 * index + 1]! & 0xfff7ffff) >>> 0 === STALE_NAN_HIGH
  );
}
