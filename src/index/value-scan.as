// The values of one label name in an index's postings offset table, held against an automaton over bytes, in
// AssemblyScript: value-scan.ts says why, value-scan.test.ts compiles it.

// As in model/regex-automaton.ts.
const DEAD: u32 = 0;
const UNKNOWN: u32 = 1;
const START: u32 = 2;

/** Where the last scan stopped. */
let stop: usize = 0;
/** The state and byte after which the next state is not known, as `state << 8 | byte`; 0 when that was not why it stopped. */
let asked: u32 = 0;

export function stoppedAt(): usize {
  return stop;
}

export function unknown(): u32 {
  return asked;
}

/**
 * Goes through the entries from `at` on, which have `head` bytes before the length of their value, and writes the list of
 * each whose value ends in a state with the flag `wanted` to `lists`; how many. It stops before the first entry that is not
 * whole before `end` or has a very long value, and before one whose value leads to a state that is not known.
 */
export function scan(
  at: usize,
  end: usize,
  head: usize,
  table: usize,
  flags: usize,
  wanted: u32,
  isReversed: bool,
  lists: usize,
): u32 {
  let list = lists;
  asked = 0;
  while (at + head < end) {
    let value = at + head;
    let size = <usize>load<u8>(value++);
    if (size > 127) {
      const more = <usize>load<u8>(value++);
      if (more > 127) break;
      size = (size & 127) | (more << 7);
    }
    const valueEnd = value + size;
    // The offset of the list ends with the first byte below 128.
    const word = load<u64>(valueEnd);
    const lasts = ~word & 0x8080808080808080;
    const next = valueEnd + (<usize>ctz(lasts) >> 3) + 1;
    if (lasts == 0 || next > end) break;
    let state = START;
    if (isReversed) {
      for (let i = valueEnd; i > value;) {
        const place = (state << 8) | load<u8>(--i);
        state = load<u16>(table + (place << 1));
        if (state <= UNKNOWN) {
          if (state == UNKNOWN) asked = place;
          break;
        }
      }
    } else {
      for (let i = value; i < valueEnd; i++) {
        const place = (state << 8) | load<u8>(i);
        state = load<u16>(table + (place << 1));
        if (state <= UNKNOWN) {
          if (state == UNKNOWN) asked = place;
          break;
        }
      }
    }
    if (asked != 0) break;
    if (load<u8>(flags + state) == wanted) {
      let offset: u64 = 0;
      for (let i = next; i > valueEnd;) offset = (offset << 7) | (load<u8>(--i) & 127);
      store<f64>(list, <f64>offset);
      list += 8;
    }
    at = next;
  }
  stop = at;
  return <u32>((list - lists) >> 3);
}
