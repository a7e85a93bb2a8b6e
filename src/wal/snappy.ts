import { AppError } from "../base/errors.ts";

/**
 * Decodes a raw snappy block (https://github.com/google/snappy/blob/main/format_description.txt), as records of a
 * Prometheus with WAL compression on hold one. `maxSize` bounds the output before it is allocated.
 */
export function decodeSnappy(source: Uint8Array, maxSize: number): Uint8Array<ArrayBuffer> {
  let at = 0;
  let size = 0;
  let scale = 1;
  for (;;) {
    if (at >= source.length || at > 5) throw corrupt("its length does not end");
    const byte = source[at++]!;
    size += (byte & 127) * scale;
    if (byte < 128) break;
    scale *= 128;
  }
  if (size > maxSize) throw corrupt(`${size} bytes are more than the ${maxSize} allowed`);
  const out = new Uint8Array(size);
  let to = 0;
  while (at < source.length) {
    const tag = source[at++]!;
    if ((tag & 3) === 0) {
      let length = tag >>> 2;
      if (length >= 60) {
        const extra = length - 59;
        length = 0;
        for (let i = 0; i < extra; i++) length += (source[at + i] ?? 0) * 256 ** i;
        at += extra;
      }
      length += 1;
      if (at + length > source.length || to + length > size) throw corrupt("a literal is too long");
      out.set(source.subarray(at, at + length), to);
      at += length;
      to += length;
      continue;
    }
    let length = (tag >>> 2) + 1;
    let offset: number;
    if ((tag & 3) === 1) {
      length = ((tag >>> 2) & 7) + 4;
      offset = ((tag >>> 5) << 8) | (source[at] ?? 0);
      at += 1;
    } else if ((tag & 3) === 2) {
      offset = (source[at] ?? 0) | ((source[at + 1] ?? 0) << 8);
      at += 2;
    } else {
      offset = 0;
      for (let i = 0; i < 4; i++) offset += (source[at + i] ?? 0) * 256 ** i;
      at += 4;
    }
    if (at > source.length || offset === 0 || offset > to || to + length > size)
      throw corrupt("a copy is out of range");
    // Byte by byte: a copy may overlap what it writes.
    for (let i = 0; i < length; i++) out[to + i] = out[to - offset + i]!;
    to += length;
  }
  if (to !== size) throw corrupt("it is shorter than it says");
  return out;
}

function corrupt(what: string): AppError {
  return new AppError("corrupt", `cannot decode snappy block: ${what}`);
}
