import { exp } from "../../base/exponential.ts";
import { log, log1p } from "../../base/logarithm.ts";

/**
 * Hyperbolic functions and their inverses, to the last bit those of Go's math package on amd64 (of Cephes and FreeBSD's msun),
 * so that results are Prometheus's: V8's own differ for some arguments. Where a size is not taken by `Math.abs`, −0 stays −0.
 */

export function sinh(x: number): number {
  const size = x < 0 ? -x : x;
  let y: number;
  if (size > 21) y = exp(size) * 0.5;
  else if (size > 0.5) {
    const e = exp(size);
    y = (e - 1 / e) * 0.5;
  } else {
    const z = size * size;
    const p =
      ((-2.630563213397497e1 * z - 2.894211355989564e3) * z - 8.991272022039509e4) * z -
      6.307673640497717e5;
    const q = ((z - 1.736789535582337e2) * z + 1.521517378790019e4) * z - 6.307673640497717e5;
    y = (p * size) / q;
  }
  return x < 0 ? -y : y;
}

export function cosh(x: number): number {
  const size = Math.abs(x);
  const e = exp(size);
  return size > 21 ? e * 0.5 : (e + 1 / e) * 0.5;
}

/** Half of ln 2^127: from here on the hyperbolic tangent is 1. */
const TANH_MAX = 0.5 * 8.802969193111305e1;

export function tanh(x: number): number {
  const size = Math.abs(x);
  if (size > TANH_MAX) return x < 0 ? -1 : 1;
  if (size >= 0.625) {
    const y = 1 - 2 / (exp(2 * size) + 1);
    return x < 0 ? -y : y;
  }
  if (x === 0) return x;
  const z = x * x;
  const p = (-0.9643991794250523 * z - 9.928772310019185e1) * z;
  const q = ((z + 1.1281167849163293e2) * z + 2.2354883906010045e3) * z;
  return x + (x * z * (p - 1.6146876844170845e3)) / (q + 4.844063053251255e3);
}

export function asinh(x: number): number {
  const size = x < 0 ? -x : x;
  let y = size;
  if (size > 2 ** 28) y = log(size) + Math.LN2;
  else if (size > 2) y = log(2 * size + 1 / (Math.sqrt(size * size + 1) + size));
  else if (size >= 2 ** -28) y = log1p(size + (size * size) / (1 + Math.sqrt(1 + size * size)));
  return x < 0 ? -y : y;
}

export function acosh(x: number): number {
  if (!(x >= 1)) return NaN;
  if (x >= 2 ** 28) return log(x) + Math.LN2;
  if (x > 2) return log(2 * x - 1 / (x + Math.sqrt(x * x - 1)));
  const t = x - 1;
  return log1p(t + Math.sqrt(2 * t + t * t));
}

export function atanh(x: number): number {
  const size = x < 0 ? -x : x;
  if (!(size <= 1)) return NaN;
  let y = size;
  if (size >= 0.5) y = 0.5 * log1p((size + size) / (1 - size));
  else if (size >= 2 ** -28) {
    const double = size + size;
    y = 0.5 * log1p(double + (double * size) / (1 - size));
  }
  return x < 0 ? -y : y;
}
