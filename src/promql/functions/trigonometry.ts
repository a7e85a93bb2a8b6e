import { powerOfTwo } from "../../base/exponential.ts";

/**
 * Trigonometric functions and their inverses, to the last bit those of Go's math package on amd64 (the approximations of the
 * Cephes library), so that results are Prometheus's: V8's own differ for some arguments.
 */

const words = new Float64Array(1);
const halves = new Uint32Array(words.buffer);

/** π/4 in three parts; a whole number up to 30 bits long times one of the first two is exact. */
const QUARTER_HIGH = 7.85398125648498535156e-1;
const QUARTER_MIDDLE = 3.77489470793079817668e-8;
const QUARTER_LOW = 2.6951514290790595e-15;

/** From here on arguments are reduced with as many digits of 4/π as it takes. */
const HUGE = 2 ** 29;

/** What `reduce` found besides the rest that it returns: the argument is `octant · π/4 + rest`, up to whole turns. It is even. */
let octant = 0;

export function sin(x: number): number {
  if (x === 0 || x !== x) return x;
  if (x === Infinity || x === -Infinity) return NaN;
  const rest = reduce(Math.abs(x));
  const square = rest * rest;
  const y = (octant & 2) === 0 ? sineOf(rest, square) : cosineOf(square);
  return x < 0 === octant < 4 ? -y : y;
}

export function cos(x: number): number {
  if (x !== x || x === Infinity || x === -Infinity) return NaN;
  const rest = reduce(Math.abs(x));
  const square = rest * rest;
  const y = (octant & 2) === 0 ? cosineOf(square) : sineOf(rest, square);
  return octant === 2 || octant === 4 ? -y : y;
}

export function tan(x: number): number {
  if (x === 0 || x !== x) return x;
  if (x === Infinity || x === -Infinity) return NaN;
  const rest = reduce(Math.abs(x));
  const z = rest * rest;
  let y = rest;
  if (z > 1e-14) {
    const p = (-1.3093693918138379e4 * z + 1.1535166483858742e6) * z;
    const q = ((z + 1.3681296347069296e4) * z - 1.3208923444021097e6) * z;
    y +=
      rest *
      ((z * (p - 1.7956525197648488e7)) / ((q + 2.500838018233579e7) * z - 5.3869575592945464e7));
  }
  if ((octant & 2) !== 0) y = -1 / y;
  return x < 0 ? -y : y;
}

/** The sine of `x`, from −π/4 to π/4. */
function sineOf(x: number, square: number): number {
  return (
    x +
    x *
      square *
      (((((1.5896230157654656e-10 * square - 2.5050747762857807e-8) * square +
        2.7557313621385722e-6) *
        square -
        1.984126982958954e-4) *
        square +
        8.333333333322118e-3) *
        square -
        0.1666666666666663)
  );
}

/** The cosine of what has this square. */
function cosineOf(square: number): number {
  return (
    1 -
    0.5 * square +
    square *
      square *
      (((((-1.1358536521387682e-11 * square + 2.087570084197473e-9) * square -
        2.755731417929674e-7) *
        square +
        2.4801587288851704e-5) *
        square -
        1.3888888888873056e-3) *
        square +
        4.1666666666666595e-2)
  );
}

function reduce(x: number): number {
  if (x >= HUGE) return reduceHuge(x);
  let quarters = (x * (4 / Math.PI)) | 0;
  quarters += quarters & 1;
  octant = quarters & 7;
  return x - quarters * QUARTER_HIGH - quarters * QUARTER_MIDDLE - quarters * QUARTER_LOW;
}

/** 4/π in digits of 24 bits: the first is 1, the others are behind the point. */
const FOUR_OVER_PI = Int32Array.from(
  (
    "000001" +
    "45f306dc9c882a53f84eafa3ea69bb81b6c52b3278872083fca2c757bd778ac36e48dc74849ba5c00c925dd413a32439fc3b" +
    "d63962534e7dd1046bea5d768909d338e04d68befc827323ac7306a673e93908bf177bf250763ff12fffbc0b301fde5e2316" +
    "b414da3eda6cfd9e4f96136e9e8c7ecd3cbfd45aea4f758fd7cbe2f67a0e73ef14a525d4d7f6bf623f1aba10ac06608df8f6d757e1"
  ).match(/.{6}/g)!,
  (digit) => Number.parseInt(digit, 16),
);

/** Enough digits behind the point for 53 bits of a rest as small as the product of a float and 4/π can have. */
const DIGITS = 8;
const digits = new Int32Array(DIGITS);

/**
 * The reduction of Payne and Hanek: of x · 4/π the digits around the point, because those far before it are whole turns, and
 * those far behind it are lost in rounding.
 */
function reduceHuge(x: number): number {
  // 2^exponent is the last place of x.
  words[0] = x;
  const exponent = (halves[1]! >>> 20) - 1075;
  // The first digit of 4/π that does not make whole turns of all of x.
  const first = exponent < 3 ? 0 : Math.floor((exponent - 3) / 24) + 1;
  // x in digits of 24 bits, three before the point and one behind it, where x counts in units of that digit.
  let part = x * powerOfTwo(-24 * first - 48);
  const a = Math.floor(part);
  part = (part - a) * 2 ** 24;
  const b = Math.floor(part);
  part = (part - b) * 2 ** 24;
  const c = Math.floor(part);
  const d = (part - c) * 2 ** 24;
  let carry = 0;
  for (let k = DIGITS - 1; k >= 0; k--) {
    const at = first + k;
    const sum =
      carry +
      a * FOUR_OVER_PI[at + 2]! +
      b * FOUR_OVER_PI[at + 1]! +
      c * FOUR_OVER_PI[at]! +
      (at === 0 ? 0 : d * FOUR_OVER_PI[at - 1]!);
    carry = Math.floor(sum * 2 ** -24);
    digits[k] = sum - carry * 2 ** 24;
  }
  if (digits[1]! < 1 << 12) repeatThreeBits();
  // The fraction, cut behind 53 bits.
  let lead = 1;
  while (digits[lead] === 0) lead++;
  const bits = 29 - (32 - Math.clz32(digits[lead]!));
  let fraction = digits[lead]! * 2 ** 24 + digits[lead + 1]!;
  fraction =
    bits <= 24
      ? fraction * (1 << bits) + (digits[lead + 2]! >>> (24 - bits))
      : (fraction * 2 ** 24 + digits[lead + 2]!) * (1 << (bits - 24)) +
        (digits[lead + 3]! >>> (48 - bits));
  fraction *= powerOfTwo(-24 * (lead + 1) - bits);
  octant = digits[0]! & 7;
  if ((octant & 1) !== 0) {
    octant = (octant + 1) & 7;
    fraction -= 1;
  }
  return fraction * (Math.PI / 4);
}

/**
 * As Go goes on from the first 64 bits behind the point with the last three of them once more, which shows in what begins with
 * twelve zeros.
 */
function repeatThreeBits(): void {
  for (let k = DIGITS - 1; k > 3; k--)
    digits[k] = ((digits[k - 1]! & 7) << 21) | (digits[k]! >>> 3);
  digits[3] = (digits[3]! & 0xffff00) | ((digits[3]! >>> 3) & 0xff);
}

export function asin(x: number): number {
  if (x === 0) return x;
  const size = Math.abs(x);
  if (size > 1) return NaN;
  const other = Math.sqrt(1 - size * size);
  const angle = size > 0.7 ? Math.PI / 2 - angleOf(other / size) : angleOf(size / other);
  return x < 0 ? -angle : angle;
}

export function acos(x: number): number {
  return Math.PI / 2 - asin(x);
}

export function atan(x: number): number {
  if (x === 0) return x;
  return x > 0 ? angleOf(x) : -angleOf(-x);
}

/** The angle of the point (x, y), of what is left of −π to π. */
export function atan2(y: number, x: number): number {
  // What is exact, or has a zero or an infinity, is the same in JavaScript.
  if (x === 0 || y === 0 || !Number.isFinite(x) || !Number.isFinite(y)) return Math.atan2(y, x);
  const angle = atan(y / x);
  if (x > 0) return angle;
  return angle <= 0 ? angle + Math.PI : angle - Math.PI;
}

/** π/2 is the float next to it and this. */
const HALF_PI_REST = 6.123233995736766e-17;
/** tan(3π/8). */
const TAN_THREE_EIGHTHS = 2.414213562373095;

/** The arc tangent of what is not negative. */
function angleOf(x: number): number {
  if (x <= 0.66) return smallAngleOf(x);
  if (x > TAN_THREE_EIGHTHS) return Math.PI / 2 - smallAngleOf(1 / x) + HALF_PI_REST;
  return Math.PI / 4 + smallAngleOf((x - 1) / (x + 1)) + 0.5 * HALF_PI_REST;
}

function smallAngleOf(x: number): number {
  const z = x * x;
  const p =
    (((-0.8750608600031904 * z - 1.6157537187333652e1) * z - 7.500855792314705e1) * z -
      1.2288666844901361e2) *
      z -
    6.485021904942025e1;
  const q =
    ((((z + 2.4858464901423062e1) * z + 1.6502700983169885e2) * z + 4.3288106049129027e2) * z +
      4.853903996359137e2) *
      z +
    1.945506571482614e2;
  return x * ((z * p) / q) + x;
}
