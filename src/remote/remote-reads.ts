import { messageOf } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Registry } from "../base/metrics.ts";
import type { Config, RemoteReadConfig } from "../config/types.ts";
import { createHttpClient } from "../http/client.ts";
import { createMatcher, type Matcher } from "../model/matcher.ts";
import { mergeSelect, sortSeries } from "../storage/merge.ts";
import { mergeChunkLists } from "../storage/merge-chunks.ts";
import type {
  LabelResult,
  Queryable,
  SelectRequest,
  Series,
  SeriesBatch,
} from "../storage/queryable.ts";
import { withoutSamplesAfter } from "./chunks-until.ts";
import { ReadClient } from "./read-client.ts";

export interface RemoteReadsOptions {
  readonly userAgent: string;
  readonly logger: Logger;
  readonly registry: Registry;
  /** From when on the local storage has all samples, ms; Infinity when it has none. */
  readonly localStartMs: () => number;
}

export interface OverOptions {
  /** A remote that does not answer fails the query, instead of being told in its warnings. */
  readonly isAbort: boolean;
}

/**
 * The endpoints of `remote_read`: their samples stand beside the local ones in every query. As in Prometheus they are best
 * effort, all of one endpoint's answer or nothing, and label names and values come from the local storage alone.
 */
export class RemoteReads {
  readonly #options: RemoteReadsOptions;
  #clients: readonly ReadClient[] = [];
  #externalLabels: Readonly<Record<string, string>> = {};

  constructor(options: RemoteReadsOptions) {
    this.#options = options;
  }

  /** Goes over to `config`. Endpoints that it does not change keep their connections. */
  async apply(config: Pick<Config, "global" | "remoteReads">): Promise<void> {
    const old = this.#clients;
    const next: ReadClient[] = [];
    for (const remote of config.remoteReads) {
      const kept = old.find((one) => one.config.fingerprint === remote.fingerprint);
      const client = kept ?? this.#create(remote);
      if (client !== undefined) next.push(client);
    }
    this.#clients = next;
    this.#externalLabels = config.global.externalLabels;
    await Promise.all(old.filter((one) => !next.includes(one)).map((one) => one.retire()));
  }

  /** Everything of `local` and of the endpoints. */
  over(local: Queryable, options: OverOptions): Queryable {
    const clients = this.#clients;
    if (clients.length === 0) return local;
    return {
      select: (request) => {
        const sources = clients.flatMap((client) => {
          const asked = this.#asked(client.config, request);
          return asked === undefined ? [] : [read(client, asked, options)];
        });
        if (sources.length === 0) return local.select(request);
        return mergeSelect([local.select(request), ...sources], {
          ...(request.limit !== undefined && { limit: request.limit }),
          join: (equal) => mergeChunkLists(equal.map(({ chunks }) => chunks)),
        });
      },
      labelNames: async (request) => told(await local.labelNames(request)),
      labelValues: async (name, request) => told(await local.labelValues(name, request)),
    };
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.retire()));
    this.#clients = [];
  }

  #create(config: RemoteReadConfig): ReadClient | undefined {
    const { userAgent, registry, logger } = this.#options;
    try {
      const client = createHttpClient(config.httpClient, { userAgent });
      return new ReadClient(config, { client, registry });
    } catch (error) {
      const url = config.shownUrl;
      logger.error("cannot read from a remote", { url, error: messageOf(error) });
      return undefined;
    }
  }

  /** What an endpoint is asked for; undefined when it has nothing to add. */
  #asked(config: RemoteReadConfig, request: SelectRequest): Asked | undefined {
    const required = Object.entries(config.requiredMatchers);
    const isMeant = required.every(([name, value]) =>
      request.matchers.some(
        (matcher) => matcher.operator === "=" && matcher.name === name && matcher.value === value,
      ),
    );
    if (!isMeant) return undefined;
    const localStartMs = config.readRecent ? Infinity : this.#options.localStartMs();
    if (request.minTimeMs > localStartMs) return undefined;
    // A selector that names the label itself may mean another value.
    const added = !config.filterExternalLabels
      ? []
      : Object.entries(this.#externalLabels).filter(
          ([name]) => !request.matchers.some((matcher) => matcher.name === name),
        );
    return {
      request,
      matchers: [
        ...request.matchers,
        ...added.map(([name, value]) => createMatcher(name, "=", value)),
      ],
      maxTimeMs: Math.min(request.maxTimeMs, localStartMs),
      takenOff: [...added.map(([name]) => name), ...(request.withoutReplicaLabels ?? [])],
    };
  }
}

interface Asked {
  readonly request: SelectRequest;
  readonly matchers: readonly Matcher[];
  readonly maxTimeMs: number;
  /** Labels. */
  readonly takenOff: readonly string[];
}

async function* read(
  client: ReadClient,
  { request, matchers, maxTimeMs, takenOff }: Asked,
  { isAbort }: OverOptions,
): AsyncGenerator<SeriesBatch> {
  const { minTimeMs, skipChunks = false, hints, signal } = request;
  try {
    const found = await client.read({
      matchers,
      minTimeMs,
      maxTimeMs,
      // Whoever wants labels only still has to see that there are samples.
      ...(hints !== undefined && !skipChunks && { hints }),
      ...(signal !== undefined && { signal }),
    });
    yield { series: prepare(found, { maxTimeMs, takenOff, skipChunks }) };
  } catch (error) {
    if (isAbort || signal?.aborted === true) throw error;
    const reason = messageOf(error).replaceAll(client.config.url, client.config.shownUrl);
    yield {
      series: [],
      warnings: [`remote_read: cannot read from ${client.config.shownUrl}: ${reason}`],
    };
  }
}

function prepare(
  found: readonly Series[],
  options: { maxTimeMs: number; takenOff: readonly string[]; skipChunks: boolean },
): readonly Series[] {
  const { maxTimeMs, takenOff, skipChunks } = options;
  const series: Series[] = [];
  for (const { labels, chunks } of found) {
    const within = withoutSamplesAfter(chunks, maxTimeMs);
    if (within.length > 0)
      series.push({
        labels: takenOff.length === 0 ? labels : labels.without(takenOff),
        chunks: skipChunks ? [] : within,
      });
  }
  return takenOff.length === 0 ? series : sortSeries(series);
}

/** Remote read has no question for labels. */
function told(result: LabelResult): LabelResult {
  const warning = "remote_read: labels of remote series are not asked for";
  return { ...result, warnings: [...result.warnings, warning] };
}
