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
  write(bytes: Uint8Array, callback: () => void): unknown;
}

/** Messages up to this size are copied together into one write. */
const SMALL_MESSAGE_BYTES = 16 * 1024;
const FIRST_BATCH_BYTES = 2 * 1024;
const MAX_BATCH_BYTES = 64 * 1024;
/** Bytes handed to the stream and not yet taken by the connection before the producer has to wait. */
const HIGH_WATER_BYTES = 1024 * 1024;
const LOW_WATER_BYTES = 256 * 1024;

/**
 * Writes messages to a stream: small ones are gathered into writes of up to 64 KiB until the event loop turns, large
 * ones go through without a copy. A hundred thousand tiny messages a second thus cost a few hundred writes.
 */
export class FrameWriter {
  readonly #sink: FrameSink;
  readonly #codec: Codec | undefined;
  #batch: Buffer | undefined;
  #batchSize = 0;
  #batchCapacity = FIRST_BATCH_BYTES;
  #inFlightBytes = 0;
  #flushScheduled = false;
  #waiter: (() => void) | undefined;
  #closed = false;

  constructor(sink: FrameSink, codec: Codec | undefined) {
    this.#sink = sink;
    this.#codec = codec;
  }

  /** Takes over `message`. When the result is a promise, wait for it before the next one. */
  push(message: Uint8Array): Promise<void> | undefined {
    if (this.#closed) return undefined;
    const body = this.#codec === undefined ? message : this.#codec.compress(message);
    if (body.length > SMALL_MESSAGE_BYTES) {
      this.flush();
      const header = Buffer.allocUnsafe(HEADER_BYTES);
      writeHeader(header, 0, { compressed: this.#codec !== undefined, size: body.length });
      this.#write(header);
      this.#write(body);
    } else this.#gather(body);
    return this.#inFlightBytes < HIGH_WATER_BYTES ? undefined : this.#belowLowWater();
  }

  #gather(body: Uint8Array): void {
    const needed = HEADER_BYTES + body.length;
    if (this.#batch !== undefined && this.#batchSize + needed > this.#batch.length) {
      this.flush();
      // A batch that fills up within one turn is followed by more.
      this.#batchCapacity = Math.min(this.#batchCapacity * 4, MAX_BATCH_BYTES);
    }
    this.#batch ??= Buffer.allocUnsafe(Math.max(this.#batchCapacity, needed));
    writeHeader(this.#batch, this.#batchSize, {
      compressed: this.#codec !== undefined,
      size: body.length,
    });
    this.#batch.set(body, this.#batchSize + HEADER_BYTES);
    this.#batchSize += needed;
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    setImmediate(() => {
      this.#flushScheduled = false;
      this.flush();
    });
  }

  flush(): void {
    if (this.#batch === undefined || this.#closed) return;
    const batch = this.#batch.subarray(0, this.#batchSize);
    this.#batch = undefined;
    this.#batchSize = 0;
    this.#write(batch);
  }

  /** The stream is gone: drops what is pending and lets a waiting producer go on. */
  close(): void {
    this.#closed = true;
    this.#waiter?.();
    this.#waiter = undefined;
  }

  #write(bytes: Uint8Array): void {
    this.#inFlightBytes += bytes.length;
    this.#sink.write(bytes, () => {
      this.#inFlightBytes -= bytes.length;
      if (this.#inFlightBytes > LOW_WATER_BYTES) return;
      this.#waiter?.();
      this.#waiter = undefined;
    });
  }

  #belowLowWater(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiter = resolve;
    });
  }
}
