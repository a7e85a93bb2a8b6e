// Of write-kernel.as.

/** Undoes snappy's block format from behind the size on; how many bytes that gave, or -1 for damage. */
export function expand(input: usize, inputEnd: usize, output: usize, outputEnd: usize): i32 {
  let at = input;
  let out = output;
  while (at < inputEnd) {
    const tag = <usize>load<u8>(at++);
    const kind = tag & 3;
    let length = (tag >> 2) + 1;
    if (kind == 0) {
      if (length > 60) {
        const width = length - 60;
        if (at + width > inputEnd) return -1;
        length = <usize>load<u32>(at);
        if (width < 4) length &= (1 << (width << 3)) - 1;
        if (length > 0x7ffffffe) return -1;
        length++;
        at += width;
      }
      if (length > inputEnd - at || length > outputEnd - out) return -1;
      if (length <= 16) {
        store<u64>(out, load<u64>(at));
        store<u64>(out, load<u64>(at, 8), 8);
      } else memory.copy(out, at, length);
      at += length;
      out += length;
      continue;
    }
    let offset: usize;
    if (kind == 1) {
      if (at >= inputEnd) return -1;
      length = 4 + ((tag >> 2) & 7);
      offset = ((tag >> 5) << 8) | <usize>load<u8>(at++);
    } else if (kind == 2) {
      if (at + 2 > inputEnd) return -1;
      offset = <usize>load<u16>(at);
      at += 2;
    } else {
      if (at + 4 > inputEnd) return -1;
      offset = <usize>load<u32>(at);
      at += 4;
    }
    if (offset == 0 || offset > out - output || length > outputEnd - out) return -1;
    const end = out + length;
    if (offset >= 16) {
      // A copy is 64 bytes at most. What is written too much is written again, or lies beyond the end.
      let from = out - offset;
      do {
        const low = load<u64>(from);
        const high = load<u64>(from, 8);
        store<u64>(out, low);
        store<u64>(out, high, 8);
        from += 16;
        out += 16;
      } while (out < end);
    } else {
      for (; out < end; out++) store<u8>(out, load<u8>(out - offset));
    }
    out = end;
  }
  return <i32>(out - output);
}
