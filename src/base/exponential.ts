/**
 * Powers of e and of two, to the last bit those of Go's math package on amd64, so that results are Prometheus's: V8's own
 * differ for some arguments. There e^x is an assembly routine (after N. Shibata, "Efficient evaluation methods of
 * elementary functions suitable for SIMD computation", 2010) that uses fused multiplications and additions, which JavaScript has
 * not: where their single rounding could show, it is found here by error-free transformations (Dekker, Knuth).
 */

const words = new Float64Array(1);
const halves = new Uint32Array(words.buffer);

const LN2_HIGH = 6.9314718036912381649e-1;
const LN2_LOW = 1.90821492927058770002e-10;

/** 2^-1074 to 2^1023. A processor waits for a float whose halves were just written, but not for these. */
const POWERS = new Float64Array(2098);
for (let i = 0, power = Number.MIN_VALUE; i < POWERS.length; i++, power *= 2) POWERS[i] = power;

/** 2^exponent for whole exponents, exact over the whole range of floats. */
export function powerOfTwo(exponent: number): number {
  if (exponent > 1023) return Infinity;
  if (exponent < -1074) return 0;
  return POWERS[exponent + 1074]!;
}

/** fraction · 2^exponent, rounded once, for fractions from 2^-500 to 2^500 or 0. */
export function scale(fraction: number, exponent: number): number {
  if (exponent > 1023) return fraction * 2 ** 1023 * powerOfTwo(exponent - 1023);
  if (exponent < -1000) return fraction * 2 ** -500 * powerOfTwo(exponent + 500);
  return fraction * powerOfTwo(exponent);
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

/** Added and taken away again, it rounds to the nearest whole number, halves to even ones. */
const ROUNDER = 1.5 * 2 ** 52;

/** ln 2 in two parts for the reduction of e^x: times a whole number up to 11 bits long the first one is exact. */
const REDUCE_HIGH = 0.69314718055966295651160180568695068359375;
const REDUCE_LOW = 2.8235290563031577e-13;
/** The second one in two parts that are exact in the same way. */
const REDUCE_LOW_HEAD = headOf(REDUCE_LOW);
const REDUCE_LOW_TAIL = REDUCE_LOW - REDUCE_LOW_HEAD;

/** Below it e^x is less than half of the smallest float. */
const EXP_MIN = -746;

/**
 * e^x. As in Go, it is infinite from 1023.5 · ln 2 (709.43…) on, where e^x would still be a float up to 709.78….
 */
export function exp(x: number): number {
  if (x !== x) return x;
  if (x < EXP_MIN) return 0;
  const exponent = x * Math.LOG2E + ROUNDER - ROUNDER;
  if (exponent >= 1024) return Infinity;
  // e^x = 2^exponent · (e^r)^16.
  const r = 0.0625 * reduced(x, exponent);
  let y = r * seriesOf(r);
  // From e^s − 1 to e^2s − 1, four times.
  y *= y + 2;
  y *= y + 2;
  y *= y + 2;
  y = fusedMultiplyAdd(y, y + 2, 1);
  if (exponent > -1023) return y * powerOfTwo(exponent);
  return y * powerOfTwo(exponent + 1022) * 2 ** -1022;
}

/** x − exponent · ln 2, where the second part of ln 2 is multiplied and taken away with one rounding. */
function reduced(x: number, exponent: number): number {
  const high = x - exponent * REDUCE_HIGH;
  const low = exponent * REDUCE_LOW;
  // Fast path: the rounding of `low` cannot matter when its neighbours lead to the same result.
  const result = high - low * (1 + 2 ** -52);
  if (result === high - low * (1 - 2 ** -52)) return result;
  const error = exponent * REDUCE_LOW_HEAD - low + exponent * REDUCE_LOW_TAIL;
  return roundedSum(high, -low, -error);
}

/** (e^r − 1) / r by its Taylor series, for |r| up to ln 2 / 32. */
function seriesOf(r: number): number {
  const sum =
    (((((2.48015873015873e-5 * r + 1.984126984126984e-4) * r + 1.388888888888889e-3) * r +
      8.333333333333333e-3) *
      r +
      4.1666666666666664e-2) *
      r +
      0.16666666666666666) *
      r +
    0.5;
  // Fast path: without fused operations `sum` is off by less than 1.1 · 2^-53, and `product`, rounded itself, by less than
  // 1.6 · 2^-53 · |r|. When everything within 2^-52 · |r| rounds to the same number behind 1, that one is right.
  const product = sum * r;
  const total = 1 + product;
  const error = product - (total - 1);
  const margin = r * 2 ** -52;
  const result = total + (error + margin);
  return result === total + (error - margin) ? result : fusedSeriesOf(r);
}

function fusedSeriesOf(r: number): number {
  let sum = fusedMultiplyAdd(2.48015873015873e-5, r, 1.984126984126984e-4);
  sum = fusedMultiplyAdd(sum, r, 1.388888888888889e-3);
  sum = fusedMultiplyAdd(sum, r, 8.333333333333333e-3);
  sum = fusedMultiplyAdd(sum, r, 4.1666666666666664e-2);
  sum = fusedMultiplyAdd(sum, r, 0.16666666666666666);
  sum = fusedMultiplyAdd(sum, r, 0.5);
  return fusedMultiplyAdd(sum, r, 1);
}

/** a · b + c, rounded once; none of them so large or small that a part of the product over- or underflows and counts. */
function fusedMultiplyAdd(a: number, b: number, c: number): number {
  const aHead = headOf(a);
  const aTail = a - aHead;
  const bHead = headOf(b);
  const bTail = b - bHead;
  const product = a * b;
  const error = aHead * bHead - product + aHead * bTail + aTail * bHead + aTail * bTail;
  return roundedSum(c, product, error);
}

/** `x` cut to 26 bits, so that products of heads and tails are exact. */
function headOf(x: number): number {
  const y = x * (2 ** 27 + 1);
  return y - (y - x);
}

/** a + b + c, rounded once, where c is at most half of b's last place. */
function roundedSum(a: number, b: number, c: number): number {
  const sum = a + b;
  const bPart = sum - a;
  const error = a - (sum - bPart) + (b - bPart);
  const rest = error + c;
  const result = sum + rest;
  // Fast path: the rounding of `rest` cannot matter when its neighbours lead to the same result.
  if (sum + rest * (1 - 2 ** -52) === result && sum + rest * (1 + 2 ** -52) === result)
    return result;
  const cPart = rest - error;
  const lost = error - (rest - cPart) + (c - cPart);
  return lost === 0 ? result : sum + roundedToOdd(rest, lost);
}

/** x + lost cut to an odd last bit, so that a further rounding to fewer bits is right (Boldo and Melquiond). */
function roundedToOdd(x: number, lost: number): number {
  words[0] = x;
  if ((halves[0]! & 1) === 0) {
    if (x > 0 === lost > 0) halves[0]! |= 1;
    else {
      if (halves[0] === 0) halves[1]!--;
      halves[0]!--;
    }
  }
  return words[0];
}
