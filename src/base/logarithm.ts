import { powerOfTwo } from "./exponential.ts";

/**
 * Logarithms, to the last bit those of Go's math package on amd64 (the approximations of FreeBSD's msun), so that results
 * are Prometheus's: V8's own differ for some arguments.
 */

const words = new Float64Array(1);
const halves = new Uint32Array(words.buffer);

const LN2_HIGH = 6.9314718036912381649e-1;
const LN2_LOW = 1.90821492927058770002e-10;

/**
 * The natural logarithm. As in Go on amd64, subnormal arguments are taken for others near the smallest normal float.
 */
export function log(x: number): number {
  if (x !== x || x === Infinity) return x;
  if (x < 0) return NaN;
  if (x === 0) return -Infinity;
  if (x < 2 ** -1022) return logOf(0.5 + x * 2 ** 1021, -1022);
  words[0] = x;
  const exponent = (halves[1]! >>> 20) - 1022;
  return logOf(x * powerOfTwo(-exponent), exponent);
}

/** The decimal logarithm, subnormal arguments as in `log`. */
export function log10(x: number): number {
  return log(x) * Math.LOG10E;
}

/** The base-2 logarithm; exact for powers of two. */
export function log2(x: number): number {
  if (x !== x || x === Infinity) return x;
  if (x < 0) return NaN;
  if (x === 0) return -Infinity;
  const shift = x < 2 ** -1022 ? 52 : 0;
  const normal = x * powerOfTwo(shift);
  words[0] = normal;
  const exponent = (halves[1]! >>> 20) - 1022;
  const fraction = normal * powerOfTwo(-exponent);
  if (fraction === 0.5) return exponent - shift - 1;
  return logOf(fraction, 0) * Math.LOG2E + (exponent - shift);
}

/** ln(fraction · 2^exponent) for fractions in [0.5, 1). */
function logOf(fraction: number, exponent: number): number {
  let k = exponent;
  let f = fraction;
  if (f <= Math.SQRT1_2) {
    f *= 2;
    k--;
  }
  f -= 1;
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

/** ln(1 + x), exact to the last places also for small x. */
export function log1p(x: number): number {
  if (x !== x || x === Infinity) return x;
  if (x < -1) return NaN;
  if (x === -1) return -Infinity;
  const size = Math.abs(x);
  if (size < 2 ** -54) return x;
  if (size < 2 ** -29) return x - x * x * 0.5;
  // From √½ − 1 to √2 − 1.
  if (x > -0.2928932188134525 && x < 0.41421356237309503) return logNearOne(x);
  // 1 + x = 2^k · (1 + f), and `c` is what rounding took from it.
  const u = size < 2 ** 53 ? 1 + x : x;
  words[0] = u;
  const high = halves[1]!;
  let k = (high >>> 20) - 1023;
  let c = 0;
  if (size < 2 ** 53) c = (k > 0 ? 1 - (u - x) : x - (u - 1)) / u;
  halves[1] = (high & 0x000fffff) | 0x3ff00000;
  let f = words[0];
  if (f >= Math.SQRT2) {
    f *= 0.5;
    k++;
  }
  f -= 1;
  if (k === 0) return logNearOne(f);
  const low = k * LN2_LOW + c;
  if (f === 0) return k * LN2_HIGH + low;
  const halfSquare = 0.5 * f * f;
  if (f < 0 && f >= -3 * 2 ** -53) {
    const rest = halfSquare * (1 - 0.6666666666666666 * f);
    return k * LN2_HIGH - (rest - low - f);
  }
  const s = f / (2 + f);
  return k * LN2_HIGH - (halfSquare - (s * (halfSquare + tailOf(s * s)) + low) - f);
}

function logNearOne(f: number): number {
  const halfSquare = 0.5 * f * f;
  const s = f / (2 + f);
  return f - (halfSquare - s * (halfSquare + tailOf(s * s)));
}

/** What is left of (ln(1 + s) − ln(1 − s)) / s − 2, by its terms in s². */
function tailOf(z: number): number {
  return (
    z *
    (6.66666666666673513e-1 +
      z *
        (3.999999999940941908e-1 +
          z *
            (2.857142874366239149e-1 +
              z *
                (2.222219843214978396e-1 +
                  z *
                    (1.818357216161805012e-1 +
                      z * (1.531383769920937332e-1 + z * 1.479819860511658591e-1))))))
  );
}
