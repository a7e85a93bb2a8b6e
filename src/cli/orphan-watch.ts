import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Service } from "../base/service.ts";

const CHECK_MS = 1_000;

/** Ends a shard that no coordinator has asked anything for longer than `--shard.orphan-grace`; 0 never does. */
export class OrphanWatch implements Service {
  readonly name = "orphan watch";
  readonly #options: {
    readonly graceMs: number;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly abort: AbortController;
  };
  #lastContactMs: number;
  #cancel = (): void => {};

  constructor(options: {
    readonly graceMs: number;
    readonly clock: Clock;
    readonly logger: Logger;
    readonly abort: AbortController;
  }) {
    this.#options = options;
    this.#lastContactMs = options.clock.monotonic();
  }

  /** A coordinator has asked: there is still one. */
  contact(): void {
    this.#lastContactMs = this.#options.clock.monotonic();
  }

  async start(): Promise<void> {
    this.#checkLater();
  }

  async stop(): Promise<void> {
    this.#cancel();
  }

  #checkLater(): void {
    const { graceMs, clock, logger, abort } = this.#options;
    if (graceMs === 0) return;
    this.#cancel = clock.after(CHECK_MS, () => {
      if (clock.monotonic() - this.#lastContactMs < graceMs) {
        this.#checkLater();
        return;
      }
      logger.warn("no coordinator for longer than --shard.orphan-grace: draining");
      abort.abort();
    });
  }
}
