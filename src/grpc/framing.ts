import { AppError } from "../base/errors.ts";
import type { Codec } from "./codec.ts";

/**
 * gRPC's framing of messages on an HTTP/2 stream: one flag byte (1 = compressed), the length as 32 bits big-endian,
 * the message. Messages and DATA frames are cut independently of each other.
 */
const HEADER_BYTES = 5;

/** Largest message that is accepted, after decompression, unless told otherwise: 64 MiB. */
export const DEFAULT_MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

export interface FrameReaderOptions {
  /** Default DEFAULT_MAX_MESSAGE_BYTES. */
  readonly maxMessageBytes: number;
  /** What the peer's `grpc-encoding` named, if anything. */
  readonly codec: Codec | undefined;
  /** Gets each message; a view of the pushed bytes where it lies in one piece. */
  readonly onMessage: (message: Uint8Array) => void;
}

/** Cuts pushed bytes into messages. */
export class FrameReader {
  readonly #options: FrameReaderOptions;
  readonly #header = new Uint8Array(HEADER_BYTES);
  #headerSize = 0;
  #body: Uint8Array | undefined;
  #bodySize = 0;

  constructor(options: FrameReaderOptions) {
    this.#options = options;
  }

  /** Whether no message is cut off at this point. */
  get idle(): boolean {
    return this.#headerSize === 0;
  }

  /** Takes over `bytes`. Throws `corrupt` or `resource-exhausted`; the stream is then of no more use. */
  push(bytes: Uint8Array): void {
    let at = 0;
    while (at < bytes.length) {
      if (this.#body === undefined) {
        while (this.#headerSize < HEADER_BYTES && at < bytes.length)
          this.#header[this.#headerSize++] = bytes[at++]!;
        if (this.#headerSize < HEADER_BYTES) return;
        const size = this.#messageSize();
        if (bytes.length - at >= size) {
          // Fast path: the whole message is here, so no copy is needed.
          this.#deliver(bytes.subarray(at, at + size));
          at += size;
          continue;
        }
        this.#body = Buffer.allocUnsafeSlow(size);
        this.#bodySize = 0;
      }
      const body = this.#body;
      const part = Math.min(body.length - this.#bodySize, bytes.length - at);
      body.set(
        at === 0 && part === bytes.length ? bytes : bytes.subarray(at, at + part),
        this.#bodySize,
      );
      this.#bodySize += part;
      at += part;
      if (this.#bodySize === body.length) {
        this.#body = undefined;
        this.#deliver(body);
      }
    }
  }

  #messageSize(): number {
    const header = this.#header;
    if (header[0]! > 1)
      throw new AppError("corrupt", `cannot read gRPC message: frame flag ${header[0]} is unknown`);
    const size = header[1]! * 16_777_216 + ((header[2]! << 16) | (header[3]! << 8) | header[4]!);
    if (size > this.#options.maxMessageBytes)
      throw new AppError(
        "resource-exhausted",
        `cannot read gRPC message: ${size} bytes exceed the limit of ${this.#options.maxMessageBytes}`,
      );
    return size;
  }

  #deliver(message: Uint8Array): void {
    this.#headerSize = 0;
    if (this.#header[0] === 0) return this.#options.onMessage(message);
    const { codec, maxMessageBytes, onMessage } = this.#options;
    if (codec === undefined)
      throw new AppError(
        "corrupt",
        "cannot read gRPC message: it is compressed, but no grpc-encoding was named",
      );
    onMessage(codec.decompress(message, maxMessageBytes));
  }
}

/** One whole frame, for a call with a single message. */
export function frameMessage(message: Uint8Array, codec: Codec | undefined): Uint8Array {
  const body = codec === undefined ? message : codec.compress(message);
  const frame = Buffer.allocUnsafe(HEADER_BYTES + body.length);
  writeHeader(frame, 0, { compressed: codec !== undefined, size: body.length });
  frame.set(body, HEADER_BYTES);
  return frame;
}

function writeHeader(
  target: Uint8Array,
  at: number,
  header: { compressed: boolean; size: number },
): void {
  target[at] = header.compressed ? 1 : 0;
  target[at + 1] = header.size >>> 24;
  target[at + 2] = (header.size >>> 16) & 0xff;
  target[at + 3] = (header.size >>> 8) & 0xff;
  target[at + 4] = header.size & 0xff;
}

/** Where a `FrameWriter` puts its bytes: the part of an HTTP/2 stream it needs. */
export interface FrameSink {
  write(bytes: Uint8Array, callback: (error?: Error | null) => void): unknown;
}

/** Bytes handed to the stream and not yet taken by the connection before the producer has to wait. */
const HIGH_WATER_BYTES = 1024 * 1024;
const LOW_WATER_BYTES = 256 * 1024;

const BLOCK_BYTES = 64 * 1024;
/** Idle blocks kept for the next call: 4 MiB. */
const MAX_POOLED_BLOCKS = 64;

/**
 * Blocks that messages are copied into on their way out, used again once the connection has taken their bytes. Memory
 * that is always new costs more in page faults and garbage collection than the copy does.
 */
const pool: Buffer[] = [];

function acquireBlock(): Buffer {
  return pool.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
}

function releaseBlock(block: Buffer): void {
  if (pool.length < MAX_POOLED_BLOCKS) pool.push(block);
}

/**
 * Writes messages to a stream, packed into blocks of 64 KiB: a full block leaves at once, the last one when the event
 * loop turns. A hundred thousand tiny messages a second thus cost a few hundred writes.
 */
export class FrameWriter {
  readonly #sink: FrameSink;
  readonly #codec: Codec | undefined;
  #block: Buffer | undefined;
  #blockSize = 0;
  #inFlightBytes = 0;
  #flushScheduled = false;
  #waiter: (() => void) | undefined;
  #closed = false;

  constructor(sink: FrameSink, codec: Codec | undefined) {
    this.#sink = sink;
    this.#codec = codec;
  }

  /** Copies `message`. When the result is a promise, wait for it before the next one. */
  push(message: Uint8Array): Promise<void> | undefined {
    if (this.#closed) return undefined;
    const body = this.#codec === undefined ? message : this.#codec.compress(message);
    if (this.#blockSize + HEADER_BYTES > BLOCK_BYTES) this.flush();
    this.#block ??= acquireBlock();
    writeHeader(this.#block, this.#blockSize, {
      compressed: this.#codec !== undefined,
      size: body.length,
    });
    this.#blockSize += HEADER_BYTES;
    for (let at = 0; at < body.length;) {
      const part = Math.min(body.length - at, BLOCK_BYTES - this.#blockSize);
      this.#block ??= acquireBlock();
      this.#block.set(part === body.length ? body : body.subarray(at, at + part), this.#blockSize);
      this.#blockSize += part;
      at += part;
      if (this.#blockSize === BLOCK_BYTES) this.flush();
    }
    this.#scheduleFlush();
    return this.#inFlightBytes < HIGH_WATER_BYTES ? undefined : this.#belowLowWater();
  }

  /** Hands over what is pending. */
  flush(): void {
    const block = this.#block;
    if (block === undefined || this.#closed) return;
    const size = this.#blockSize;
    this.#block = undefined;
    this.#blockSize = 0;
    this.#inFlightBytes += size;
    this.#sink.write(size === BLOCK_BYTES ? block : block.subarray(0, size), (error) => {
      // After an error the connection may still hold the memory.
      if (error === undefined || error === null) releaseBlock(block);
      this.#inFlightBytes -= size;
      if (this.#inFlightBytes > LOW_WATER_BYTES) return;
      this.#waiter?.();
      this.#waiter = undefined;
    });
  }

  /** The stream is gone: drops what is pending and lets a waiting producer go on. */
  close(): void {
    this.#closed = true;
    this.#waiter?.();
    this.#waiter = undefined;
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled || this.#block === undefined) return;
    this.#flushScheduled = true;
    setImmediate(() => {
      this.#flushScheduled = false;
      this.flush();
    });
  }

  #belowLowWater(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiter = resolve;
    });
  }
}
