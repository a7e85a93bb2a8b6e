// One step of a regular expression's clusters by a letter, in AssemblyScript: regex-clusters.ts says what they are,
// regex-kernel.ts what lies where, regex-kernel.test.ts compiles it.

/** Of the words found last. */
let hash: u32 = 0;

export function hashed(): u32 {
  return hash;
}

/** Sets the bits of inner clusters that end in `words` in the words around them. */
@inline
function end(size: usize, words: usize, tables: usize): void {
  const parents = tables + 3 * size;
  const parentBits = parents + size;
  for (let i: usize = 0; i < size - 4; i += 4) {
    const around = words + load<u32>(parents + i);
    const isEnd = <u32>((load<u32>(words + i) & load<u32>(tables + i)) != 0);
    store<u32>(around, load<u32>(around) | (load<u32>(parentBits + i) & -isEnd));
  }
}

/**
 * Moves `size` bytes of words at `words` on by the letter with the bits at `bits`. Which bits are entered is in `entered`
 * then. Whether any place is left.
 */
export function step(
  size: usize,
  isStart: u32,
  words: usize,
  bits: usize,
  entered: usize,
  tables: usize,
): bool {
  const first = tables + size;
  const followAt = first + size;
  const parents = followAt + size;
  const parentBits = parents + size;
  const follow = parentBits + size;
  end(size, words, tables);
  let alive: u32 = 0;
  let isEntered = isStart;
  let mixed: u32 = 0;
  for (let i = size; ;) {
    i -= 4;
    const word = load<u32>(words + i);
    let to = load<u32>(first + i) & -isEntered;
    if (word != 0) {
      const table = follow + load<u32>(followAt + i);
      to |=
        load<u32>(table + ((word & 255) << 2)) |
        load<u32>(table + (((word >> 8) & 255) << 2), 1024) |
        load<u32>(table + (((word >> 16) & 255) << 2), 2048) |
        load<u32>(table + ((word >> 24) << 2), 3072);
    }
    store<u32>(entered + i, to);
    const kept = to & load<u32>(bits + i);
    store<u32>(words + i, kept);
    alive |= kept;
    mixed = rotl<u32>((mixed ^ kept) * 0x9e3779b1, 15);
    if (i == 0) break;
    const around = load<u32>(parents + i - 4);
    isEntered = <u32>((load<u32>(entered + around) & load<u32>(parentBits + i - 4)) != 0);
  }
  hash = mixed;
  return alive != 0;
}

/** Whether a text may end where the words are. */
export function ends(size: usize, words: usize, tables: usize): bool {
  end(size, words, tables);
  const root = size - 4;
  return (load<u32>(words + root) & load<u32>(tables + root)) != 0;
}
