import { AppError, messageOf } from "../base/errors.ts";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Config, ScrapeConfig } from "../config/types.ts";
import { createHttpClient, type HttpClient } from "../http/client.ts";
import type { Target } from "../model/target.ts";
import { exploreTarget } from "../scrape/explore.ts";
import type { Load } from "./load.ts";
import { loadOfScrape } from "./load-average.ts";

/** How long the client of a former configuration may finish its requests. */
const CLIENT_CLOSE_DELAY_MS = 60_000;

export interface TargetExplorerOptions {
  readonly logger: Logger;
  readonly clock: Clock;
  readonly userAgent: string;
  /** Whether connections to targets are used again. */
  readonly keepAlive: boolean;
}

/** Makes test scrapes with each job's own HTTP client. */
export class TargetExplorer {
  readonly #options: TargetExplorerOptions;
  #configs = new Map<string, ScrapeConfig>();
  #clients = new Map<string, HttpClient>();

  constructor(config: Config, options: TargetExplorerOptions) {
    this.#options = options;
    this.setConfig(config);
  }

  setConfig(config: Config): void {
    const old = [...this.#clients.values()];
    this.#clients = new Map();
    this.#configs = new Map(config.scrapeConfigs.map((job) => [job.jobName, job]));
    if (old.length > 0)
      this.#options.clock.after(CLIENT_CLOSE_DELAY_MS, () => void this.#closeAll(old));
  }

  /** What a scrape of `target` would cost. Rejects as the scrape would. */
  async explore(target: Target, signal: AbortSignal): Promise<Load> {
    const scrapeConfig = this.#configs.get(target.job);
    if (scrapeConfig === undefined)
      throw new AppError(
        "not-found",
        `cannot explore ${target.url}: there is no job ${target.job}`,
      );
    if (target.refusal !== undefined) throw new AppError("resource-exhausted", target.refusal);
    const client = this.#clientOf(scrapeConfig);
    const found = await exploreTarget({ target, scrapeConfig, client, signal });
    return loadOfScrape({
      intervalMs: target.intervalMs,
      series: found.seriesPostRelabel,
      rawSeries: found.samplesScraped,
      bodyBytes: found.bodyBytes,
    });
  }

  async close(): Promise<void> {
    await this.#closeAll([...this.#clients.values()]);
  }

  #clientOf(scrapeConfig: ScrapeConfig): HttpClient {
    let client = this.#clients.get(scrapeConfig.jobName);
    if (client === undefined) {
      client = createHttpClient(scrapeConfig.httpClient, this.#options);
      this.#clients.set(scrapeConfig.jobName, client);
    }
    return client;
  }

  /** Never rejects. */
  async #closeAll(clients: readonly HttpClient[]): Promise<void> {
    for (const client of clients)
      await client.close().catch((error: unknown) => {
        this.#options.logger.debug("cannot close a client", { error: messageOf(error) });
      });
  }
}
