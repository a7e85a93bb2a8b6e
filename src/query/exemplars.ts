import { AppError, messageOf } from "../base/errors.ts";
import type { Exemplar } from "../model/exemplar.ts";
import { compareLabels, Labels } from "../model/labels.ts";
import type { Matcher } from "../model/matcher.ts";
import { decodeExemplarsResponse, encodeExemplarsRequest } from "../proto/exemplars.ts";
import { STRATEGY_ABORT, STRATEGY_WARN } from "../proto/series-request.ts";
import type { SeriesExemplars } from "../storage/exemplars.ts";
import type { Endpoint } from "./endpoint-set.ts";
import { DEFAULT_STORE_TIMEOUT_MS } from "./fanout.ts";
import type { PartialResponse } from "./remote-store.ts";
import { Round } from "./round.ts";

export interface ExemplarsQuery {
  /** An expression, of which only the selectors count. */
  readonly query: string;
  /** Its selectors. */
  readonly selectors: readonly (readonly Matcher[])[];
  readonly startMs: number;
  readonly endMs: number;
  readonly signal?: AbortSignal;
}

export interface ExemplarsResult {
  readonly series: readonly SeriesExemplars[];
  readonly warnings: readonly string[];
  readonly infos: readonly string[];
}

/** The exemplars of all stores that serve them; those of replicas are one series, equal ones once. */
export async function queryExemplars(
  { query, selectors, startMs, endMs, signal }: ExemplarsQuery,
  options: {
    readonly endpoints: readonly Endpoint[];
    readonly replicaLabels: readonly string[];
    readonly partialResponse: PartialResponse;
  },
): Promise<ExemplarsResult> {
  const abort = options.partialResponse === "abort";
  const round = new Round({ abort, replicaLabels: options.replicaLabels });
  const strategy = abort ? STRATEGY_ABORT : STRATEGY_WARN;
  const request = encodeExemplarsRequest({
    query,
    startMs,
    endMs,
    partialResponseStrategy: strategy,
  });
  const found = new Map<string, { labels: Labels; exemplars: Map<string, Exemplar> }>();
  const warned: string[] = [];
  const ask = async (endpoint: Endpoint): Promise<void> => {
    const frames = endpoint.channel.serverStream("/thanos.Exemplars/Exemplars", request, {
      signal: AbortSignal.any([
        AbortSignal.timeout(DEFAULT_STORE_TIMEOUT_MS),
        ...(signal === undefined ? [] : [signal]),
      ]),
    });
    for await (const frame of frames) {
      const { data, warning } = decodeExemplarsResponse(frame);
      if (warning !== undefined) warned.push(warning);
      if (data === undefined) continue;
      const labels = Labels.fromPairs(data.seriesLabels).without(options.replicaLabels);
      let entry = found.get(labels.key());
      if (entry === undefined) found.set(labels.key(), (entry = { labels, exemplars: new Map() }));
      for (const { labels: own, value, timeMs } of data.exemplars) {
        const exemplar = { labels: Labels.fromPairs(own), value, timeMs };
        entry.exemplars.set(`${timeMs} ${value} ${exemplar.labels.key()}`, exemplar);
      }
    }
  };
  const range = { minTimeMs: startMs, maxTimeMs: endMs };
  const asked = options.endpoints.filter(
    (endpoint) =>
      endpoint.servesExemplars &&
      selectors.some((matchers) => endpoint.mayHave({ matchers, ...range })),
  );
  await Promise.all(
    asked.map(async (endpoint) => {
      round.ask(endpoint);
      try {
        await ask(endpoint);
      } catch (error) {
        signal?.throwIfAborted();
        if (error instanceof AppError && error.code === "refused") throw error;
        round.fail(endpoint, {
          text: `receive exemplars from ${endpoint.address}: ${messageOf(error)}`,
          error,
        });
      }
    }),
  );
  const { warnings, infos } = round.finish();
  const series = Array.from(found.values(), ({ labels, exemplars }) => ({
    labels,
    exemplars: [...exemplars.values()].sort((a, b) => a.timeMs - b.timeMs || a.value - b.value),
  }));
  series.sort((a, b) => compareLabels(a.labels, b.labels));
  return { series, warnings: [...warned, ...warnings], infos };
}
