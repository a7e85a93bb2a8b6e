/** Received bytes that nobody has read yet before the sender is held back. */
const HIGH_WATER_BYTES = 4 * 1024 * 1024;
const LOW_WATER_BYTES = 1024 * 1024;

interface Waiter {
  readonly resolve: (result: IteratorResult<Uint8Array, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * Messages between the stream that receives them and the code that iterates over them. Holds the stream back
 * (`pause`) while the reader is far behind. Messages received before an error are delivered before it.
 */
export class MessageQueue implements AsyncIterableIterator<Uint8Array, undefined, undefined> {
  readonly #flow: { pause(): void; resume(): void; leave(): void };
  #messages: Uint8Array[] = [];
  #readIndex = 0;
  #bytes = 0;
  #paused = false;
  #waiters: Waiter[] = [];
  #end: { readonly error: Error | undefined } | undefined;

  /** `leave` is called once when the reader stops before the end. */
  constructor(flow: { pause(): void; resume(): void; leave(): void }) {
    this.#flow = flow;
  }

  push(message: Uint8Array): void {
    if (this.#end !== undefined) return;
    const waiter = this.#waiters.shift();
    if (waiter !== undefined) {
      waiter.resolve({ value: message, done: false });
      return;
    }
    this.#messages.push(message);
    this.#bytes += message.length;
    if (this.#bytes > HIGH_WATER_BYTES && !this.#paused) {
      this.#paused = true;
      this.#flow.pause();
    }
  }

  /** No more messages; the reader sees `error`, if there is one, after the last message. Later calls do nothing. */
  finish(error?: Error): void {
    if (this.#end !== undefined) return;
    this.#end = { error };
    for (const waiter of this.#waiters) {
      if (error === undefined) waiter.resolve({ value: undefined, done: true });
      else waiter.reject(error);
    }
    this.#waiters = [];
  }

  /** As `finish`, but drops the messages that were not read yet. */
  fail(error: Error): void {
    if (this.#end !== undefined) return;
    this.#messages = [];
    this.#readIndex = 0;
    this.finish(error);
  }

  next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#readIndex < this.#messages.length) {
      const message = this.#messages[this.#readIndex++]!;
      if (this.#readIndex === this.#messages.length) {
        this.#messages = [];
        this.#readIndex = 0;
      }
      this.#bytes -= message.length;
      if (this.#paused && this.#bytes < LOW_WATER_BYTES) {
        this.#paused = false;
        this.#flow.resume();
      }
      return Promise.resolve({ value: message, done: false });
    }
    if (this.#end !== undefined) {
      const { error } = this.#end;
      this.#end = { error: undefined };
      return error === undefined
        ? Promise.resolve({ value: undefined, done: true })
        : Promise.reject(error);
    }
    return new Promise((resolve, reject) => this.#waiters.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#end === undefined) {
      this.finish();
      this.#flow.leave();
    }
    this.#messages = [];
    this.#readIndex = 0;
    this.#end = { error: undefined };
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
