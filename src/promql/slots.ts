import { AppError } from "../base/errors.ts";

/** A fixed number of places, given out in the order asked for. */
export class Slots {
  #free: number;
  readonly #waiting: { grant: () => void }[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** Waits for a place; the result gives it back (once). Rejects with the signal's reason. */
  async acquire(signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) throw AppError.from(signal.reason, "canceled");
    if (this.#free > 0) this.#free--;
    else await this.#wait(signal);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      const next = this.#waiting.shift();
      if (next === undefined) this.#free++;
      else next.grant();
    };
  }

  #wait(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const entry = {
        grant: (): void => {
          signal.removeEventListener("abort", onAbort);
          resolve();
        },
      };
      const onAbort = (): void => {
        const index = this.#waiting.indexOf(entry);
        if (index >= 0) this.#waiting.splice(index, 1);
        reject(AppError.from(signal.reason, "canceled"));
      };
      signal.addEventListener("abort", onAbort, { once: true });
      this.#waiting.push(entry);
    });
  }
}
