import { crc32c } from "../base/crc32c.ts";
import { AppError } from "../base/errors.ts";
import { uint32At } from "./byte-cursor.ts";
import type { ByteSource } from "./byte-source.ts";
import { withRead } from "./spare-memory.ts";

export function corruptAt(source: ByteSource, offset: number, why: string): AppError {
  return new AppError("corrupt", `cannot read ${source.name}: ${why} at offset ${offset}`);
}

/** A section of a file. */
export interface SectionPlace {
  readonly what: string;
  readonly offset: number;
  /** Where the next one starts: what lies before is read at once. */
  readonly end: number;
}

/** The body of a section, and where in the file it starts. */
export interface Section {
  readonly bytes: Uint8Array;
  readonly start: number;
}

/**
 * The body of a section `length (4) | body | checksum (4)`, checked.
 *
 * Every length comes from the file, so it is held against the file's size before anything is allocated.
 */
export async function readSection(source: ByteSource, place: SectionPlace): Promise<Section> {
  const bytes = await source.read(place.offset, sizeToRead(source, place));
  const size = checkedSize(source, place, bytes);
  return body(source, place, bytes.length < size ? await source.read(place.offset, size) : bytes);
}

/** As `readSection`, for a body that nobody looks at any more when `use` returns. */
export function withSection<T>(
  source: ByteSource,
  place: SectionPlace,
  use: (section: Section) => T,
): Promise<T> {
  const start = place.offset;
  return withRead(source, { start, end: start + sizeToRead(source, place) }, (bytes) => {
    const size = checkedSize(source, place, bytes);
    if (size <= bytes.length) return use(body(source, place, bytes));
    const range = { start, end: start + size };
    return withRead(source, range, (whole) => use(body(source, place, whole)));
  });
}

function sizeToRead(source: ByteSource, { what, offset, end }: SectionPlace): number {
  if (offset < 0 || offset + 8 > source.size)
    throw corruptAt(source, offset, `the ${what} is outside the file`);
  return Math.max(8, Math.min(end, source.size) - offset);
}

function checkedSize(source: ByteSource, place: SectionPlace, bytes: Uint8Array): number {
  const size = uint32At(bytes, 0) + 8;
  if (place.offset + size > source.size)
    throw corruptAt(source, place.offset, `the ${place.what} is longer than the file`);
  return size;
}

function body(source: ByteSource, { what, offset }: SectionPlace, bytes: Uint8Array): Section {
  const end = uint32At(bytes, 0) + 4;
  if (crc32c(bytes, 4, end) !== uint32At(bytes, end))
    throw corruptAt(source, offset, `the ${what} has a wrong checksum`);
  return { bytes: bytes.subarray(4, end), start: offset + 4 };
}
