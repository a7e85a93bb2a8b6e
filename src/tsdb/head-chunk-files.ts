import { closeSync, openSync, readSync } from "node:fs";
import {
  type FileHandle,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  truncate,
} from "node:fs/promises";
import { join } from "node:path";
import { crc32c } from "../base/crc32c.ts";
import { AppError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { ByteBuffer } from "../wal/byte-buffer.ts";
import { diskError } from "../wal/writer.ts";

/** The folder of the files, beside `wal`. Format: docs/format/head-chunks.md. */
export const HEAD_CHUNKS_FOLDER = "chunks_head";

const MAGIC = 0x0130bc91;
const VERSION = 1;
const FILE_HEADER_BYTES = 8;
/** Ref, first and last time, encoding. */
const CHUNK_HEADER_BYTES = 25;
const CHECKSUM_BYTES = 4;
const OUT_OF_ORDER_FLAG = 0x80;
/** A file is closed before it grows beyond this. */
const FILE_MAX_BYTES = 128 * 1024 * 1024;
/** A place is file number × this + offset. */
const FILE_STEP = 2 ** 28;
const TWO_32 = 4294967296;

/** A chunk as a file has it. */
export interface StoredHeadChunk {
  readonly ref: number;
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly encoding: number;
  readonly isOutOfOrder: boolean;
  readonly sampleCount: number;
  readonly size: number;
  readonly place: number;
}

interface ChunkFile {
  readonly number: number;
  readonly path: string;
  readonly descriptor: number;
  maxTimeMs: number;
}

export interface HeadChunkFilesOptions {
  /** The data folder. */
  readonly folder: string;
  readonly nowMs: number;
  readonly logger: Logger;
}

/**
 * The files that finished chunks of a head are written to, so that they need no memory. They hold nothing that the
 * write-ahead log does not hold too: a file that is damaged is cut off before the damage, later ones are set aside, and a
 * replay reads from the log what they had.
 */
export class HeadChunkFiles {
  readonly #folder: string;
  readonly #files = new Map<number, ChunkFile>();
  readonly #out = new ByteBuffer(64 * 1024);
  #current: { readonly file: ChunkFile; readonly handle: FileHandle; size: number } | undefined;
  #lastNumber = 0;
  #damageCount = 0;

  private constructor(folder: string) {
    this.#folder = folder;
  }

  /** Opens the files of a head and gives what they hold to `onChunk`, in order. */
  static async open(
    options: HeadChunkFilesOptions,
    onChunk: (chunk: StoredHeadChunk) => void,
  ): Promise<HeadChunkFiles> {
    const files = new HeadChunkFiles(join(options.folder, HEAD_CHUNKS_FOLDER));
    await mkdir(files.#folder, { recursive: true });
    const names = (await readdir(files.#folder)).filter((name) => /^\d{6}$/.test(name)).sort();
    for (const [i, name] of names.entries()) {
      const path = join(files.#folder, name);
      const reason = await files.#load({ path, number: Number(name) }, onChunk);
      if (reason === undefined) continue;
      files.#damageCount++;
      const later = names.slice(i + 1);
      const aside = join(options.folder, "quarantine");
      if (later.length > 0) await mkdir(aside, { recursive: true });
      for (const one of later)
        await rename(join(files.#folder, one), join(aside, `chunks_head-${one}-${options.nowMs}`));
      options.logger.warn("a file of head chunks is damaged: its samples come from the log", {
        file: path,
        reason,
        files_set_aside: later.length,
      });
      break;
    }
    return files;
  }

  /** Files that were damaged when they were opened. */
  get damageCount(): number {
    return this.#damageCount;
  }

  /** Writes chunks, and answers where each of them is. */
  async write(
    chunks: readonly {
      ref: number;
      minTimeMs: number;
      maxTimeMs: number;
      encoding: number;
      data: Uint8Array;
    }[],
  ): Promise<number[]> {
    const places: number[] = [];
    try {
      const size = chunks.reduce((sum, { data }) => sum + data.length + 40, 0);
      if (this.#current === undefined || this.#current.size + size > FILE_MAX_BYTES)
        await this.#startFile();
      const current = this.#current!;
      const out = this.#out;
      out.clear();
      let maxTimeMs = current.file.maxTimeMs;
      for (const chunk of chunks) {
        places.push(current.file.number * FILE_STEP + current.size + out.length);
        encodeChunk(out, chunk);
        maxTimeMs = Math.max(maxTimeMs, chunk.maxTimeMs);
      }
      await current.handle.write(out.bytes, 0, out.length, current.size);
      current.size += out.length;
      current.file.maxTimeMs = maxTimeMs;
      return places;
    } catch (error) {
      throw diskError("write head chunks", error);
    }
  }

  /** The bytes of a chunk. Throws `corrupt` when they are not what was written. */
  read(place: number, { ref, size }: { ref: number; size: number }): Uint8Array {
    const number = Math.floor(place / FILE_STEP);
    const file = this.#files.get(number);
    const start = CHUNK_HEADER_BYTES + uvarintSize(size);
    const bytes = new Uint8Array(start + size + CHECKSUM_BYTES);
    const view = new DataView(bytes.buffer);
    const found =
      file === undefined
        ? 0
        : readSync(file.descriptor, bytes, 0, bytes.length, place - number * FILE_STEP);
    const end = start + size;
    const isRight =
      found === bytes.length &&
      view.getUint32(0) * TWO_32 + view.getUint32(4) === ref &&
      crc32c(bytes, 0, end) === view.getUint32(end);
    if (!isRight)
      throw new AppError(
        "corrupt",
        `cannot read head chunk at ${place - number * FILE_STEP} of ${file?.path ?? `file ${number}`}: it is not what was written; a restart takes its samples from the log`,
      );
    return bytes.subarray(start, end);
  }

  /** Deletes the files, oldest first, whose chunks all end before `minTimeMs`. */
  async dropBefore(minTimeMs: number): Promise<void> {
    for (const file of this.#files.values()) {
      if (file.maxTimeMs >= minTimeMs || file === this.#current?.file) return;
      this.#files.delete(file.number);
      closeSync(file.descriptor);
      await rm(file.path, { force: true });
    }
  }

  async close(): Promise<void> {
    await this.#current?.handle.close();
    this.#current = undefined;
    for (const { descriptor } of this.#files.values()) closeSync(descriptor);
    this.#files.clear();
  }

  async #startFile(): Promise<void> {
    const number = this.#lastNumber + 1;
    const path = join(this.#folder, String(number).padStart(6, "0"));
    const handle = await open(path, "wx");
    const header = new Uint8Array(FILE_HEADER_BYTES);
    new DataView(header.buffer).setUint32(0, MAGIC);
    header[4] = VERSION;
    await handle.write(header, 0, header.length, 0);
    await this.#current?.handle.close();
    this.#lastNumber = number;
    const file = { number, path, descriptor: openSync(path, "r"), maxTimeMs: -Infinity };
    this.#files.set(number, file);
    this.#current = { file, handle, size: FILE_HEADER_BYTES };
  }

  /** Reads a file; why it is damaged, or undefined. A damaged one is cut off before that. */
  async #load(
    place: { path: string; number: number },
    onChunk: (chunk: StoredHeadChunk) => void,
  ): Promise<string | undefined> {
    const { path, number } = place;
    this.#lastNumber = number;
    const bytes = await readFile(path);
    const file = { number, path, descriptor: openSync(path, "r"), maxTimeMs: -Infinity };
    this.#files.set(number, file);
    const { goodSize, reason } = parseFile(bytes, (chunk) => {
      file.maxTimeMs = Math.max(file.maxTimeMs, chunk.maxTimeMs);
      onChunk({ ...chunk, place: number * FILE_STEP + chunk.place });
    });
    if (reason === undefined) return undefined;
    if (goodSize > 0) await truncate(path, goodSize);
    else {
      // Without a header it is none of our files.
      this.#files.delete(number);
      closeSync(file.descriptor);
      await rm(path, { force: true });
      this.#lastNumber = number - 1;
    }
    return reason;
  }
}

function encodeChunk(
  out: ByteBuffer,
  chunk: { ref: number; minTimeMs: number; maxTimeMs: number; encoding: number; data: Uint8Array },
): void {
  const start = out.length;
  out.putUint64(chunk.ref);
  out.putInt64(chunk.minTimeMs);
  out.putInt64(chunk.maxTimeMs);
  out.putByte(chunk.encoding);
  out.putUvarint(chunk.data.length);
  out.putBytes(chunk.data);
  const checksum = crc32c(out.bytes, start, out.length);
  out.reserve(CHECKSUM_BYTES);
  out.view.setUint32(out.length, checksum);
  out.length += CHECKSUM_BYTES;
}

function uvarintSize(value: number): number {
  return value < 2 ** 7 ? 1 : value < 2 ** 14 ? 2 : value < 2 ** 21 ? 3 : 4;
}

/** All chunks of a file. Places are offsets. Where `reason` says what is wrong, the file is good up to `goodSize`. */
function parseFile(
  bytes: Buffer,
  onChunk: (chunk: StoredHeadChunk) => void,
): { goodSize: number; reason?: string } {
  if (bytes.length < FILE_HEADER_BYTES || bytes.readUInt32BE(0) !== MAGIC || bytes[4] !== VERSION)
    return { goodSize: 0, reason: "its header is none" };
  let at = FILE_HEADER_BYTES;
  while (at < bytes.length) {
    const start = at;
    const bad = (reason: string): { goodSize: number; reason: string } => ({
      goodSize: start,
      reason: `${reason} at ${start}`,
    });
    // Prometheus makes files longer than what they hold; zeros are the end.
    const head = bytes.subarray(at, at + CHUNK_HEADER_BYTES);
    if (head.every((byte) => byte === 0)) {
      if (bytes.subarray(at).every((byte) => byte === 0)) return { goodSize: at };
      return bad("there are bytes behind the end");
    }
    if (head.length < CHUNK_HEADER_BYTES) return bad("it ends inside a chunk");
    const int64 = (offset: number): number =>
      bytes.readInt32BE(start + offset) * TWO_32 + bytes.readUInt32BE(start + offset + 4);
    at += CHUNK_HEADER_BYTES;
    let size = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined || scale > 2 ** 28) return bad("a chunk has no length");
      size += (byte & 127) * scale;
      if (byte < 128) break;
    }
    const end = at + size;
    if (end + CHECKSUM_BYTES > bytes.length) return bad("it ends inside a chunk");
    if (crc32c(bytes, start, end) !== bytes.readUInt32BE(end)) return bad("checksum mismatch");
    const flags = bytes[start + CHUNK_HEADER_BYTES - 1]!;
    onChunk({
      ref: bytes.readUInt32BE(start) * TWO_32 + bytes.readUInt32BE(start + 4),
      minTimeMs: int64(8),
      maxTimeMs: int64(16),
      encoding: flags & ~OUT_OF_ORDER_FLAG,
      isOutOfOrder: (flags & OUT_OF_ORDER_FLAG) !== 0,
      sampleCount: size < 2 ? 0 : bytes.readUInt16BE(at),
      size,
      place: start,
    });
    at = end + CHECKSUM_BYTES;
  }
  return { goodSize: at };
}
