// Points of the HTTP API as JSON, in AssemblyScript: json-points.ts says why, json-points.test.ts compiles it.
//
// Floats become text by Schubfach (Raffaello Giulietti, "The Schubfach way to render doubles", 2021): three products of
// the float's bounds with a power of ten tell the shortest digits between them. `formatSampleValue` in float.ts is the
// definition this is tested against.

const SLOT_BYTES: usize = 32;
/** Where a slot of a time keeps the length of its text. */
const SLOT_LENGTH: usize = 31;
const MIN_EXPONENT: i32 = -292;

/** Two digits for each number below 100. */
const PAIRS = memory.data(200);
const SCRATCH = memory.data(32);

/** 128 bits of each power of ten from 10^-292 to 10^324, high word first; filled by the host. */
let powers: usize = 0;

export function initialize(powersOfTen: usize): void {
  powers = powersOfTen;
  for (let i = 0; i < 100; i++) {
    store<u8>(PAIRS + (i << 1), 48 + i / 10);
    store<u8>(PAIRS + (i << 1) + 1, 48 + (i % 10));
  }
}

let productHigh: u64 = 0;
let productLow: u64 = 0;

// @ts-ignore: decorator
@inline
function multiply(a: u64, b: u64): void {
  const a0 = a & 0xffffffff;
  const a1 = a >> 32;
  const b0 = b & 0xffffffff;
  const b1 = b >> 32;
  const low = a0 * b0;
  const cross0 = a0 * b1;
  const cross1 = a1 * b0;
  const middle = (low >> 32) + (cross0 & 0xffffffff) + (cross1 & 0xffffffff);
  productHigh = a1 * b1 + (cross0 >> 32) + (cross1 >> 32) + (middle >> 32);
  productLow = (low & 0xffffffff) | (middle << 32);
}

/** The top 64 of 192 bits, the last one set if anything below it is: enough to compare with. */
// @ts-ignore: decorator
@inline
function scaled(powerHigh: u64, powerLow: u64, value: u64): u64 {
  multiply(powerLow, value);
  const carry = productHigh;
  multiply(powerHigh, value);
  const low = productLow + carry;
  const high = productHigh + u64(low < carry);
  return high | u64(low > 1);
}

// @ts-ignore: decorator
@inline
function put4(out: usize, value: u32): void {
  const high = value / 100;
  store<u16>(out, load<u16>(PAIRS + (high << 1)));
  store<u16>(out, load<u16>(PAIRS + ((value - high * 100) << 1)), 2);
}

// @ts-ignore: decorator
@inline
function put8(out: usize, value: u32): void {
  const high = value / 10000;
  put4(out, high);
  put4(out + 4, value - high * 10000);
}

/** Digits without leading zeros; the end. */
function putWhole(out: usize, value: u64): usize {
  if (value < 100000000) {
    const small = <u32>value;
    put8(SCRATCH, small);
    const count: usize =
      small < 10000
        ? small < 100
          ? small < 10 ? 1 : 2
          : small < 1000 ? 3 : 4
        : small < 1000000
          ? small < 100000 ? 5 : 6
          : small < 10000000 ? 7 : 8;
    store<u64>(out, load<u64>(SCRATCH + 8 - count));
    return out + count;
  }
  const high = value / 100000000;
  const end = putWhole(out, high);
  put8(end, <u32>(value - high * 100000000));
  return end + 8;
}

/** A sample value as the HTTP API has it; writes up to 40 bytes from `out` on, of which those before the result count. */
export function putFloat(out: usize, value: f64): usize {
  const bits = reinterpret<u64>(value);
  const exponentBits = <i32>((bits >> 52) & 0x7ff);
  const fraction = bits & 0xfffffffffffff;
  if (exponentBits == 0x7ff) {
    if (fraction != 0) {
      store<u32>(out, 0x4e614e); // NaN
      return out + 3;
    }
    store<u32>(out, (bits >> 63) != 0 ? 0x666e492d : 0x666e492b); // -Inf, +Inf
    return out + 4;
  }
  if ((bits >> 63) != 0) store<u8>(out++, 45);
  const magnitude = abs(value);
  if (magnitude < 9007199254740992 && magnitude == floor(magnitude))
    return putWhole(out, <u64>magnitude);

  let significand: u64 = fraction;
  let exponent: i32 = -1074;
  if (exponentBits != 0) {
    significand = fraction | 0x10000000000000;
    exponent = exponentBits - 1075;
  }
  const isEven = (significand & 1) == 0;
  // Below a power of two the floats lie twice as dense as above it.
  const isLowerCloser = fraction == 0 && exponentBits > 1;
  let k = (exponent * 1262611 - (isLowerCloser ? 524031 : 0)) >> 22;
  const shift = <u64>(exponent + ((-k * 1741647) >> 19) + 1);
  const power = powers + (<usize>(-k - MIN_EXPONENT) << 4);
  const powerHigh = load<u64>(power);
  const powerLow = load<u64>(power, 8);
  const low = scaled(powerHigh, powerLow, (4 * significand - 2 + u64(isLowerCloser)) << shift);
  const exact = scaled(powerHigh, powerLow, (4 * significand) << shift);
  const high = scaled(powerHigh, powerLow, (4 * significand + 2) << shift);
  const lower = low + u64(!isEven);
  const upper = high - u64(!isEven);
  const whole = exact >> 2;
  let digits: u64 = 0;
  let found = false;
  if (whole >= 10) {
    const tens = whole / 10;
    const isBelowInside = lower <= 40 * tens;
    const isAboveInside = 40 * tens + 40 <= upper;
    if (isBelowInside != isAboveInside) {
      digits = tens + u64(isAboveInside);
      k++;
      found = true;
    }
  }
  if (!found) {
    const isBelowInside = lower <= 4 * whole;
    const isAboveInside = 4 * whole + 4 <= upper;
    if (isBelowInside != isAboveInside) digits = whole + u64(isAboveInside);
    else {
      const middle = 4 * whole + 2;
      digits = whole + u64(exact > middle || (exact == middle && (whole & 1) != 0));
    }
  }
  while (digits % 10000 == 0) {
    digits /= 10000;
    k += 4;
  }
  while (digits % 10 == 0) {
    digits /= 10;
    k++;
  }

  if (magnitude < 1e-6 || magnitude >= 1e21) {
    const end = putWhole(out + 1, digits);
    const count = <i32>(end - out) - 1;
    store<u8>(out, load<u8>(out, 1));
    let power10 = k + count - 1;
    out++;
    if (count > 1) {
      store<u8>(out, 46);
      out = end;
    }
    store<u8>(out++, 101);
    if (power10 < 0) {
      store<u8>(out++, 45);
      power10 = -power10;
    } else store<u8>(out++, 43);
    if (power10 < 10) store<u8>(out++, 48);
    return putWhole(out, power10);
  }
  if (k >= 0) {
    out = putWhole(out, digits);
    while (k-- > 0) store<u8>(out++, 48);
    return out;
  }
  // The digits go one place to the right of where they belong; those before the point move back.
  const point = <i32>digitCount(digits) + k;
  if (point <= 0) {
    store<u64>(out, 0x3030303030302e30); // 0.000000
    return putWhole(out + 2 - point, digits);
  }
  const end = putWhole(out + 1, digits);
  for (let i = 0; i < point; i++) store<u8>(out + i, load<u8>(out + i, 1));
  store<u8>(out + point, 46);
  return end;
}

// @ts-ignore: decorator
@inline
function digitCount(value: u64): u32 {
  let count: u32 = 1;
  if (value >= 10000000000000000) return 17;
  if (value >= 100000000) {
    count = 9;
    value /= 100000000;
  }
  if (value >= 10000) {
    count += 4;
    value /= 10000;
  }
  if (value >= 100) {
    count += 2;
    value /= 100;
  }
  return count + u32(value >= 10);
}

/** Renders `count` times (ms, whole numbers up to ±2^53) as `[seconds,"` into slots. */
export function prepareTimes(times: usize, count: i32, slots: usize): void {
  for (let i = 0; i < count; i++) {
    const slot = slots + <usize>i * SLOT_BYTES;
    let out = slot;
    store<u8>(out++, 91);
    const timeMs = load<f64>(times + (<usize>i << 3));
    if (timeMs < 0) store<u8>(out++, 45);
    const magnitude = <u64>abs(timeMs);
    const seconds = magnitude / 1000;
    let rest = <u32>(magnitude - seconds * 1000);
    out = putWhole(out, seconds);
    if (rest != 0) {
      store<u8>(out++, 46);
      store<u8>(out++, 48 + rest / 100);
      rest %= 100;
      if (rest != 0) {
        store<u8>(out++, 48 + rest / 10);
        rest %= 10;
        if (rest != 0) store<u8>(out++, 48 + rest);
      }
    }
    store<u16>(out, 0x222c); // ,"
    store<u8>(slot + SLOT_LENGTH, <u8>(out + 2 - slot));
  }
}

/** `[time,"value"],[time,"value"]…` for `count` ≥ 1 points whose times stand in slots; the end. */
export function putPoints(slots: usize, values: usize, count: i32, out: usize): usize {
  let before: u64 = 0;
  let text: usize = 0;
  let length: usize = 0;
  for (let i = 0; i < count; i++) {
    const slot = slots + <usize>i * SLOT_BYTES;
    store<u64>(out, load<u64>(slot));
    store<u64>(out, load<u64>(slot, 8), 8);
    store<u64>(out, load<u64>(slot, 16), 16);
    out += <usize>load<u8>(slot + SLOT_LENGTH);
    const bits = load<u64>(values + (<usize>i << 3));
    // Many series stand still for long.
    if (length != 0 && bits == before) {
      const first = load<u64>(text);
      const second = load<u64>(text, 8);
      const third = load<u64>(text, 16);
      const fourth = load<u64>(text, 24);
      store<u64>(out, first);
      store<u64>(out, second, 8);
      store<u64>(out, third, 16);
      store<u64>(out, fourth, 24);
      text = out;
      out += length;
    } else {
      text = out;
      out = putFloat(out, reinterpret<f64>(bits));
      length = out - text;
      before = bits;
    }
    store<u32>(out, 0x2c5d22); // "],
    out += 3;
  }
  return out - 1;
}
