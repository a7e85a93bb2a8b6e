import type { Logger } from "../base/logger.ts";
import type { Service } from "../base/service.ts";
import type { Elector, Leadership } from "./leadership.ts";

/** The leadership of one of several coordinators, as an elector grants it. */
export class ElectedLeadership implements Leadership, Service {
  readonly name = "leader election";
  readonly #elector: Elector;
  readonly #logger: Logger;
  readonly #abort = new AbortController();
  #running: Promise<void> = Promise.resolve();
  #onChange = (): void => {};

  constructor(elector: Elector, logger: Logger) {
    this.#elector = elector;
    this.#logger = logger;
  }

  /** By the elector's own clock, so that a process that was paused does not act before its timers have run. */
  get epoch(): number | undefined {
    return this.#elector.epoch();
  }

  get leaderUrl(): string | undefined {
    return this.#elector.holder();
  }

  async start(): Promise<void> {
    this.#running = this.#elector.run(this.#abort.signal, {
      onElected: (epoch) => {
        this.#logger.info("elected as the leading coordinator", { epoch });
        this.#onChange();
      },
      onLost: (reason) => {
        this.#logger.warn("not the leading coordinator any more", { reason });
        this.#onChange();
      },
    });
  }

  /** Gives the leadership back, so that a standby takes over at once. */
  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  outdated(epoch: number): void {
    this.#elector.raise(epoch);
  }

  onChange(listener: () => void): void {
    this.#onChange = listener;
  }
}
