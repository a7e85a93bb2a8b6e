import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Registry } from "../base/metrics.ts";
import type { Service } from "../base/service.ts";
import type { Config, RemoteWriteConfig } from "../config/types.ts";
import { createHttpClient } from "../http/client.ts";
import type { MetricMetadata } from "../model/metadata.ts";
import { RemoteQueue } from "./remote-queue.ts";
import type { LogEnd } from "./wal-tail.ts";

export interface RemoteWriterOptions {
  /** The data folder. */
  readonly folder: string;
  /** Where the log ends. */
  readonly end: () => LogEnd;
  readonly metadata: () => ReadonlyMap<string, MetricMetadata>;
  readonly userAgent: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: Registry;
}

interface Running {
  readonly key: string;
  readonly queue: RemoteQueue;
}

/** Keeps one queue for each `remote_write` of the configuration. Those that a new one does not change go on. */
export class RemoteWriter implements Service {
  readonly name = "remote write";
  readonly #options: RemoteWriterOptions;
  #running: Running[] = [];
  #turn: Promise<void> = Promise.resolve();
  #isStopped = false;
  #config: Config | undefined;

  constructor(options: RemoteWriterOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {
    this.#isStopped = true;
    await this.#turn;
    await Promise.all(this.#running.map(({ queue }) => queue.stop()));
  }

  /** Goes over to `config`; resolves when that has been done. */
  apply(config: Config): Promise<void> {
    const next = this.#turn.then(() => this.#apply(config));
    this.#turn = next.catch((error: unknown) => {
      this.#options.logger.error("cannot set up remote write", { error });
    });
    return this.#turn;
  }

  async #apply(config: Config): Promise<void> {
    if (this.#isStopped || config === this.#config) return;
    this.#config = config;
    const wanted = config.remoteWrites.map((remote) => ({
      remote,
      key: keyOf(remote, config),
    }));
    const kept = this.#running.filter(({ key }) => wanted.some((one) => one.key === key));
    const ended = this.#running.filter((one) => !kept.includes(one));
    // The old queue's place is on disk before the new one looks for it.
    await Promise.all(ended.map(({ queue }) => queue.stop()));
    this.#running = kept;
    for (const { remote, key } of wanted)
      if (!kept.some((one) => one.key === key)) this.#begin(remote, { key, config });
  }

  #begin(remote: RemoteWriteConfig, { key, config }: { key: string; config: Config }): void {
    const { userAgent, logger } = this.#options;
    if (remote.unsupported !== "") {
      logger.error("cannot send to a remote", {
        url: remote.shownUrl,
        error: `${remote.unsupported} is not supported yet: use basic_auth, authorization, oauth2 or tls_config`,
      });
      return;
    }
    try {
      const queue = new RemoteQueue(remote, {
        ...this.#options,
        client: createHttpClient(remote.httpClient, { userAgent }),
        externalLabels: config.global.externalLabels,
        keepsOutOfOrder: config.storage.outOfOrderTimeWindowMs > 0,
      });
      queue.start();
      this.#running.push({ key, queue });
    } catch (error) {
      logger.error("cannot send to a remote", { url: remote.shownUrl, error: messageOf(error) });
    }
  }
}

/** Equal for remotes that need not be touched. */
function keyOf(remote: RemoteWriteConfig, config: Config): string {
  const { global, storage, baseFolder } = config;
  const around = [global.externalLabels, storage.outOfOrderTimeWindowMs, baseFolder];
  return JSON.stringify([remote.fingerprint, ...around]);
}
