import type { Clock } from "../base/clock.ts";

interface Timer {
  readonly atMs: number;
  /** Timers due at the same time fire in the order they were set. */
  readonly order: number;
  readonly callback: () => void;
  isCanceled: boolean;
}

/**
 * Time that passes only in `runUntil`, from one timer to the next. What a timer sets off is finished, promises included,
 * before the next one fires, so that a run is the same whatever the machine does.
 */
export class VirtualClock implements Clock {
  #nowMs: number;
  readonly #startMs: number;
  /** Binary heap, the next timer first. */
  readonly #timers: Timer[] = [];
  #orders = 0;

  constructor(startMs: number) {
    this.#nowMs = startMs;
    this.#startMs = startMs;
  }

  now(): number {
    return this.#nowMs;
  }

  monotonic(): number {
    return this.#nowMs - this.#startMs;
  }

  after(delayMs: number, callback: () => void): () => void {
    const atMs = this.#nowMs + Math.max(0, Math.ceil(delayMs));
    const timer: Timer = { atMs, order: this.#orders++, callback, isCanceled: false };
    this.#push(timer);
    return () => {
      timer.isCanceled = true;
    };
  }

  /** Calls `callback` at `atMs`, or at once when that has passed. */
  at(atMs: number, callback: () => void): () => void {
    return this.after(atMs - this.#nowMs, callback);
  }

  sleep(delayMs: number, signal?: AbortSignal): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    if (signal?.aborted === true) {
      reject(signal.reason);
      return promise;
    }
    const cancel = this.after(delayMs, () => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    });
    const onAbort = (): void => {
      cancel();
      reject(signal?.reason);
    };
    signal?.addEventListener("abort", onAbort, { once: true });
    return promise;
  }

  /** Lets time pass up to `endMs`: every timer due until then has fired when this resolves. */
  async runUntil(endMs: number): Promise<void> {
    await settled();
    for (;;) {
      const next = this.#timers[0];
      if (next === undefined || next.atMs > endMs) break;
      this.#pop();
      if (next.isCanceled) continue;
      this.#nowMs = next.atMs;
      next.callback();
      await settled();
    }
    this.#nowMs = endMs;
  }

  #push(timer: Timer): void {
    const heap = this.#timers;
    let i = heap.push(timer) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (isBefore(heap[parent]!, timer)) break;
      heap[i] = heap[parent]!;
      i = parent;
    }
    heap[i] = timer;
  }

  #pop(): void {
    const heap = this.#timers;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (isBefore(last, heap[child]!)) break;
      heap[i] = heap[child]!;
      i = child;
    }
    heap[i] = last;
  }
}

function isBefore(a: Timer, b: Timer): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

/** Resolves when no promise that is ready has anything left to do. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
