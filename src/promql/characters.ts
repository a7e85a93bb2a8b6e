/** Classes of UTF-16 units. NaN, which `charCodeAt` gives past the end, is in none of them. */
const TAB = 0x09;
const NEWLINE = 0x0a;
const RETURN = 0x0d;
const SPACE = 0x20;
const UNDERSCORE = 0x5f;

export function isSpace(unit: number): boolean {
  return unit === SPACE || unit === TAB || unit === NEWLINE || unit === RETURN;
}

export function isLineEnd(unit: number): boolean {
  return unit === NEWLINE || unit === RETURN;
}

export function isDigit(unit: number): boolean {
  return unit >= 0x30 && unit <= 0x39;
}

export function isAlpha(unit: number): boolean {
  return (unit >= 0x61 && unit <= 0x7a) || (unit >= 0x41 && unit <= 0x5a) || unit === UNDERSCORE;
}

export function isAlphaNumeric(unit: number): boolean {
  return isAlpha(unit) || isDigit(unit);
}
