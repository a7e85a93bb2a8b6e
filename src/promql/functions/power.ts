import { exp, powerOfTwo } from "../../base/exponential.ts";
import { log } from "../../base/logarithm.ts";

/**
 * Powers, to the last bit those of Go's math package on amd64, so that results are Prometheus's: a part of the exponent between
 * −1/2 and 1/2 by logarithm, the whole rest by squaring.
 */

const words = new Float64Array(1);
const halves = new Uint32Array(words.buffer);

export function power(base: number, exponent: number): number {
  if (exponent === 0 || base === 1) return 1;
  if (exponent === 1) return base;
  if (base !== base || exponent !== exponent) return NaN;
  if (base === -1 && Math.abs(exponent) === Infinity) return 1;
  // What is exact, or has a zero or an infinity, is the same in JavaScript.
  if (base === 0 || Math.abs(base) === Infinity || Math.abs(exponent) === Infinity)
    return base ** exponent;
  if (exponent === 0.5) return Math.sqrt(base);
  if (exponent === -0.5) return 1 / Math.sqrt(base);
  const size = Math.abs(exponent);
  let whole = Math.floor(size);
  let fraction = size - whole;
  if (fraction !== 0 && base < 0) return NaN;
  if (whole >= 2 ** 63) {
    if (base === -1) return 1;
    return Math.abs(base) < 1 === exponent > 0 ? 0 : Infinity;
  }
  let start = 1;
  if (fraction !== 0) {
    if (fraction > 0.5) {
      fraction--;
      whole++;
    }
    start = exp(fraction * log(base));
  }
  // Fast path: powers of two, which is what keeping the exponents apart adds, change no rounding where nothing is near the
  // ends of the range of floats.
  let result = start;
  let square = base;
  if (whole < 2 ** 31) {
    for (let left = whole | 0; left !== 0;) {
      if ((left & 1) !== 0) result *= square;
      left >>= 1;
      if (left !== 0) square *= square;
    }
    if (isModerate(result) && isModerate(square)) return exponent < 0 ? 1 / result : result;
  }
  return powerApart(base, { start, whole, isNegative: exponent < 0 });
}

function isModerate(x: number): boolean {
  const size = Math.abs(x);
  return size > 2 ** -1000 && size < 2 ** 1000;
}

/** start · base^whole, or its inverse, with the binary exponents counted apart. */
function powerApart(
  base: number,
  options: { start: number; whole: number; isNegative: boolean },
): number {
  let { start: fraction, whole: left } = options;
  let exponent = 0;
  // The base is square · 2^squareExponent, with the square in [0.5, 1).
  words[0] = Math.abs(base) < 2 ** -1022 ? base * 2 ** 52 : base;
  let squareExponent = ((halves[1]! >>> 20) & 0x7ff) - 1022;
  if (Math.abs(base) < 2 ** -1022) squareExponent -= 52;
  halves[1] = (halves[1]! & 0x800fffff) | 0x3fe00000;
  let square = words[0];
  while (left !== 0) {
    if (squareExponent < -4096 || squareExponent > 4096) {
      // Far out of the range of floats, whatever is left.
      exponent += squareExponent;
      break;
    }
    const half = Math.floor(left / 2);
    if (half * 2 !== left) {
      fraction *= square;
      exponent += squareExponent;
    }
    left = half;
    square *= square;
    squareExponent *= 2;
    if (square < 0.5) {
      square += square;
      squareExponent--;
    }
  }
  if (options.isNegative) {
    fraction = 1 / fraction;
    exponent = -exponent;
  }
  return scaleAny(fraction, exponent);
}

/** fraction · 2^exponent, rounded once, for any normal fraction. */
function scaleAny(fraction: number, exponent: number): number {
  words[0] = fraction;
  const total = ((halves[1]! >>> 20) & 0x7ff) - 1023 + exponent;
  halves[1] = (halves[1]! & 0x800fffff) | 0x3ff00000;
  const significand = words[0];
  if (total > 1023) return significand * Infinity;
  if (total >= -1022) return significand * powerOfTwo(total);
  return significand * powerOfTwo(Math.max(total, -1100) + 100) * 2 ** -100;
}
