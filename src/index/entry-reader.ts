import { AppError } from "../base/errors.ts";
import type { ByteSource } from "./byte-source.ts";
import { corruptAt } from "./section.ts";
import { SeriesEntry } from "./series-entry.ts";
import type { EntriesAt } from "./series-walk.ts";

/** Read for an entry whose length is not known yet. */
const FIRST_BYTES = 1024;

/** Reads entries of series one by one, with all checks. */
export class EntryReader {
  readonly #source: ByteSource;
  readonly #entry: SeriesEntry;
  readonly #resolve: (reference: number) => number;

  /** `resolve` turns a symbol reference into its number. */
  constructor(source: ByteSource, resolve: (reference: number) => number) {
    this.#source = source;
    this.#entry = new SeriesEntry(`series of ${source.name}`);
    this.#resolve = resolve;
  }

  /**
   * The `i`th entry of a piece that was read from `offset` on; the next one overwrites it. A promise only when it is not whole there.
   * Throws `corrupt` when it is damaged.
   */
  read(
    piece: EntriesAt & { readonly offset: number },
    i: number,
  ): SeriesEntry | Promise<SeriesEntry> {
    const entry = this.#entry;
    entry.ref = piece.refs[i]!;
    const at = piece.starts[i]!;
    const offset = piece.offset + at;
    const size = this.#sizeAt(piece.bytes, at, offset);
    if (size === undefined || at + size > piece.bytes.length)
      return this.#readLong(offset, size ?? FIRST_BYTES);
    return this.#decode(piece.bytes, at, offset);
  }

  #sizeAt(bytes: Uint8Array, at: number, offset: number): number | undefined {
    try {
      return this.#entry.sizeAt(bytes, at);
    } catch (error) {
      throw this.#damage(error, offset);
    }
  }

  async #readLong(offset: number, size: number): Promise<SeriesEntry> {
    const source = this.#source;
    if (offset + size > source.size)
      throw corruptAt(source, offset, "a series entry is longer than the file");
    return this.#decode(await source.read(offset, size), 0, offset);
  }

  #decode(bytes: Uint8Array, at: number, offset: number): SeriesEntry {
    try {
      this.#entry.decode(bytes, at, this.#resolve);
    } catch (error) {
      throw this.#damage(error, offset);
    }
    return this.#entry;
  }

  #damage(error: unknown, offset: number): unknown {
    return error instanceof AppError && error.code === "corrupt"
      ? corruptAt(this.#source, offset, `the series entry is damaged (${error.message})`)
      : error;
  }
}
