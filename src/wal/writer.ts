import { type FileHandle, mkdir, open, rm } from "node:fs/promises";
import { join } from "node:path";
import { zstdCompressSync } from "node:zlib";
import { crc32c } from "../base/crc32c.ts";
import { AppError, isDiskFull, messageOf, systemCode } from "../base/errors.ts";
import { ByteBuffer } from "./byte-buffer.ts";
import {
  FLAG_ZSTD,
  FRAGMENT_FIRST,
  FRAGMENT_FULL,
  FRAGMENT_HEADER_BYTES,
  FRAGMENT_LAST,
  FRAGMENT_MIDDLE,
  listCheckpoints,
  listSegments,
  PAGE_BYTES,
  segmentName,
} from "./segment.ts";

export type WalCompression = "none" | "zstd";

export interface WalWriterOptions {
  /** The folder of the segments; made when it does not exist. */
  readonly folder: string;
  /** A segment is closed before it grows beyond this; a multiple of 32 KiB. Prometheus: 128 MiB. */
  readonly segmentBytes: number;
  readonly compression: WalCompression;
}

/** Records that are written as one unit. Fill `bytes` with one record after the other and call `end` after each. */
export class RecordGroup {
  readonly buffer = new ByteBuffer(64 * 1024);
  readonly ends: number[] = [];

  /** Everything added since the last `end` is one record. */
  end(): void {
    this.ends.push(this.buffer.length);
  }

  clear(): void {
    this.buffer.clear();
    this.ends.length = 0;
  }
}

/**
 * Writes records into segments of pages as Prometheus does; every opening starts a new segment. One `write` is under
 * way at a time. A write that fails leaves the log as it was: the file is cut back to its size before, so the same
 * records can be written again when there is space.
 */
export class WalWriter {
  readonly #folder: string;
  readonly #segmentBytes: number;
  readonly #compression: WalCompression;
  readonly #out = new ByteBuffer(64 * 1024);
  #file: FileHandle | undefined;
  #index: number;
  /** The size of the current segment up to the last complete write. */
  #size = 0;
  /** Whether bytes of a failed write may still stand behind `#size`. */
  #dirtyTail = false;
  #unsynced = false;

  private constructor(options: WalWriterOptions, index: number) {
    this.#folder = options.folder;
    this.#segmentBytes = options.segmentBytes;
    this.#compression = options.compression;
    this.#index = index;
  }

  /** Opens the log for writing with a new segment after all existing segments and checkpoints. */
  static async open(options: WalWriterOptions): Promise<WalWriter> {
    if (options.segmentBytes < PAGE_BYTES || options.segmentBytes % PAGE_BYTES !== 0)
      throw new AppError(
        "bad-data",
        `cannot open WAL: the segment size ${options.segmentBytes} is not a multiple of ${PAGE_BYTES}`,
      );
    await mkdir(options.folder, { recursive: true });
    const last = (await listSegments(options.folder)).at(-1)?.index ?? -1;
    const covered = (await listCheckpoints(options.folder)).at(-1)?.index ?? -1;
    const writer = new WalWriter(options, Math.max(last, covered) + 1);
    await writer.#openSegment(writer.#index);
    return writer;
  }

  /** Where the segments are. */
  get folder(): string {
    return this.#folder;
  }

  /** The number of the segment being written. */
  get segmentIndex(): number {
    return this.#index;
  }

  /** Bytes of that segment which are written as a whole; readers may read so far. */
  get segmentSize(): number {
    return this.#size;
  }

  /**
   * Writes all records of `group`; resolves when the operating system has them. Rejects with `resource-exhausted` when
   * the disk is full and `unavailable` for other errors of the disk; then none of them is in the log.
   */
  async write(group: RecordGroup): Promise<void> {
    try {
      let next = 0;
      await this.#repairTail();
      // A group that does not fit goes into the next segment as a whole, so that one write is all or nothing. Only a
      // group larger than a segment is spread over several.
      if (this.#size > 0 && this.#size + maxLaidOutSize(group) > this.#segmentBytes)
        await this.#advance();
      while (next < group.ends.length) {
        await this.#repairTail();
        this.#out.clear();
        next = this.#layOut(group, next);
        await this.#writeOut();
        if (next < group.ends.length) await this.#advance();
      }
    } catch (error) {
      throw diskError("write WAL", error);
    }
  }

  /** Closes the current segment and starts the next, unless the current one is empty. */
  async nextSegment(): Promise<void> {
    if (this.#size === 0) return;
    try {
      await this.#repairTail();
      await this.#advance();
    } catch (error) {
      throw diskError("start WAL segment", error);
    }
  }

  /** Makes everything written so far survive a power loss. */
  async sync(): Promise<void> {
    if (!this.#unsynced) return;
    this.#unsynced = false;
    try {
      await this.#file!.datasync();
    } catch (error) {
      this.#unsynced = true;
      throw diskError("sync WAL", error);
    }
  }

  async close(): Promise<void> {
    if (this.#file === undefined) return;
    const file = this.#file;
    this.#file = undefined;
    try {
      if (this.#dirtyTail) await file.truncate(this.#size);
      await padEnd(file, this.#size);
      await file.datasync();
    } catch (error) {
      throw diskError("close WAL", error);
    } finally {
      await file.close();
      if (this.#size === 0) await rm(join(this.#folder, segmentName(this.#index)), { force: true });
    }
  }

  /** Lays records out in pages from `first` on, as many as fit into this segment; returns the next record's number. */
  #layOut(group: RecordGroup, first: number): number {
    const { buffer, ends } = group;
    for (let i = first; i < ends.length; i++) {
      const start = i === 0 ? 0 : ends[i - 1]!;
      let source: Uint8Array = buffer.bytes;
      let from = start;
      let to = ends[i]!;
      let flags = 0;
      if (this.#compression === "zstd") {
        const packed = zstdCompressSync(buffer.bytes.subarray(start, to));
        if (packed.length < to - start) {
          source = packed;
          from = 0;
          to = packed.length;
          flags = FLAG_ZSTD;
        }
      }
      const offset = this.#size + this.#out.length;
      const size = laidOutSize(offset, to - from);
      if (offset + size > this.#segmentBytes && offset > 0) return i;
      this.#putRecord({ source, from, to, flags }, offset);
    }
    return ends.length;
  }

  #putRecord(
    record: { source: Uint8Array; from: number; to: number; flags: number },
    offset: number,
  ): void {
    const out = this.#out;
    const { source, to, flags } = record;
    let from = record.from;
    let page = PAGE_BYTES - (offset % PAGE_BYTES);
    let first = true;
    do {
      if (page < FRAGMENT_HEADER_BYTES) {
        out.reserve(page);
        out.bytes.fill(0, out.length, out.length + page);
        out.length += page;
        page = PAGE_BYTES;
      }
      const length = Math.min(to - from, page - FRAGMENT_HEADER_BYTES);
      const last = from + length === to;
      const type = first
        ? last
          ? FRAGMENT_FULL
          : FRAGMENT_FIRST
        : last
          ? FRAGMENT_LAST
          : FRAGMENT_MIDDLE;
      out.reserve(FRAGMENT_HEADER_BYTES + length);
      out.bytes[out.length] = type | flags;
      out.view.setUint16(out.length + 1, length);
      out.view.setUint32(out.length + 3, crc32c(source, from, from + length));
      out.length += FRAGMENT_HEADER_BYTES;
      out.putBytes(source, from, from + length);
      from += length;
      page -= FRAGMENT_HEADER_BYTES + length;
      first = false;
    } while (from < to);
  }

  async #writeOut(): Promise<void> {
    const { bytes, length } = this.#out;
    if (length === 0) return;
    this.#dirtyTail = true;
    this.#unsynced = true;
    let written = 0;
    while (written < length) {
      const result = await this.#file!.write(
        bytes,
        written,
        length - written,
        this.#size + written,
      );
      written += result.bytesWritten;
    }
    this.#size += length;
    this.#dirtyTail = false;
    this.#out.clear();
  }

  async #repairTail(): Promise<void> {
    if (!this.#dirtyTail) return;
    await this.#file!.truncate(this.#size);
    this.#dirtyTail = false;
  }

  async #advance(): Promise<void> {
    const old = this.#file!;
    const padding = padSize(this.#size);
    if (padding > 0) {
      this.#out.clear();
      this.#out.reserve(padding);
      this.#out.bytes.fill(0, 0, padding);
      this.#out.length = padding;
      await this.#writeOut();
    }
    await this.#openSegment(this.#index + 1);
    try {
      await old.datasync();
    } finally {
      await old.close();
    }
  }

  async #openSegment(index: number): Promise<void> {
    this.#file = await open(join(this.#folder, segmentName(index)), "wx");
    this.#index = index;
    this.#size = 0;
    this.#dirtyTail = false;
    this.#unsynced = false;
  }
}

/** Fills the last page; a full disk may prevent it, and readers do without. */
async function padEnd(file: FileHandle, size: number): Promise<void> {
  const padding = padSize(size);
  try {
    if (padding > 0) await file.write(new Uint8Array(padding), 0, padding, size);
  } catch {
    await file.truncate(size);
  }
}

function padSize(offset: number): number {
  return (PAGE_BYTES - (offset % PAGE_BYTES)) % PAGE_BYTES;
}

/** At least the bytes that `group` takes when laid out, whatever the offset. */
function maxLaidOutSize(group: RecordGroup): number {
  const size = group.buffer.length;
  const fragments = group.ends.length + Math.ceil(size / (PAGE_BYTES - 64)) + 2;
  return size + 2 * FRAGMENT_HEADER_BYTES * fragments;
}

/** The bytes that a record of `length` bytes takes when laid out from `offset`, headers and page padding included. */
function laidOutSize(offset: number, length: number): number {
  let size = 0;
  let rest = length;
  let page = PAGE_BYTES - (offset % PAGE_BYTES);
  do {
    if (page < FRAGMENT_HEADER_BYTES) {
      size += page;
      page = PAGE_BYTES;
    }
    const part = Math.min(rest, page - FRAGMENT_HEADER_BYTES);
    size += FRAGMENT_HEADER_BYTES + part;
    rest -= part;
    page -= FRAGMENT_HEADER_BYTES + part;
  } while (rest > 0);
  return size;
}

/** The AppError of a failed operation on the log's files. */
export function diskError(verb: string, error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (isDiskFull(error))
    return new AppError(
      "resource-exhausted",
      `cannot ${verb}: the disk is full (${systemCode(error)})`,
      { cause: error },
    );
  return new AppError("unavailable", `cannot ${verb}: ${messageOf(error)}`, { cause: error });
}
