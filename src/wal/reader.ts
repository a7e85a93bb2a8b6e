import { type FileHandle, open } from "node:fs/promises";
import { zstdDecompressSync } from "node:zlib";
import { crc32c } from "../base/crc32c.ts";
import { ByteBuffer } from "./byte-buffer.ts";
import { decompressSnappy } from "../base/snappy.ts";
import type { RecordBytes } from "./record.ts";
import {
  FLAG_SNAPPY,
  FLAG_ZSTD,
  FRAGMENT_FIRST,
  FRAGMENT_FULL,
  FRAGMENT_HEADER_BYTES,
  FRAGMENT_LAST,
  FRAGMENT_TYPE_MASK,
  PAGE_BYTES,
  RECORD_MAX_BYTES,
} from "./segment.ts";

/** Bytes in a segment that hold no readable record. */
export interface Damage {
  /** Where the unreadable fragment starts, in bytes from the start of the file. */
  readonly offset: number;
  readonly reason: string;
  /** Whether anything readable came after it; damage with nothing after it in the last segment is a torn write. */
  recordsAfter: number;
}

export interface SegmentReport {
  readonly recordCount: number;
  /** In file order. */
  readonly damages: readonly Damage[];
  /** The size of the file. */
  readonly size: number;
  /** Where the last readable record ends: cutting the file here leaves it clean if all damage lies behind. */
  readonly goodSize: number;
}

interface ReadOptions {
  readonly from?: number;
  readonly to?: number;
  readonly onRead?: (offset: number) => void;
}

/** The file is read in pieces of this size, so that a replay leaves room for other work in between. */
const READ_BYTES = 128 * PAGE_BYTES;

/**
 * Reads all records of one segment file. Damage costs the records it touches: reading goes on at the next fragment
 * that starts a record, in the same page if the fragment's length is readable, else in the next. `onRecord` runs synchronously and must not keep the bytes; a throw of code `corrupt` from
 * it counts as damage.
 *
 * With `options`, `onRead` hears how many bytes of the file are done, and it reads from `from`, which is where a record ends, to `to`: a record that is cut off there counts as damage
 * behind `goodSize`, and `size` is where reading ended.
 */
export async function readSegment(
  path: string,
  onRecord: (record: RecordBytes) => void,
  options: ReadOptions = {},
): Promise<SegmentReport> {
  const file = await open(path, "r");
  try {
    return await readPages(file, onRecord, options);
  } finally {
    await file.close();
  }
}

async function readPages(
  file: FileHandle,
  onRecord: (record: RecordBytes) => void,
  { from = 0, to = Infinity, onRead }: ReadOptions,
): Promise<SegmentReport> {
  let offset = from - (from % PAGE_BYTES);
  const bytes = new Uint8Array(
    Math.min(READ_BYTES, Math.ceil((to - offset) / PAGE_BYTES) * PAGE_BYTES),
  );
  const view = new DataView(bytes.buffer);
  const parser = new FragmentParser(onRecord, from);
  for (;;) {
    const wanted = Math.min(bytes.length, to - offset);
    let filled = 0;
    while (filled < wanted) {
      const { bytesRead } = await file.read(bytes, filled, wanted - filled, offset + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    for (let page = 0; page < filled; page += PAGE_BYTES) {
      const start = Math.max(page, from - offset);
      parser.page({ bytes, view, start, end: Math.min(page + PAGE_BYTES, filled) }, offset);
    }
    offset += filled;
    onRead?.(offset);
    if (filled < bytes.length || offset >= to) break;
  }
  return parser.finish(offset);
}

class FragmentParser {
  readonly #onRecord: (record: RecordBytes) => void;
  readonly #parts = new ByteBuffer(PAGE_BYTES);
  readonly #damages: Damage[] = [];
  #inRecord = false;
  #recordStart = 0;
  #recordCount = 0;
  #goodSize: number;
  /** After damage, the middle and last fragments of the record that it hit are passed over in silence. */
  #skipping = false;

  constructor(onRecord: (record: RecordBytes) => void, goodSize: number) {
    this.#onRecord = onRecord;
    this.#goodSize = goodSize;
  }

  page(page: RecordBytes, base: number): void {
    const { bytes, view, end: pageEnd } = page;
    let at = page.start;
    while (at < pageEnd) {
      const head = bytes[at]!;
      const type = head & FRAGMENT_TYPE_MASK;
      if (type === 0) {
        for (let i = at; i < pageEnd; i++)
          if (bytes[i] !== 0) return this.#damage(base + at, "bytes in the padding of a page");
        // A page that is cut short by the end of the file is no padding: the file ends here.
        return;
      }
      if (pageEnd - at < FRAGMENT_HEADER_BYTES)
        return this.#damage(base + at, "the file ends inside a fragment's header");
      const length = view.getUint16(at + 1);
      const start = at + FRAGMENT_HEADER_BYTES;
      if (type > FRAGMENT_LAST || head >= 32)
        return this.#damage(base + at, `unknown fragment type ${head}`);
      if (start + length > pageEnd)
        return this.#damage(base + at, "a fragment is longer than its page");
      const end = start + length;
      if (crc32c(bytes, start, end) === view.getUint32(at + 3))
        this.#fragment({ bytes, view, start, end }, head, base + at);
      // The length may be right still: if it is, the next fragment has a right checksum.
      else this.#damage(base + at, "checksum mismatch");
      at = end;
      if (!this.#inRecord && !this.#skipping) this.#goodSize = base + at;
    }
  }

  #fragment(fragment: RecordBytes, head: number, offset: number): void {
    const type = head & FRAGMENT_TYPE_MASK;
    if (type === FRAGMENT_FULL || type === FRAGMENT_FIRST) {
      if (this.#inRecord) this.#damage(this.#recordStart, "a record has no end");
      this.#skipping = false;
      this.#recordStart = offset;
      if (type === FRAGMENT_FULL) return this.#record(fragment, head);
      this.#inRecord = true;
      this.#parts.clear();
    } else if (!this.#inRecord) {
      if (!this.#skipping) this.#damage(offset, "a record has no start");
      return;
    }
    if (this.#parts.length + fragment.end - fragment.start > RECORD_MAX_BYTES)
      return this.#damage(this.#recordStart, "a record is too large");
    this.#parts.putBytes(fragment.bytes, fragment.start, fragment.end);
    if (type !== FRAGMENT_LAST) return;
    this.#inRecord = false;
    const { bytes, view, length } = this.#parts;
    this.#record({ bytes, view, start: 0, end: length }, head);
  }

  #record(stored: RecordBytes, head: number): void {
    try {
      const record = decompress(stored, head);
      if (record.end > record.start) this.#onRecord(record);
    } catch (error) {
      if (!(error instanceof Error) || !("code" in error)) throw error;
      // A record that claims more than any record may hold is damaged too.
      const isDamage = error.code === "corrupt" || error.code === "resource-exhausted";
      if (!isDamage && !/^(?:ZSTD|ERR_BUFFER_TOO_LARGE)/.test(String(error.code))) throw error;
      return this.#damage(this.#recordStart, error.message);
    }
    this.#recordCount++;
    for (const damage of this.#damages) damage.recordsAfter++;
  }

  #damage(offset: number, reason: string): void {
    this.#inRecord = false;
    // What follows damage without a readable record in between is the same damage.
    if (this.#skipping && this.#damages.at(-1)?.recordsAfter === 0) return;
    this.#skipping = true;
    this.#damages.push({ offset, reason, recordsAfter: 0 });
  }

  finish(size: number): SegmentReport {
    if (this.#inRecord) this.#damage(this.#recordStart, "the file ends inside a record");
    return {
      recordCount: this.#recordCount,
      damages: this.#damages,
      size,
      goodSize: this.#goodSize,
    };
  }
}

function decompress(stored: RecordBytes, head: number): RecordBytes {
  if ((head & (FLAG_SNAPPY | FLAG_ZSTD)) === 0) return stored;
  const source = stored.bytes.subarray(stored.start, stored.end);
  const bytes =
    (head & FLAG_SNAPPY) !== 0
      ? decompressSnappy(source, RECORD_MAX_BYTES)
      : zstdDecompressSync(source, { maxOutputLength: RECORD_MAX_BYTES });
  return {
    bytes,
    view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
    start: 0,
    end: bytes.length,
  };
}
