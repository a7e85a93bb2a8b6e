import type { AppError } from "../base/errors.ts";
import type { ScrapeConfig } from "../config/types.ts";
import type { Target, TargetHealth } from "../model/target.ts";
import type { TargetStatus } from "../scrape/scrape-loop.ts";
import { BodyCounter, type CounterContext, type PassedBody } from "./body-counter.ts";
import type { JobClient } from "./job-clients.ts";
import { HASH_PARAMETER, JOB_PARAMETER, SCHEME_PARAMETER } from "./target-files.ts";

/** How one request through the proxy ended. */
export interface PassedScrape {
  readonly startedMs: number;
  readonly durationMs: number;
  /** Undefined when a body was passed on. */
  readonly error: AppError | undefined;
}

/** One assigned target as the proxy serves it, and how its last scrape went. */
export class ProxiedTarget {
  readonly #counter: BodyCounter;
  #target: Target;
  #job: JobClient;
  /** What a request must ask for: host, path and parameters of the target's URL. */
  #address: ProxiedAddress;
  #health: TargetHealth = "unknown";
  #lastError = "";
  #lastScrapeMs = 0;
  #lastDurationMs = 0;
  #scraped = 0;
  #kept = 0;
  #added = 0;
  #bytes = 0;
  #scrapes = 0;

  constructor(context: CounterContext, options: { target: Target; job: JobClient }) {
    this.#target = options.target;
    this.#job = options.job;
    this.#address = addressOf(new URL(options.target.url));
    this.#counter = new BodyCounter(context, {
      target: options.target,
      config: options.job.config,
    });
  }

  get target(): Target {
    return this.#target;
  }

  get job(): JobClient {
    return this.#job;
  }

  get config(): ScrapeConfig {
    return this.#job.config;
  }

  get counter(): BodyCounter {
    return this.#counter;
  }

  /** The size of the last body: what to expect of the next. */
  get expectedBytes(): number {
    return this.#bytes;
  }

  reconfigure({ target, job }: { target: Target; job: JobClient }): void {
    if (target.url !== this.#target.url) this.#address = addressOf(new URL(target.url));
    this.#target = target;
    this.#job = job;
    this.#counter.reconfigure({ target, config: job.config });
  }

  /** Why `asked`, a URL with the proxy's own parameters, is not this target; undefined when it is. */
  mismatch(asked: URL): string | undefined {
    const { searchParams } = asked;
    if (searchParams.get(JOB_PARAMETER) !== this.#target.job) return "it is of another job";
    const scheme = searchParams.get(SCHEME_PARAMETER);
    if (scheme !== null && `${scheme}:` !== this.#address.protocol) return "its scheme is another";
    const address = addressOf(asked);
    if (address.host !== this.#address.host) return "its host is another";
    if (!isSamePort(address, this.#address)) return "its port is another";
    if (address.path !== this.#address.path) return "its path is another";
    return address.parameters === this.#address.parameters
      ? undefined
      : "its parameters are others";
  }

  /** Takes note of a scrape, and counts what was passed on. Never rejects. */
  async passed(scrape: PassedScrape, body: PassedBody | undefined): Promise<void> {
    const count = body === undefined ? undefined : await this.#counter.count(body);
    const error = scrape.error ?? count?.error;
    this.#lastScrapeMs = scrape.startedMs;
    this.#lastDurationMs = scrape.durationMs;
    this.#health = error === undefined ? "up" : "down";
    this.#lastError = error?.message ?? "";
    this.#scraped = count?.scraped ?? 0;
    this.#kept = count?.kept ?? 0;
    this.#added = count?.added ?? 0;
    this.#bytes = count?.bytes ?? this.#bytes;
    this.#scrapes++;
  }

  status(): TargetStatus {
    return {
      target: this.#target,
      health: this.#health,
      lastError: this.#lastError,
      lastScrapeMs: this.#lastScrapeMs,
      lastDurationMs: this.#lastDurationMs,
      seriesScraped: this.#scraped,
      seriesPostRelabel: this.#kept,
      seriesAdded: this.#added,
      bodyBytes: this.#bytes,
      scrapes: this.#scrapes,
    };
  }
}

interface ProxiedAddress {
  readonly protocol: string;
  readonly host: string;
  /** "" for the scheme's usual one. */
  readonly port: string;
  readonly path: string;
  /** All but the proxy's own, by name; those of one name in their order. */
  readonly parameters: string;
}

/** The request is plain HTTP whatever the target speaks, and Prometheus 2 writes the usual port of HTTP out. */
function isSamePort(asked: ProxiedAddress, assigned: ProxiedAddress): boolean {
  const usual = assigned.protocol === "https:" ? "443" : "80";
  if (asked.port === "" && assigned.port === "") return true;
  return (asked.port === "" ? "80" : asked.port) === (assigned.port === "" ? usual : assigned.port);
}

function addressOf(url: URL): ProxiedAddress {
  const parameters = new URLSearchParams(url.searchParams);
  for (const name of [HASH_PARAMETER, JOB_PARAMETER, SCHEME_PARAMETER]) parameters.delete(name);
  parameters.sort();
  return {
    protocol: url.protocol,
    host: url.hostname,
    port: url.port,
    path: url.pathname,
    parameters: parameters.toString(),
  };
}
