/** Functions of one float, by PromQL name. */
export const MATH_FUNCTIONS: ReadonlyMap<string, (x: number) => number> = new Map([
  ["abs", Math.abs],
  ["ceil", Math.ceil],
  ["floor", Math.floor],
  ["exp", Math.exp],
  ["sqrt", Math.sqrt],
  ["ln", Math.log],
  ["log2", log2],
  ["log10", log10],
  ["sin", Math.sin],
  ["cos", Math.cos],
  ["tan", Math.tan],
  ["asin", Math.asin],
  ["acos", Math.acos],
  ["atan", Math.atan],
  ["sinh", Math.sinh],
  ["cosh", Math.cosh],
  ["tanh", Math.tanh],
  ["asinh", Math.asinh],
  ["acosh", Math.acosh],
  ["atanh", Math.atanh],
  ["rad", (x: number) => (x * Math.PI) / 180],
  ["deg", (x: number) => (x * 180) / Math.PI],
  ["sgn", (x: number) => (x < 0 ? -1 : x > 0 ? 1 : x)],
]);

/** As Go computes it: the binary exponent plus the logarithm of the fraction, exact for powers of two. */
function log2(x: number): number {
  if (!(x > 0) || x === Infinity) return Math.log2(x);
  const [fraction, exponent] = splitExponent(x);
  if (fraction === 0.5) return exponent - 1;
  return Math.log(fraction) * (1 / Math.LN2) + exponent;
}

function log10(x: number): number {
  return log2(x) * (Math.LN2 / Math.LN10);
}

const bits = new DataView(new ArrayBuffer(8));

/** `x = fraction · 2^exponent` with fraction in [0.5, 1). */
function splitExponent(x: number): [fraction: number, exponent: number] {
  const scale = x < 2 ** -1022 ? 52 : 0;
  bits.setFloat64(0, x * 2 ** scale);
  const high = bits.getUint32(0);
  const exponent = ((high >>> 20) & 0x7ff) - 1022 - scale;
  bits.setUint32(0, ((high & 0x800fffff) | (1022 << 20)) >>> 0);
  return [bits.getFloat64(0), exponent];
}
