import { systemClock, type Clock } from "../base/clock.ts";
import { AppError, messageOf } from "../base/errors.ts";
import { mergeSelect, mergeTexts } from "../storage/merge.ts";
import type {
  LabelRequest,
  LabelResult,
  Queryable,
  SelectRequest,
  SeriesBatch,
} from "../storage/queryable.ts";
import type { Endpoint } from "./endpoint-set.ts";
import { RemoteStore, type PartialResponse } from "./remote-store.ts";

/** How much of what should have answered did. */
export interface Completeness {
  /** Stores that may hold matching series. */
  readonly storesAsked: number;
  /** Those that answered to the end. */
  readonly storesAnswered: number;
}

export interface FanoutOptions {
  /** An EndpointSet, or anything that lists endpoints. */
  readonly endpoints: { endpoints(): readonly Endpoint[] };
  /** Default `warn`: what a store cannot give is told in a warning. `abort` fails the request instead. */
  readonly partialResponse?: PartialResponse;
  /** Labels that tell replicas apart: stripped from every series unless the request names others. Default none. */
  readonly replicaLabels?: readonly string[];
  /** Longest wait for the next data of one store. Default 15,000; 0 means no limit. */
  readonly storeTimeoutMs?: number;
  readonly clock?: Clock;
  /** Told once per select, labelNames or labelValues that ran to its end. */
  readonly onComplete?: (completeness: Completeness) => void;
}

export const DEFAULT_STORE_TIMEOUT_MS = 15_000;

/**
 * All series of all stores as one Queryable. Stores that cannot hold an answer are not asked; those that should and do
 * not answer are named in the warnings, with a last one that counts them. Cheap to create: one per query is fine.
 */
export class FanoutQueryable implements Queryable {
  readonly #options: FanoutOptions;
  readonly #clock: Clock;
  readonly #abort: boolean;

  constructor(options: FanoutOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#abort = options.partialResponse === "abort";
  }

  select(request: SelectRequest): AsyncIterable<SeriesBatch> {
    const replicaLabels = request.withoutReplicaLabels ?? this.#options.replicaLabels ?? [];
    return this.#select(
      replicaLabels.length === 0 ? request : { ...request, withoutReplicaLabels: replicaLabels },
    );
  }

  labelNames(request: LabelRequest): Promise<LabelResult> {
    return this.#labels(request, "label names", (store) => store.labelNames(request));
  }

  labelValues(name: string, request: LabelRequest): Promise<LabelResult> {
    return this.#labels(request, "label values", (store) => store.labelValues(name, request));
  }

  async *#select(request: SelectRequest): AsyncGenerator<SeriesBatch> {
    const { stores, tally } = this.#choose(request);
    const sources = stores.map(({ endpoint, store }) =>
      this.#guard(store.select(request), { endpoint, tally, ...signalOf(request) }),
    );
    if (tally.warnings.length > 0) yield { series: [], warnings: tally.warnings };
    if (sources.length > 0)
      yield* mergeSelect(sources, request.limit === undefined ? {} : { limit: request.limit });
    const warning = this.#finish(tally);
    if (warning !== undefined) yield { series: [], warnings: [warning] };
  }

  async #labels(
    request: LabelRequest,
    what: string,
    ask: (store: RemoteStore) => Promise<LabelResult>,
  ): Promise<LabelResult> {
    const { stores, tally } = this.#choose(request);
    const lists = await Promise.all(
      stores.map(async ({ endpoint, store }) => {
        try {
          const { values, warnings } = await ask(store);
          tally.answered++;
          tally.warnings.push(...warnings);
          return values;
        } catch (error) {
          this.#refuse(error, request);
          tally.warnings.push(
            this.#problem(`fetch ${what} from store ${endpoint.address}: ${messageOf(error)}`),
          );
          return [];
        }
      }),
    );
    const warning = this.#finish(tally);
    return {
      values: mergeTexts(lists, request.limit),
      warnings: warning === undefined ? tally.warnings : [...tally.warnings, warning],
    };
  }

  /** The stores to ask, and warnings about those that should be asked but are known to be down. */
  #choose(request: LabelRequest): {
    stores: { endpoint: Endpoint; store: RemoteStore }[];
    tally: Tally;
  } {
    const listed = this.#options.endpoints.endpoints();
    const tally: Tally = { asked: 0, answered: 0, warnings: [] };
    if (listed.length === 0) tally.warnings.push(this.#problem("no stores are known"));
    const stores: { endpoint: Endpoint; store: RemoteStore }[] = [];
    for (const endpoint of listed) {
      if (!endpoint.mayHave(request)) continue;
      tally.asked++;
      if (endpoint.healthy || endpoint.strict)
        stores.push({
          endpoint,
          store: new RemoteStore({
            channel: endpoint.channel,
            partialResponse: this.#abort ? "abort" : "warn",
            timeoutMs: this.#options.storeTimeoutMs ?? DEFAULT_STORE_TIMEOUT_MS,
            stripsReplicaLabels: endpoint.stripsReplicaLabels,
            labelCache: endpoint.labelCache,
            clock: this.#clock,
          }),
        });
      else
        tally.warnings.push(
          this.#problem(`store ${endpoint.address} is unhealthy: ${endpoint.lastError}`),
        );
    }
    return { stores, tally };
  }

  /** Turns the failure of one store into a warning, or under `abort` into the failure of all. */
  async *#guard(
    batches: AsyncIterable<SeriesBatch>,
    context: { endpoint: Endpoint; tally: Tally; signal?: AbortSignal },
  ): AsyncGenerator<SeriesBatch> {
    const { endpoint, tally } = context;
    try {
      yield* batches;
      tally.answered++;
    } catch (error) {
      this.#refuse(error, context);
      yield {
        series: [],
        warnings: [
          this.#problem(`receive series from ${endpoint.address}: ${messageOf(error)}`, error),
        ],
      };
    }
  }

  /** The request was canceled, or is itself wrong: no answer of other stores makes up for that. */
  #refuse(error: unknown, request: { readonly signal?: AbortSignal }): void {
    if (request.signal?.aborted) throw AppError.from(request.signal.reason);
    if (error instanceof AppError && error.code === "bad-data" && this.#abort) throw error;
  }

  #problem(text: string, cause?: unknown): string {
    if (!this.#abort) return text;
    throw new AppError(
      cause instanceof AppError && cause.code === "timeout" ? "timeout" : "unavailable",
      text,
      { cause },
    );
  }

  #finish(tally: Tally): string | undefined {
    this.#options.onComplete?.({ storesAsked: tally.asked, storesAnswered: tally.answered });
    return tally.answered === tally.asked
      ? undefined
      : `the answer is incomplete: ${tally.answered} of ${tally.asked} stores answered`;
  }
}

function signalOf({ signal }: SelectRequest): { signal?: AbortSignal } {
  return signal === undefined ? {} : { signal };
}

interface Tally {
  asked: number;
  answered: number;
  readonly warnings: string[];
}
