import type { Clock } from "../base/clock.ts";
import { SendColumns } from "./send-queue.ts";

export interface SendShardOptions {
  readonly clock: Clock;
  /** Samples that wait here at most. */
  readonly capacity: number;
  /** Samples of a request. */
  readonly maxSamples: number;
  /** A sample waits no longer than this for others to be sent with. */
  readonly deadlineMs: number;
  /** Sends a batch, for as long as that takes. */
  readonly deliver: (batch: SendColumns) => Promise<void>;
}

/** One of the queues of a remote: samples of the same series leave in the order in which they came. */
export class SendShard {
  readonly #options: SendShardOptions;
  readonly #queue: SendColumns;
  #firstMs = 0;
  #isDelivering = false;
  #isFlushing = false;
  /** Wakes whoever waits for the state to change: the loop, the reader of the log, a flush. */
  #changed = Promise.withResolvers<void>();

  constructor(options: SendShardOptions) {
    this.#options = options;
    this.#queue = new SendColumns(options.capacity);
  }

  get isFull(): boolean {
    return this.#queue.isFull;
  }

  get count(): number {
    return this.#queue.count;
  }

  get isIdle(): boolean {
    return this.#queue.count === 0 && !this.#isDelivering;
  }

  /** Takes sample `i` of `incoming`. Only while it is not full. */
  push(incoming: SendColumns, i: number): void {
    const queue = this.#queue;
    if (queue.count === 0) this.#firstMs = this.#options.clock.monotonic();
    queue.pushFrom(incoming, i);
    // What waits does so for a first sample, or for a full request.
    if (queue.count === 1 || queue.count === this.#options.maxSamples) this.#change();
  }

  /** Resolves when something has changed, or `signal` is aborted. */
  async change(signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    const onAbort = (): void => this.#change();
    signal.addEventListener("abort", onAbort, { once: true });
    await this.#changed.promise;
    signal.removeEventListener("abort", onAbort);
  }

  /** Sends what is there without waiting for more. */
  flush(): void {
    this.#isFlushing = true;
    this.#change();
  }

  /** Sends until `signal` is aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, maxSamples, deadlineMs, deliver } = this.#options;
    while (!signal.aborted) {
      if (this.#queue.count === 0) {
        this.#isFlushing = false;
        await this.change(signal);
        continue;
      }
      const waitMs = this.#firstMs + deadlineMs - clock.monotonic();
      if (this.#queue.count < maxSamples && !this.#isFlushing && waitMs > 0) {
        const cancel = clock.after(waitMs, () => this.#change());
        await this.change(signal);
        cancel();
        continue;
      }
      const batch = this.#queue.take(maxSamples);
      this.#firstMs = clock.monotonic();
      this.#isDelivering = true;
      this.#change();
      try {
        await deliver(batch);
      } finally {
        this.#isDelivering = false;
        this.#change();
      }
    }
  }

  #change(): void {
    this.#changed.resolve();
    this.#changed = Promise.withResolvers<void>();
  }
}
