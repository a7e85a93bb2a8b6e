// The entries of an index's symbol table and postings offset table, in AssemblyScript: entry-walk.ts says why,
// entry-walk.test.ts compiles it.
//
// Both walks stop before the first entry that is not whole before `end` or not as nearly all are: the host looks at that one.

/** The name that all label pairs of one walk have; it is compared in words. */
const NAME = memory.data(136);

export function nameAt(): usize {
  return NAME;
}

/** Where the last walk stopped. */
let stop: usize = 0;

export function stoppedAt(): usize {
  return stop;
}

/** Of a text whose length is at `at`: where it ends, or 0; its first byte is at `textAt` then. */
let textAt: usize = 0;

// @ts-ignore: decorator
@inline
function textEnd(at: usize, end: usize): usize {
  if (at >= end) return 0;
  let length = <usize>load<u8>(at++);
  if (length > 127) {
    if (at >= end) return 0;
    const more = <usize>load<u8>(at++);
    if (more > 127) return 0;
    length = (length & 127) | (more << 7);
  }
  textAt = at;
  return length > end - at ? 0 : at + length;
}

/** Writes where each text from `at` on, `limit` at most, starts to `starts`, plus `base`; how many there were. */
export function texts(at: usize, end: usize, limit: u32, base: u32, starts: usize): u32 {
  let count: u32 = 0;
  for (; count < limit; count++) {
    const next = textEnd(at, end);
    if (next == 0) break;
    store<u32>(starts + (count << 2), <u32>at + base);
    at = next;
  }
  stop = at;
  return count;
}

/**
 * Passes the label pairs from `at` on, `limit` at most, whose name is that of `nameLength` bytes at `NAME`; how many there
 * were. Of every `interval`th, `since` having gone by since the last, it writes where it starts, plus `base`, to `starts`,
 * its value to `values`, and where that ends, from `valueBase` on, to `ends`.
 */
export function pairs(
  at: usize,
  end: usize,
  nameLength: usize,
  limit: u32,
  interval: u32,
  since: u32,
  base: u32,
  valueBase: u32,
  starts: usize,
  ends: usize,
  values: usize,
): u32 {
  const head = <u32>((nameLength << 8) | 2);
  const word = load<u64>(NAME);
  const mask = nameLength < 8 ? (<u64>1 << (nameLength << 3)) - 1 : <u64>-1;
  let count: u32 = 0;
  let value = values;
  for (; count < limit; count++) {
    const nameStart = at + 2;
    if (nameStart + nameLength > end) break;
    if (<u32>load<u16>(at) != head || ((load<u64>(nameStart) ^ word) & mask) != 0) break;
    if (nameLength > 8 && memory.compare(nameStart + 8, NAME + 8, nameLength - 8) != 0) break;
    const valueEnd = textEnd(nameStart + nameLength, end);
    if (valueEnd == 0) break;
    // The offset of the list ends with the first byte below 128.
    const lasts = ~load<u64>(valueEnd) & 0x8080808080808080;
    const next = valueEnd + (<usize>ctz(lasts) >> 3) + 1;
    if (lasts == 0 || next > end) break;
    if (++since == interval) {
      since = 0;
      const size = valueEnd - textAt;
      memory.copy(value, textAt, size);
      value += size;
      store<u32>(starts, <u32>at + base);
      store<u32>(ends, <u32>(value - values) + valueBase);
      starts += 4;
      ends += 4;
    }
    at = next;
  }
  stop = at;
  return count;
}
