import { AppError } from "../base/errors.ts";

/**
 * A fixed number of places. Who waits gets one in the order asked for within a client, and clients take turns: one that
 * asks for a thousand things keeps another one waiting for one of them, not for all.
 */
export class Slots {
  #free: number;
  /** By client; the one whose turn is next comes first, and none is empty. */
  readonly #waiting = new Map<string, (() => void)[]>();

  constructor(count: number) {
    this.#free = count;
  }

  /** Waits for a place; the result gives it back (once). Rejects with the signal's reason. */
  async acquire(signal: AbortSignal, client = ""): Promise<() => void> {
    if (signal.aborted) throw AppError.from(signal.reason, "canceled");
    if (this.#free > 0) this.#free--;
    else await this.#wait(signal, client);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      const grant = this.#next();
      if (grant === undefined) this.#free++;
      else grant();
    };
  }

  #next(): (() => void) | undefined {
    for (const [client, queue] of this.#waiting) {
      this.#waiting.delete(client);
      const grant = queue.shift();
      // The others have their turn before this client has one again.
      if (queue.length > 0) this.#waiting.set(client, queue);
      return grant;
    }
    return undefined;
  }

  #wait(signal: AbortSignal, client: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const grant = (): void => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      };
      const onAbort = (): void => {
        const left = this.#waiting.get(client)?.filter((other) => other !== grant) ?? [];
        if (left.length > 0) this.#waiting.set(client, left);
        else this.#waiting.delete(client);
        reject(AppError.from(signal.reason, "canceled"));
      };
      signal.addEventListener("abort", onAbort, { once: true });
      const queue = this.#waiting.get(client);
      if (queue === undefined) this.#waiting.set(client, [grant]);
      else queue.push(grant);
    });
  }
}
