/**
 * Order and display of text as Prometheus (Go) has it: strings compare by their UTF-8 bytes, which differs from
 * JavaScript's UTF-16 order for characters above U+FFFF against U+E000–U+FFFF.
 */
export function compareText(a: string, b: string): number {
  if (a === b) return 0;
  const length = Math.min(a.length, b.length);
  for (let i = length < 2 * BLOCK ? 0 : equalBlocks(a, b); i < length; i++) {
    let x = a.charCodeAt(i);
    let y = b.charCodeAt(i);
    if (x === y) continue;
    // Surrogates (astral characters, 4 bytes in UTF-8) sort after every other unit: move them above U+FFFF.
    if (x >= 0xd800 && y >= 0xd800) {
      x = x >= 0xe000 ? x - 0x800 : x + 0x2000;
      y = y >= 0xe000 ? y - 0x800 : y + 0x2000;
    }
    return x < y ? -1 : 1;
  }
  return a.length < b.length ? -1 : 1;
}

const BLOCK = 128;

/** How many characters both texts begin with, or up to a block fewer: slices compare many times faster than characters. */
export function equalBlocks(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  let i = 0;
  let size = BLOCK;
  while (i + size <= length && a.slice(i, i + size) === b.slice(i, i + size)) {
    i += size;
    size *= 2;
  }
  while (size > BLOCK) {
    size /= 2;
    if (i + size <= length && a.slice(i, i + size) === b.slice(i, i + size)) i += size;
  }
  return i;
}

/** Go's strconv.Quote for printable text: double quotes, with \n \t \\ \" and \x, \u, \U escapes. */
export function quote(text: string): string {
  let quoted = '"';
  for (const character of text) {
    const code = character.codePointAt(0)!;
    if (character === '"' || character === "\\") quoted += `\\${character}`;
    else if (code >= 0x20 && code < 0x7f) quoted += character;
    else if (SHORT_ESCAPES[character] !== undefined) quoted += SHORT_ESCAPES[character];
    else if (code < 0x20 || code === 0x7f) quoted += `\\x${code.toString(16).padStart(2, "0")}`;
    else if (/[\p{L}\p{M}\p{N}\p{P}\p{S}]/u.test(character)) quoted += character;
    else if (code > 0xffff) quoted += `\\U${code.toString(16).padStart(8, "0")}`;
    else quoted += `\\u${code.toString(16).padStart(4, "0")}`;
  }
  return `${quoted}"`;
}

const SHORT_ESCAPES: Record<string, string> = {
  "\x07": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
};

/** The member of `candidates` nearest to `word` in edit distance, if near enough to be worth suggesting. */
export function didYouMean(word: string, candidates: Iterable<string>): string | undefined {
  let best: string | undefined;
  let bestDistance = Math.max(1, Math.floor(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word, candidate, bestDistance);
    if (distance < bestDistance) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

function editDistance(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit;
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const current = [i];
    for (let j = 1; j <= b.length; j++) {
      const substituted = previous[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      current.push(Math.min(substituted, previous[j]! + 1, current[j - 1]! + 1));
    }
    previous = current;
  }
  return previous[b.length]!;
}
