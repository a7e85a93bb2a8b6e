import type { Clock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";

/** One signal for the caller's cancellation and the time limit, each with Prometheus's error as its reason. */
export class Deadline {
  readonly #controller = new AbortController();
  readonly #stopTimer: () => void;
  readonly #caller: AbortSignal | undefined;
  readonly #onCallerAbort = (): void => this.#abort("canceled", "was canceled");
  #stage = "";

  constructor(options: { clock: Clock; timeoutMs: number; signal: AbortSignal | undefined }) {
    this.#caller = options.signal;
    this.#stopTimer = options.clock.after(options.timeoutMs, () =>
      this.#abort("timeout", "timed out"),
    );
    // A timer would wait for a turn of the event loop, and an evaluation may be done before that.
    if (options.timeoutMs <= 0) this.#abort("timeout", "timed out");
    if (options.signal?.aborted === true) this.#onCallerAbort();
    else options.signal?.addEventListener("abort", this.#onCallerAbort, { once: true });
  }

  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  setStage(stage: string): void {
    this.#stage = stage;
  }

  dispose(): void {
    this.#stopTimer();
    this.#caller?.removeEventListener("abort", this.#onCallerAbort);
  }

  #abort(code: "timeout" | "canceled", what: string): void {
    this.#controller.abort(new AppError(code, `query ${what} in ${this.#stage || "query queue"}`));
  }
}
