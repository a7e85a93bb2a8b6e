import { type FileHandle, open } from "node:fs/promises";
import { AppError, assert, messageOf } from "../base/errors.ts";

/**
 * Bytes that can be read piece by piece: a local file, an object in a bucket, a buffer. Readers of index and chunk
 * files are written against this, so that a remote block is read by ranges with the same code.
 */
export interface ByteSource {
  /** For messages: a path or URL. */
  readonly name: string;
  /** In bytes. */
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset` on, which the caller may keep but not change. A source that has them at hand
   * answers at once. The range must be within the source.
   */
  read(offset: number, length: number): Uint8Array | Promise<Uint8Array>;
  /** Fills `target`, all of it, with the bytes from `offset` on. The range must be within the source. */
  readInto(target: Uint8Array, offset: number): Promise<void>;
  close(): Promise<void>;
}

/** A buffer as a source. */
export class MemorySource implements ByteSource {
  readonly name: string;
  readonly #bytes: Uint8Array;

  constructor(name: string, bytes: Uint8Array) {
    this.name = name;
    this.#bytes = bytes;
  }

  get size(): number {
    return this.#bytes.length;
  }

  read(offset: number, length: number): Uint8Array {
    assert(offset >= 0 && offset + length <= this.size, `read beyond the end of ${this.name}`);
    return this.#bytes.subarray(offset, offset + length);
  }

  async readInto(target: Uint8Array, offset: number): Promise<void> {
    target.set(this.read(offset, target.length));
  }

  async close(): Promise<void> {}
}

/** Opens a file; its size is taken now, and it is expected not to change. */
export async function openFileSource(path: string): Promise<ByteSource> {
  const file = await open(path, "r");
  try {
    return new FileSource(path, file, (await file.stat()).size);
  } catch (error) {
    await file.close();
    throw error;
  }
}

class FileSource implements ByteSource {
  readonly name: string;
  readonly size: number;
  readonly #file: FileHandle;

  constructor(name: string, file: FileHandle, size: number) {
    this.name = name;
    this.#file = file;
    this.size = size;
  }

  async read(offset: number, length: number): Promise<Uint8Array> {
    // All of it is filled, so it need not be filled with zeros first.
    const bytes = new Uint8Array(Buffer.allocUnsafeSlow(length).buffer);
    await this.readInto(bytes, offset);
    return bytes;
  }

  async readInto(target: Uint8Array, offset: number): Promise<void> {
    const { length } = target;
    assert(offset >= 0 && offset + length <= this.size, `read beyond the end of ${this.name}`);
    let filled = 0;
    while (filled < length) {
      const { bytesRead } = await this.#read(target, filled, offset + filled);
      if (bytesRead === 0)
        throw new AppError(
          "corrupt",
          `cannot read ${this.name}: the file ends at ${offset + filled}, before its size at opening`,
        );
      filled += bytesRead;
    }
  }

  close(): Promise<void> {
    return this.#file.close();
  }

  async #read(bytes: Uint8Array, from: number, position: number): Promise<{ bytesRead: number }> {
    try {
      return await this.#file.read(bytes, from, bytes.length - from, position);
    } catch (error) {
      throw new AppError("unavailable", `cannot read ${this.name}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
}

/** One read that serves the records `from` (inclusive) to `to` (exclusive) of a list of offsets. */
export interface Window {
  readonly from: number;
  readonly to: number;
  readonly start: number;
  readonly end: number;
}

/**
 * Groups records at ascending `offsets` into reads: neighbours nearer than `gap` share one, up to `maxBytes`; behind
 * the last record of each, `tail` bytes are read along in the hope that they hold it. No read passes `limit`.
 */
export function planWindows(
  offsets: Float64Array,
  options: { from: number; to: number; gap: number; tail: number; maxBytes: number; limit: number },
): Window[] {
  const { to, gap, tail, maxBytes, limit } = options;
  const windows: Window[] = [];
  for (let from = options.from; from < to;) {
    const start = offsets[from]!;
    let next = from + 1;
    while (
      next < to &&
      offsets[next]! - offsets[next - 1]! <= gap &&
      offsets[next]! - start < maxBytes
    )
      next++;
    windows.push({ from, to: next, start, end: Math.min(limit, offsets[next - 1]! + tail) });
    from = next;
  }
  return windows;
}

/** So many reads and bytes at the same time: a disk serves several in the time of one, but others want their turn too. */
const TOGETHER_MAX_READS = 32;
const TOGETHER_MAX_BYTES = 1024 * 1024;

/** Cuts `windows`, in their order, into groups that are read at the same time; a large one is alone. */
export function* readGroups<T extends { readonly start: number; readonly end: number }>(
  windows: Iterable<T>,
): Generator<{ readonly windows: readonly T[]; readonly size: number }> {
  let group: T[] = [];
  let size = 0;
  for (const window of windows) {
    const more = window.end - window.start;
    const isFull = group.length === TOGETHER_MAX_READS || size + more > TOGETHER_MAX_BYTES;
    if (isFull && group.length > 0) {
      yield { windows: group, size };
      group = [];
      size = 0;
    }
    group.push(window);
    size += more;
  }
  if (group.length > 0) yield { windows: group, size };
}
