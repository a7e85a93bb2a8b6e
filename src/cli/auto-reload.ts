import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import type { Service } from "../base/service.ts";

export interface AutoReloadOptions {
  /** 0: never. */
  readonly intervalMs: number;
  /** What the file says now, as a hash; rejects when it is broken. */
  readonly read: () => Promise<string>;
  /** What is running, likewise. */
  readonly current: () => string;
  /** Logs by itself what is wrong. */
  readonly reload: () => Promise<void>;
  readonly clock: Clock;
}

/**
 * Reads the configuration again when its file has changed, wherever that came from: a mounted ConfigMap changes without a
 * signal, and in each of several coordinators. A broken file is told once, until it says something else.
 */
export class AutoReload implements Service {
  readonly name = "automatic reload";
  readonly #options: AutoReloadOptions;
  readonly #abort = new AbortController();
  #refused: string | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(options: AutoReloadOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    if (this.#options.intervalMs > 0) this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    await this.#running;
  }

  /** One look at the file. Never rejects. */
  async look(): Promise<void> {
    const { read, current, reload } = this.#options;
    const found = await read().catch((error: unknown) => `broken: ${messageOf(error)}`);
    if (found === current()) this.#refused = undefined;
    else if (found !== this.#refused) await reload().catch(() => void (this.#refused = found));
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      await this.#options.clock.sleep(this.#options.intervalMs, signal).catch(() => {});
      if (!signal.aborted) await this.look();
    }
  }
}
