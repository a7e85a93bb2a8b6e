import { crc32c } from "../base/crc32c.ts";
import { AppError } from "../base/errors.ts";
import { uint32At } from "./byte-cursor.ts";
import type { ByteSource } from "./byte-source.ts";

export function corruptAt(source: ByteSource, offset: number, why: string): AppError {
  return new AppError("corrupt", `cannot read ${source.name}: ${why} at offset ${offset}`);
}

/**
 * The body of a section `length (4) | body | checksum (4)`, checked; `start` is where in the file it is.
 *
 * Every length comes from the file, so it is held against the file's size before anything is allocated.
 */
export async function readSection(
  source: ByteSource,
  offset: number,
  what: string,
): Promise<{ bytes: Uint8Array; start: number }> {
  if (offset < 0 || offset + 8 > source.size)
    throw corruptAt(source, offset, `the ${what} is outside the file`);
  const length = uint32At(await source.read(offset, 4), 0);
  if (offset + 8 + length > source.size)
    throw corruptAt(source, offset, `the ${what} is longer than the file`);
  const bytes = await source.read(offset + 4, length + 4);
  if (crc32c(bytes, 0, length) !== uint32At(bytes, length))
    throw corruptAt(source, offset, `the ${what} has a wrong checksum`);
  return { bytes: bytes.subarray(0, length), start: offset + 4 };
}
