/** Where scripts have upper and lower case in Unicode 15, which is Go's. */
const CASED: readonly (readonly [number, number])[] = [
  [0x41, 0x5a],
  [0x61, 0x7a],
  [0xb5, 0x587],
  [0x10a0, 0x10ff],
  [0x13a0, 0x13fd],
  [0x1c80, 0x1c88],
  [0x1c90, 0x1cbf],
  [0x1d79, 0x1d8e],
  [0x1e00, 0x1fff],
  [0x2126, 0x2188],
  [0x24b6, 0x24e9],
  [0x2c00, 0x2d2d],
  [0xa640, 0xa7ca],
  [0xa7d0, 0xa7d1],
  [0xa7d6, 0xa7d9],
  [0xa7f5, 0xa7f6],
  [0xab53, 0xabbf],
  [0xff21, 0xff5a],
  [0x10400, 0x105bc],
  [0x10c80, 0x10cf2],
  [0x118a0, 0x118df],
  [0x16e40, 0x16e7f],
  [0x1e900, 0x1e943],
];

let orbits: ReadonlyMap<number, readonly number[]> | undefined;

/** Pairs of code points, with all characters that differ from one of them in case only. */
export function foldRanges(ranges: readonly number[]): readonly number[] {
  const folded = [...ranges];
  orbits ??= findOrbits();
  const add = (code: number): void => {
    for (const other of orbits!.get(code) ?? []) if (other !== code) folded.push(other, other);
  };
  for (let i = 0; i < ranges.length; i += 2) {
    const [from, to] = [ranges[i]!, ranges[i + 1]!];
    if (to - from < orbits.size) for (let code = from; code <= to; code++) add(code);
    else for (const code of orbits.keys()) if (code >= from && code <= to) add(code);
  }
  return folded;
}

/**
 * Characters that are the same but for case, by each of them: Unicode's simple folding, which maps one character to one.
 * The dotless and the dotted I stand alone in it, whatever their upper and lower case is.
 */
function findOrbits(): Map<number, number[]> {
  const found = new Map<number, number[]>();
  const join = (a: number, b: number): void => {
    const [one, other] = [found.get(a) ?? [a], found.get(b) ?? [b]];
    if (one === other) return;
    const all = [...one, ...other];
    for (const code of all) found.set(code, all);
  };
  for (const [from, to] of CASED)
    for (let code = from; code <= to; code++) {
      if (code === 0x130 || code === 0x131) continue;
      const text = String.fromCodePoint(code);
      for (const other of [text.toLowerCase(), text.toUpperCase()]) {
        const folded = other.codePointAt(0)!;
        const isOne = other.length === String.fromCodePoint(folded).length;
        if (folded !== code && isOne && isCased(folded)) join(code, folded);
      }
    }
  return found;
}

function isCased(code: number): boolean {
  return CASED.some(([from, to]) => code >= from && code <= to);
}
