import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { AppError, messageOf } from "../base/errors.ts";
import { formatSize } from "../base/units.ts";
import type { BodyPool } from "./buffers.ts";

/** The largest body a scrape takes when `body_size_limit` sets no limit, after decompression. */
export const SCRAPE_BODY_MAX_BYTES = 256 << 20;

/** The body was larger than a limit; the scrape fails and reports a size of -1. */
export class BodyLimitError extends AppError {
  constructor(message: string) {
    super("resource-exhausted", message);
  }
}

export interface ReadBodyOptions {
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

/** Reads a response's body, unzipping it when its Content-Encoding is gzip. Holds at most about the limit. */
export async function readBody(
  response: {
    readonly headers: { get(name: string): string | undefined };
    readonly body: AsyncIterable<Uint8Array>;
  },
  options: ReadBodyOptions,
): Promise<Body> {
  const maxBytes = options.maxBytes ?? SCRAPE_BODY_MAX_BYTES;
  const limit =
    options.limit > 0 && options.limit <= maxBytes
      ? { bytes: options.limit - 1, error: "body size limit exceeded" }
      : {
          bytes: maxBytes,
          error: `body size limit exceeded: more than ${formatSize(maxBytes)} (scrapeBodyMaxBytes)`,
        };
  const zipped = response.headers.get("content-encoding") === "gzip";
  const raw = await collect(response.body, {
    pool: options.pool,
    limit,
    expected: zipped ? options.expected >> 3 : options.expected,
  });
  if (!zipped) return raw;
  try {
    return await unzip(raw, { ...options, limit });
  } finally {
    options.pool.release(raw.bytes);
  }
}

interface Limit {
  readonly bytes: number;
  readonly error: string;
}

async function collect(
  body: AsyncIterable<Uint8Array>,
  options: { pool: BodyPool; limit: Limit; expected: number },
): Promise<Body> {
  const { pool, limit } = options;
  let bytes = pool.acquire(Math.max(options.expected, 4096) + 1);
  let length = 0;
  try {
    for await (const chunk of body) {
      const total = length + chunk.length;
      if (total > limit.bytes) throw new BodyLimitError(limit.error);
      if (total + 1 > bytes.length) {
        const larger = pool.acquire(Math.max(total + 1, bytes.length * 2));
        larger.set(bytes.subarray(0, length));
        pool.release(bytes);
        bytes = larger;
      }
      bytes.set(chunk, length);
      length = total;
    }
  } catch (error) {
    pool.release(bytes);
    throw error;
  }
  return { bytes, length };
}

const gunzipAsync = promisify(gunzip);

async function unzip(
  raw: Body,
  options: { pool: BodyPool; limit: Limit; expected: number },
): Promise<Body> {
  const { limit } = options;
  // An empty body with a gzip header is no gzip stream, but nothing is what was sent.
  if (raw.length === 0) return { bytes: options.pool.acquire(1), length: 0 };
  let plain: Buffer;
  try {
    plain = await gunzipAsync(raw.bytes.subarray(0, raw.length), {
      // One piece of the right size saves copying.
      chunkSize: Math.max(65_536, Math.min(options.expected + 1024, limit.bytes + 1)),
      maxOutputLength: limit.bytes + 1,
    });
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ERR_BUFFER_TOO_LARGE")
      throw new BodyLimitError(limit.error);
    throw new AppError("bad-data", `cannot unzip the body: ${messageOf(error)}`, { cause: error });
  }
  if (plain.length > limit.bytes) throw new BodyLimitError(limit.error);
  const bytes = options.pool.acquire(plain.length + 1);
  bytes.set(plain);
  return { bytes, length: plain.length };
}
