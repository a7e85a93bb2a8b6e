/** Time comes in through this interface, so that tests and simulations own it. Times are milliseconds since 1970. */
export interface Clock {
  /** Wall-clock time in ms. */
  now(): number;
  /** Monotonic time in ms with sub-millisecond digits; only differences mean something. */
  monotonic(): number;
  /** Runs `callback` once after `delayMs`; the result cancels it. */
  after(delayMs: number, callback: () => void): () => void;
  /** Resolves after `delayMs`, or rejects with the signal's reason. */
  sleep(delayMs: number, signal?: AbortSignal): Promise<void>;
}

/** setTimeout takes at most a 32-bit delay; a longer one would fire at once. */
const MAX_DELAY_MS = 2 ** 31 - 1;

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, Math.min(Math.max(delayMs, 0), MAX_DELAY_MS));
    return () => clearTimeout(timer);
  },
  sleep(delayMs, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason);
        return;
      }
      const onAbort = (): void => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      const timer = setTimeout(
        () => {
          signal?.removeEventListener("abort", onAbort);
          resolve();
        },
        Math.min(Math.max(delayMs, 0), MAX_DELAY_MS),
      );
      signal?.addEventListener("abort", onAbort, { once: true });
    });
  },
};
