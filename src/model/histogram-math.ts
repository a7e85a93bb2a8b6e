/**
 * Logarithm, power and sum as Prometheus's results show them: the fdlibm approximations in the shape Go evaluates
 * them (on amd64, without fused operations), since V8's own differ in the last bit for some arguments.
 */

const words = new Float64Array(1);
const halves = new Uint32Array(words.buffer);

const LN2_HIGH = 6.9314718036912381649e-1;
const LN2_LOW = 1.90821492927058770002e-10;

/** 2^exponent for whole exponents, exact over the whole range of floats. */
export function powerOfTwo(exponent: number): number {
  if (exponent > 1023) return Infinity;
  if (exponent < -1074) return 0;
  halves[0] = 0;
  halves[1] = 0;
  if (exponent >= -1022) halves[1] = (exponent + 1023) << 20;
  else if (exponent >= -1042) halves[1] = 1 << (exponent + 1042);
  else halves[0] = 1 << (exponent + 1074);
  return words[0]!;
}

/** fraction · 2^exponent, rounded once. */
export function scale(fraction: number, exponent: number): number {
  if (exponent > 1023) return fraction * 2 ** 1023 * powerOfTwo(exponent - 1023);
  if (exponent < -1000) return fraction * 2 ** -500 * powerOfTwo(exponent + 500);
  return fraction * powerOfTwo(exponent);
}

/** The base-2 logarithm; exact for powers of two. */
export function log2(x: number): number {
  if (x !== x || x === Infinity) return x;
  if (x < 0) return NaN;
  if (x === 0) return -Infinity;
  let exponent = 0;
  words[0] = x;
  if (halves[1]! < 0x00100000) {
    words[0] = x * 2 ** 52;
    exponent = -52;
  }
  exponent += (halves[1]! >>> 20) - 1022;
  halves[1] = (halves[1]! & 0x000fffff) | (1022 << 20);
  const fraction = words[0];
  if (fraction === 0.5) return exponent - 1;
  return logOfFraction(fraction) * (1 / Math.LN2) + exponent;
}

/** The natural logarithm of a number in [0.5, 1). */
function logOfFraction(fraction: number): number {
  const low = fraction < Math.SQRT2 / 2;
  const f = (low ? fraction * 2 : fraction) - 1;
  const k = low ? -1 : 0;
  const s = f / (2 + f);
  const s2 = s * s;
  const s4 = s2 * s2;
  const odd =
    s2 *
    (6.66666666666673513e-1 +
      s4 *
        (2.857142874366239149e-1 + s4 * (1.818357216161805012e-1 + s4 * 1.479819860511658591e-1)));
  const even =
    s4 * (3.999999999940941908e-1 + s4 * (2.222219843214978396e-1 + s4 * 1.531383769920937332e-1));
  const halfSquare = 0.5 * f * f;
  return k * LN2_HIGH - (halfSquare - (s * (halfSquare + (odd + even)) + k * LN2_LOW) - f);
}

/** 2^x. */
export function exp2(x: number): number {
  if (x !== x) return x;
  if (x > 1.0239999999999999e3) return Infinity;
  if (x < -1.074e3) return 0;
  const k = Math.trunc(x > 0 ? x + 0.5 : x - 0.5);
  const t = x - k;
  const high = t * LN2_HIGH;
  const low = -t * LN2_LOW;
  const r = high - low;
  const square = r * r;
  const c =
    r -
    square *
      (1.66666666666666657415e-1 +
        square *
          (-2.77777777770155933842e-3 +
            square *
              (6.61375632143793436117e-5 +
                square * (-1.6533902205465251539e-6 + square * 4.13813679705723846039e-8))));
  return scale(1 - (low - (r * c) / (2 - c) - high), k);
}

/** The rounding error of `sum + increment`, to be added to the compensation (Kahan's sum with Neumaier's swap). */
export function sumError(increment: number, sum: number, total: number): number {
  return Math.abs(sum) >= Math.abs(increment) ? sum - total + increment : increment - total + sum;
}

/** A running sum: `add` keeps `sum` and what rounding took from it in `compensation`; an infinite sum has none. */
export class KahanSum {
  sum: number;
  compensation: number;

  constructor(sum = 0, compensation = 0) {
    this.sum = sum;
    this.compensation = compensation;
  }

  add(increment: number): void {
    const total = this.sum + increment;
    if (total === Infinity || total === -Infinity) this.compensation = 0;
    else this.compensation += sumError(increment, this.sum, total);
    this.sum = total;
  }
}
