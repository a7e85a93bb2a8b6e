import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Config, HttpClientConfig, ScrapeConfig } from "../config/types.ts";
import type { HttpClient } from "../http/client.ts";
import { configFingerprint } from "../scrape/fingerprint.ts";

/** A job's settings and the HTTP client that speaks for it: its credentials, TLS and proxy. */
export interface JobClient {
  readonly config: ScrapeConfig;
  readonly client: HttpClient;
}

export interface JobClientsOptions {
  readonly createClient: (config: HttpClientConfig) => HttpClient;
  readonly clock: Clock;
  readonly logger: Logger;
}

interface Job extends JobClient {
  readonly fingerprint: string;
}

/** How long a replaced client stays open for scrapes under way. */
const LINGER_MS = 120_000;

/** One HTTP client a job, which stays when a new configuration has the same settings for it. */
export class JobClients {
  readonly #options: JobClientsOptions;
  #jobs = new Map<string, Job>();
  readonly #lingering = new Map<HttpClient, () => void>();

  constructor(options: JobClientsOptions) {
    this.#options = options;
  }

  get(job: string): JobClient | undefined {
    return this.#jobs.get(job);
  }

  apply(config: Config): void {
    const jobs = new Map<string, Job>();
    for (const scrape of config.scrapeConfigs) {
      const fingerprint = configFingerprint(scrape.httpClient);
      const known = this.#jobs.get(scrape.jobName);
      const client =
        known?.fingerprint === fingerprint
          ? known.client
          : this.#options.createClient(scrape.httpClient);
      jobs.set(scrape.jobName, { config: scrape, client, fingerprint });
    }
    for (const [job, { client }] of this.#jobs)
      if (jobs.get(job)?.client !== client) this.#closeLater(client);
    this.#jobs = jobs;
  }

  async close(): Promise<void> {
    const clients = [...this.#jobs.values()].map(({ client }) => client);
    for (const [client, cancel] of this.#lingering) {
      cancel();
      clients.push(client);
    }
    this.#lingering.clear();
    this.#jobs = new Map();
    await Promise.all(clients.map(async (client) => client.close()));
  }

  #closeLater(client: HttpClient): void {
    const { clock, logger } = this.#options;
    const cancel = clock.after(LINGER_MS, () => {
      this.#lingering.delete(client);
      void client.close().catch((error: unknown) => {
        logger.warn("cannot close HTTP client", { error });
      });
    });
    this.#lingering.set(client, cancel);
  }
}
