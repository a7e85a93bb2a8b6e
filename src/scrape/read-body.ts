import { promisify } from "node:util";
import { brotliDecompress, gunzip, inflate, zstdDecompress } from "node:zlib";
import { AppError, messageOf } from "../base/errors.ts";
import { formatSize } from "../base/units.ts";
import type { BodySink } from "../http/exchange.ts";
import type { BodyPool } from "./buffers.ts";

/** The largest body a scrape takes when `body_size_limit` sets no limit, after decompression. */
export const SCRAPE_BODY_MAX_BYTES = 256 << 20;

/** The body was larger than a limit; the scrape fails and reports a size of -1. */
export class BodyLimitError extends AppError {
  constructor(message: string) {
    super("resource-exhausted", message);
  }
}

export interface CollectOptions {
  readonly pool: BodyPool;
  /** `body_size_limit`; 0 for none. A body of exactly this size is refused too, as Prometheus does. */
  readonly limit: number;
  /** Default SCRAPE_BODY_MAX_BYTES. */
  readonly maxBytes?: number;
  /** The size to expect. */
  readonly expected: number;
}

/** Bytes of a body in a buffer of the pool, with at least one byte of room behind them. */
export interface Body {
  readonly bytes: Uint8Array;
  readonly length: number;
}

/** The least that is set aside for a body whose size is not known. */
const UNKNOWN_BODY_BYTES = 4096;

/**
 * Collects one response's body, piece by piece, in a buffer of the pool. Holds at most about the limit. End with
 * `finish`, which unzips what was sent with Content-Encoding gzip, or `discard`.
 */
export class BodyCollector implements BodySink {
  readonly #pool: BodyPool;
  readonly #limit: SizeLimit;
  readonly #expected: number;
  #bytes: Uint8Array | undefined;
  #length = 0;
  #zipped = false;

  constructor(options: CollectOptions) {
    this.#pool = options.pool;
    this.#expected = options.expected;
    this.#limit = sizeLimit(options);
  }

  start(headers: { get(name: string): string | undefined }): void {
    this.#zipped = headers.get("content-encoding") === "gzip";
    const announced = Number(headers.get("content-length") ?? Number.NaN);
    if (announced > this.#limit.bytes) throw new BodyLimitError(this.#limit.error);
    const expected = this.#zipped ? this.#expected >> 3 : this.#expected;
    this.#reserve(announced >= 0 ? announced : Math.max(expected, UNKNOWN_BODY_BYTES));
  }

  write(piece: Uint8Array): void {
    const total = this.#length + piece.length;
    if (total > this.#limit.bytes) throw new BodyLimitError(this.#limit.error);
    let bytes = this.#bytes;
    if (bytes === undefined || total + 1 > bytes.length)
      bytes = this.#reserve(Math.max(total, 2 * this.#length));
    bytes.set(piece, this.#length);
    this.#length = total;
  }

  /** The whole body, unzipped; rejects when it does not unzip or is too large then. */
  async finish(): Promise<Body> {
    const body = this.take();
    if (!this.#zipped) return body;
    try {
      return await unpackBody(body, "gzip", {
        pool: this.#pool,
        expected: this.#expected,
        limit: this.#limit,
      });
    } finally {
      this.#pool.release(body.bytes);
    }
  }

  /** The whole body as it was sent; the buffer is the caller's. */
  take(): Body {
    const bytes = this.#bytes ?? this.#reserve(0);
    this.#bytes = undefined;
    return { bytes, length: this.#length };
  }

  /** Gives the memory back. */
  discard(): void {
    if (this.#bytes !== undefined) this.#pool.release(this.#bytes);
    this.#bytes = undefined;
  }

  #reserve(size: number): Uint8Array {
    const larger = this.#pool.acquire(size + 1);
    if (this.#bytes !== undefined) {
      larger.set(this.#bytes.subarray(0, this.#length));
      this.#pool.release(this.#bytes);
    }
    this.#bytes = larger;
    return larger;
  }
}

/** The most bytes of a body, and what is said of more. */
export interface SizeLimit {
  readonly bytes: number;
  readonly error: string;
}

export function sizeLimit(options: Pick<CollectOptions, "limit" | "maxBytes">): SizeLimit {
  const maxBytes = options.maxBytes ?? SCRAPE_BODY_MAX_BYTES;
  return options.limit > 0 && options.limit <= maxBytes
    ? { bytes: options.limit - 1, error: "body size limit exceeded" }
    : {
        bytes: maxBytes,
        error: `body size limit exceeded: more than ${formatSize(maxBytes)} (scrapeBodyMaxBytes)`,
      };
}

const UNPACKERS = {
  gzip: promisify(gunzip),
  deflate: promisify(inflate),
  br: promisify(brotliDecompress),
  zstd: promisify(zstdDecompress),
};

/** What Content-Encoding may say of a body that can be unpacked. */
export type Packing = keyof typeof UNPACKERS;

export function isPacking(encoding: string): encoding is Packing {
  return Object.hasOwn(UNPACKERS, encoding);
}

/** The unpacked body, in another buffer of the pool; rejects when it cannot be unpacked or is too large then. */
export async function unpackBody(
  body: Body,
  packing: Packing,
  options: {
    readonly pool: BodyPool;
    /** The size to expect. */
    readonly expected: number;
    readonly limit: SizeLimit;
  },
): Promise<Body> {
  const { pool, expected, limit } = options;
  // An empty body with a gzip header is no gzip stream, but nothing is what was sent.
  if (body.length === 0) return { bytes: pool.acquire(1), length: 0 };
  let plain: Buffer;
  try {
    plain = await UNPACKERS[packing](body.bytes.subarray(0, body.length), {
      // One piece of the right size saves copying.
      chunkSize: Math.max(65_536, Math.min(expected + 1024, limit.bytes + 1)),
      maxOutputLength: limit.bytes + 1,
    });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE")
      throw new BodyLimitError(limit.error);
    throw new AppError("bad-data", `cannot unzip the body: ${messageOf(error)}`, { cause: error });
  }
  if (plain.length > limit.bytes) throw new BodyLimitError(limit.error);
  const unpacked = pool.acquire(plain.length + 1);
  unpacked.set(plain);
  return { bytes: unpacked, length: plain.length };
}
