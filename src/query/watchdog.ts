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
  #waitingSince: number | undefined;
  #cancelTimer: (() => void) | undefined;
  readonly signal: AbortSignal;

  /** `timeoutMs` 0 never fires; `signal` aborts the watchdog's own one too. */
  constructor(options: { clock: Clock; timeoutMs: number; signal: AbortSignal | undefined }) {
    this.#clock = options.clock;
    this.#timeoutMs = options.timeoutMs;
    this.signal =
      options.signal === undefined
        ? this.#controller.signal
        : AbortSignal.any([options.signal, this.#controller.signal]);
  }

  /** Whether it was the timeout that aborted. */
  get fired(): boolean {
    return this.#controller.signal.aborted;
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
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #arm(delayMs: number): void {
    this.#cancelTimer = this.#clock.after(delayMs, () => {
      this.#cancelTimer = undefined;
      if (this.#waitingSince === undefined) return;
      const restMs = this.#timeoutMs - (this.#clock.monotonic() - this.#waitingSince);
      // Timers may ring a fraction of a millisecond early.
      if (restMs > 1) this.#arm(restMs);
      else this.#controller.abort(new AppError("timeout", `no data for ${this.#timeoutMs} ms`));
    });
  }
}
