import type { Dispatcher } from "undici";

/** Bytes of a body held here before the connection is paused, and the level at which it flows again. */
const PAUSE_ABOVE_BYTES = 1 << 20;
const RESUME_BELOW_BYTES = 1 << 18;

export type IncomingHeaders = Readonly<Record<string, string | string[] | undefined>>;

interface Waiter {
  resolve(result: IteratorResult<Uint8Array, undefined>): void;
  reject(error: unknown): void;
}

export interface ResponseHead {
  readonly status: number;
  readonly statusText: string;
  /** Lower-case names; may hold `__proto__`, so look up own properties only. */
  readonly headers: IncomingHeaders;
}

/** Takes the body of an answer with status 200 while it arrives, without waiting and without a copy in between. */
export interface BodySink {
  /** Called with the answer's head before the first byte; throwing refuses the body. */
  start(headers: { get(name: string): string | undefined }): void;
  /** `piece` is lent for the call only. What it throws, the request rejects with, and the connection is given up. */
  write(piece: Uint8Array): void;
}

/** What a sink threw, on its way to the caller. */
export class SinkFailure extends Error {
  constructor(cause: unknown) {
    super("the body was refused", { cause });
  }
}

/** The part of a connection that an exchange controls. */
export interface Flow {
  abort(reason: Error): void;
  pause(): void;
  resume(): void;
}

/**
 * One request and its answer over a connection. Its idea: the handler is also the body's iterator, so that a request
 * costs one object and no stream; back-pressure is a byte count that pauses the connection. With a sink, the body of a
 * good answer never waits here at all.
 *
 *     waiting for head ──onResponseStart──▶ reading body ──onResponseEnd──▶ ended
 *           └──────────────── abort / onResponseError ───────────────────▶ failed
 */
export class Exchange implements Dispatcher.DispatchHandler, AsyncIterableIterator<Uint8Array> {
  readonly head: Promise<ResponseHead>;
  readonly #resolveHead: (head: ResponseHead) => void;
  readonly #rejectHead: (error: unknown) => void;
  readonly #onDone: ((failed: boolean) => void)[] = [];
  readonly #sink: BodySink | undefined;
  #isSinking = false;
  #controller: Flow | undefined;
  #chunks: Uint8Array[] = [];
  #bufferedBytes = 0;
  #waiter: Waiter | undefined;
  #state: "open" | "ended" | "failed" = "open";
  #error: unknown;

  constructor(sink?: BodySink) {
    this.#sink = sink;
    const { promise, resolve, reject } = Promise.withResolvers<ResponseHead>();
    this.head = promise;
    this.#resolveHead = resolve;
    this.#rejectHead = reject;
  }

  /** Runs `callback` when the last byte has arrived or the exchange has failed; at once if that has happened already. */
  onDone(callback: (failed: boolean) => void): void {
    if (this.#state === "open") this.#onDone.push(callback);
    else callback(this.#state === "failed");
  }

  /** Whether the body goes to the sink, and not to the iterator. */
  get isSinking(): boolean {
    return this.#isSinking;
  }

  /** Resolves when the last byte has arrived, and rejects when the exchange fails before. */
  finished(): Promise<void> {
    return new Promise((resolve, reject) =>
      this.onDone((failed) => {
        if (failed) reject(asError(this.#error));
        else resolve();
      }),
    );
  }

  /** Ends the exchange now: the head or the body's reader gets `reason`, and the connection is given up. */
  abort(reason: Error): void {
    if (this.#state !== "open") return;
    this.#fail(reason);
    this.#controller?.abort(reason);
  }

  onRequestStart(controller: Flow): void {
    this.#controller = controller;
    if (this.#state === "failed") controller.abort(asError(this.#error));
  }

  onResponseStart(
    _controller: Flow,
    status: number,
    headers: IncomingHeaders,
    statusText = "",
  ): void {
    // 1xx answers announce; the real one follows.
    if (status < 200 || this.#state !== "open") return;
    if (status === 200 && this.#sink !== undefined) {
      this.#isSinking = true;
      this.#intoSink((sink) => sink.start({ get: (name) => headerOf(headers, name) }));
    }
    this.#resolveHead({ status, statusText, headers });
  }

  /** bytes[start, end) are a piece of the body; unlike `onResponseData`, the memory stays the connection's. */
  onBody(controller: Flow, bytes: Uint8Array, range: { start: number; end: number }): void {
    const piece = bytes.subarray(range.start, range.end);
    this.onResponseData(controller, this.#isSinking ? piece : new Uint8Array(piece));
  }

  onResponseData(controller: Flow, chunk: Uint8Array): void {
    if (this.#state !== "open") return;
    if (this.#isSinking) {
      this.#intoSink((sink) => sink.write(chunk));
      return;
    }
    const waiter = this.#waiter;
    if (waiter !== undefined) {
      this.#waiter = undefined;
      waiter.resolve({ done: false, value: chunk });
      return;
    }
    this.#chunks.push(chunk);
    this.#bufferedBytes += chunk.length;
    if (this.#bufferedBytes > PAUSE_ABOVE_BYTES) controller.pause();
  }

  onResponseEnd(): void {
    if (this.#state !== "open") return;
    this.#state = "ended";
    this.#waiter?.resolve({ done: true, value: undefined });
    this.#waiter = undefined;
    for (const callback of this.#onDone) callback(false);
  }

  onResponseError(_controller: Flow, error: Error): void {
    if (this.#state === "open") this.#fail(error);
  }

  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    const chunk = this.#chunks.shift();
    if (chunk !== undefined) {
      this.#bufferedBytes -= chunk.length;
      if (this.#state === "open" && this.#bufferedBytes < RESUME_BELOW_BYTES)
        this.#controller?.resume();
      return Promise.resolve({ done: false, value: chunk });
    }
    if (this.#state === "failed") return Promise.reject(asError(this.#error));
    if (this.#state === "ended") return Promise.resolve({ done: true, value: undefined });
    return new Promise((resolve, reject) => {
      this.#waiter = { resolve, reject };
    });
  }

  /** A reader that stops early gives the connection up rather than downloading what nobody wants. */
  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#chunks = [];
    this.abort(new Error("the body was not read to its end"));
    return Promise.resolve({ done: true, value: undefined });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  #intoSink(act: (sink: BodySink) => void): void {
    try {
      act(this.#sink!);
    } catch (error) {
      this.abort(new SinkFailure(error));
    }
  }

  #fail(error: unknown): void {
    this.#state = "failed";
    this.#error = error;
    this.#rejectHead(error);
    // A failure after the head rejects nothing of `head`; one before it may find no listener when the caller gave up.
    this.head.catch(() => {});
    this.#waiter?.reject(error);
    this.#waiter = undefined;
    for (const callback of this.#onDone) callback(true);
  }
}

/** The value of a header in any case; several values are joined by ", ". */
export function headerOf(headers: IncomingHeaders, name: string): string | undefined {
  const key = name.toLowerCase();
  const value = Object.hasOwn(headers, key) ? headers[key] : undefined;
  return Array.isArray(value) ? value.join(", ") : value;
}

function asError(thrown: unknown): Error {
  return thrown instanceof Error ? thrown : new Error(String(thrown));
}
