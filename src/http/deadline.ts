import type { Clock } from "../base/clock.ts";
import type { Exchange } from "./exchange.ts";
import { deadlineExceeded } from "./failure.ts";

/** Ends a request, through all its redirects and to the last byte of its body, on time-out or on the caller's signal. */
export class Deadline {
  readonly #signal: AbortSignal | undefined;
  readonly #cancelTimer: () => void;
  readonly #onAbort: (() => void) | undefined;
  #exchange: Exchange | undefined;
  #reject: ((reason: Error) => void) | undefined;
  #reason: Error | undefined;

  constructor(options: { timeoutMs: number; signal: AbortSignal | undefined; clock: Clock }) {
    const { signal } = options;
    this.#cancelTimer = options.clock.after(options.timeoutMs, () =>
      this.#expire(deadlineExceeded()),
    );
    this.#signal = signal;
    if (signal === undefined) return;
    this.#onAbort = () => this.#expire(abortReason(signal));
    if (signal.aborted) this.#expire(abortReason(signal));
    else signal.addEventListener("abort", this.#onAbort, { once: true });
  }

  /** Makes `exchange` the one that ends with this deadline. */
  attach(exchange: Exchange): void {
    this.#exchange = exchange;
    if (this.#reason !== undefined) exchange.abort(this.#reason);
  }

  /** `promise`, or a rejection when the deadline ends first. */
  race<T>(promise: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      if (this.#reason !== undefined) reject(this.#reason);
      promise.then(resolve, reject);
    });
  }

  /** Nothing is left to end. */
  release(): void {
    this.#cancelTimer();
    if (this.#onAbort !== undefined) this.#signal?.removeEventListener("abort", this.#onAbort);
  }

  #expire(reason: Error): void {
    this.#reason = reason;
    this.#reject?.(reason);
    this.#exchange?.abort(reason);
  }
}

function abortReason(signal: AbortSignal): Error {
  const reason: unknown = signal.reason;
  return reason instanceof Error ? reason : new DOMException(String(reason), "AbortError");
}
