/**
 * Go's strings.ToLower and ToUpper: each character maps to one character (Unicode's simple mapping). JavaScript has the
 * full mapping, which turns ß to SS and looks at a sigma's neighbours.
 */
export function lowerCase(text: string): string {
  return isAscii(text) ? text.toLowerCase() : mapCharacters(text, simpleLower);
}

export function upperCase(text: string): string {
  return isAscii(text) ? text.toUpperCase() : mapCharacters(text, simpleUpper);
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) >= 0x80) return false;
  return true;
}

function mapCharacters(text: string, map: (character: string) => string): string {
  let mapped = "";
  for (const character of text) mapped += map(character);
  return mapped;
}

function simpleLower(character: string): string {
  // The one character whose full lower case is two: İ.
  return character === "\u0130" ? "i" : character.toLowerCase();
}

function simpleUpper(character: string): string {
  const full = character.toUpperCase();
  if (full.length === character.length) return full;
  // Greek with iota subscript: the full mapping is two letters, the simple one the title-case letter.
  const code = character.codePointAt(0)!;
  if (code >= 0x1f80 && code <= 0x1faf) return String.fromCodePoint(code | 8);
  if (code === 0x1fb3 || code === 0x1fc3 || code === 0x1ff3) return String.fromCodePoint(code + 9);
  // ß, ŉ, ﬁ, … have no upper-case character of their own. A few lower-case letters map to one of another UTF-16 length.
  return String.fromCodePoint(full.codePointAt(0)!) === full ? full : character;
}
