import type { Clock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";

/**
 * Aborts a signal when a peer keeps its reader waiting for longer than `timeoutMs` at a time. The time the reader
 * itself takes does not count.
 */
export class Watchdog {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #controller = new AbortController();
  readonly #caller: AbortSignal | undefined;
  readonly #onCallerAbort = (): void => this.#controller.abort(this.#caller?.reason);
  #fired = false;
  #waitingSince: number | undefined;
  #cancelTimer: (() => void) | undefined;

  /** `timeoutMs` 0 never fires; `signal` aborts the watchdog's own one too, until it is stopped. */
  constructor(options: { clock: Clock; timeoutMs: number; signal: AbortSignal | undefined }) {
    this.#clock = options.clock;
    this.#timeoutMs = options.timeoutMs;
    // A listener costs a tenth of what a signal made of two does, and leaves the garbage collector no weak references.
    this.#caller = options.signal;
    if (options.signal?.aborted === true) this.#onCallerAbort();
    else options.signal?.addEventListener("abort", this.#onCallerAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** Whether it was the timeout that aborted. */
  get fired(): boolean {
    return this.#fired;
  }

  async wait<T>(answer: Promise<T>): Promise<T> {
    if (this.#timeoutMs > 0) {
      this.#waitingSince = this.#clock.monotonic();
      // One timer serves many waits: it looks again when it rings.
      if (this.#cancelTimer === undefined) this.#arm(this.#timeoutMs);
    }
    try {
      return await answer;
    } finally {
      this.#waitingSince = undefined;
    }
  }

  stop(): void {
    this.#caller?.removeEventListener("abort", this.#onCallerAbort);
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #arm(delayMs: number): void {
    this.#cancelTimer = this.#clock.after(delayMs, () => {
      this.#cancelTimer = undefined;
      if (this.#waitingSince === undefined) return;
      const restMs = this.#timeoutMs - (this.#clock.monotonic() - this.#waitingSince);
      // Timers may ring a fraction of a millisecond early.
      if (restMs > 1) return this.#arm(restMs);
      this.#fired = true;
      this.#controller.abort(new AppError("timeout", `no data for ${this.#timeoutMs} ms`));
    });
  }
}
