import { systemClock, type Clock } from "../base/clock.ts";
import { AppError, messageOf } from "../base/errors.ts";
import { VERSION } from "../base/version.ts";
import type { Matcher } from "../model/matcher.ts";
import type { AggregateRequest, AggregateResult } from "../storage/aggregate.ts";
import { isCounterFunction, joinShards, type ReplicaChoice } from "../storage/dedup.ts";
import { dedupSelect } from "../storage/dedup-select.ts";
import { joinChunks, mergeSelect, mergeTexts } from "../storage/merge.ts";
import type {
  Chunk,
  LabelRequest,
  LabelResult,
  Queryable,
  SelectRequest,
  Series,
  SeriesBatch,
} from "../storage/queryable.ts";
import { askAggregates } from "./ask-aggregates.ts";
import type { Completeness, Verdict } from "./completeness.ts";
import type { Endpoint } from "./endpoint-set.ts";
import type { Pushdown, PushdownOutcome } from "./pushdown.ts";
import { isOneReplica, planReplicas, selectReplicas } from "./replica-source.ts";
import { RemoteStore, type PartialResponse } from "./remote-store.ts";
import { Round } from "./round.ts";

export interface FanoutOptions {
  /** An EndpointSet, or anything that lists endpoints. */
  readonly endpoints: { endpoints(): readonly Endpoint[] };
  /** Default `warn`: what a store cannot give is told in a warning. `abort` fails the request instead. */
  readonly partialResponse?: PartialResponse;
  /** Makes one series of those that differ in replica labels only. Default: series are given as the stores have them. */
  readonly dedup?: Dedup;
  /** Asks only stores whose address fits one of these selectors (Thanos's `storeMatch[]`). Default: all. */
  readonly storeMatchers?: readonly (readonly Matcher[])[];
  /** Longest wait for the next data of one store. Default 15,000; 0 means no limit. */
  readonly storeTimeoutMs?: number;
  readonly clock?: Clock;
  /** Lets stores aggregate their own series where that gives the same answer. Default: their series are read. */
  readonly pushdown?: Pushdown;
  /** Told once per select, labelNames or labelValues that ran to its end. */
  readonly onComplete?: (completeness: Completeness) => void;
}

/** How replicas become one; Thanos's `--query.replica-label` and `--deduplication.func`. */
export interface Dedup {
  readonly replicaLabels: readonly string[];
  /** `chain` takes all samples of all replicas: right for copies only. */
  readonly func: ReplicaChoice | "chain";
}

export const DEFAULT_STORE_TIMEOUT_MS = 15_000;

/**
 * All series of all stores as one Queryable. Stores that cannot hold an answer are not asked; those that should and do
 * not answer are named in the warnings, with a last one that counts them, or in the infos when a replica of theirs did.
 * Cheap to create: one per query is fine.
 */
export class FanoutQueryable implements Queryable {
  readonly #options: FanoutOptions;
  readonly #clock: Clock;
  readonly #abort: boolean;
  /** There when the stores may aggregate. */
  readonly aggregate?: NonNullable<Queryable["aggregate"]>;

  constructor(options: FanoutOptions) {
    const { pushdown } = options;
    this.#options = options;
    if (pushdown !== undefined) this.aggregate = (request) => this.#aggregate(request, pushdown);
    this.#clock = options.clock ?? systemClock;
    this.#abort = options.partialResponse === "abort";
  }

  async *select(request: SelectRequest): AsyncGenerator<SeriesBatch> {
    const { dedup } = this.#options;
    const names = request.withoutReplicaLabels ?? dedup?.replicaLabels ?? [];
    const round = new Round({ abort: this.#abort, replicaLabels: names });
    const stores = this.#choose(request, round);
    const limit = request.limit ?? 0;
    if (names.length === 0)
      yield* mergeSelect(
        stores.map((one) => this.#guard(one.store.select(request), { ...one, request, round })),
        { limit, ...(stores.length > 1 && { join: joinSeries }) },
      );
    else {
      const plans = stores.map(({ endpoint }) => planReplicas(endpoint, names));
      const chooses = request.withoutReplicaLabels === undefined && dedup?.func !== "chain";
      // The newest sample alone does not tell whether its replica has a gap.
      const asked = chooses && !isOneReplica(plans, names) ? withoutNewestOnly(request) : request;
      const sources = stores.map((one, i) =>
        this.#guard(selectReplicas(one.store, asked, { plan: plans[i]!, names }), {
          ...one,
          request,
          round,
        }),
      );
      yield* chooses
        ? dedupSelect(sources, {
            limit,
            choice: dedup?.func === "penalty" ? "penalty" : "gapless",
            isCounter: isCounterFunction(request.hints?.func ?? ""),
          })
        : mergeSelect(sources, { limit, join: joinChunks });
    }
    const { warnings, infos } = this.#finish(round);
    if (warnings.length > 0 || infos.length > 0) yield { series: [], warnings, infos };
  }

  async #aggregate(
    request: AggregateRequest,
    pushdown: Pushdown,
  ): Promise<AggregateResult | undefined> {
    const key = `${request.query} ${request.endMs - request.startMs} ${request.stepMs}`;
    const outcome = pushdown.hasFailed(key) ? "recent" : await this.#askAggregates(request);
    const isResult = typeof outcome !== "string";
    pushdown.count(isResult ? "pushed" : outcome);
    if (isResult) return outcome;
    if (!INSTANTLY_KNOWN.has(outcome)) pushdown.remember(key);
    return undefined;
  }

  async #askAggregates(request: AggregateRequest): Promise<AggregateResult | PushdownOutcome> {
    const { endpoints, dedup, storeTimeoutMs = DEFAULT_STORE_TIMEOUT_MS } = this.#options;
    const asked = endpoints
      .endpoints()
      .filter((endpoint) => this.#isMeant(endpoint) && endpoint.mayHave(request));
    // Another version may compute in another way.
    const mayAggregate = asked.every(
      ({ healthy, aggregates }) => healthy && aggregates === VERSION,
    );
    if (asked.length === 0 || !mayAggregate) return "stores";
    const names = dedup?.replicaLabels ?? [];
    if (names.length > 0) {
      const plans = asked.map((endpoint) => planReplicas(endpoint, names));
      if (!isOneReplica(plans, names)) return "replicas";
    }
    try {
      const result = await askAggregates(request, {
        endpoints: asked,
        without: names,
        clock: this.#clock,
        timeoutMs: storeTimeoutMs,
      });
      const count = asked.length;
      if (typeof result !== "string")
        this.#options.onComplete?.({ storesAsked: count, storesAnswered: count, isComplete: true });
      return result;
    } catch {
      // Whatever it was: reading the series tells it as it always has.
      if (request.signal.aborted) throw AppError.from(request.signal.reason);
      return "declined";
    }
  }

  labelNames(request: LabelRequest): Promise<LabelResult> {
    return this.#labels(request, "label names", (store) => store.labelNames(request));
  }

  labelValues(name: string, request: LabelRequest): Promise<LabelResult> {
    return this.#labels(request, "label values", (store) => store.labelValues(name, request));
  }

  async #labels(
    request: LabelRequest,
    what: string,
    ask: (store: RemoteStore) => Promise<LabelResult>,
  ): Promise<LabelResult> {
    const round = new Round({
      abort: this.#abort,
      replicaLabels: this.#options.dedup?.replicaLabels ?? [],
    });
    const stores = this.#choose(request, round);
    const warned: string[] = [];
    const lists = await Promise.all(
      stores.map(async ({ endpoint, store }) => {
        try {
          const { values, warnings } = await ask(store);
          warned.push(...warnings);
          return values;
        } catch (error) {
          this.#refuse(error, request);
          round.fail(endpoint, {
            text: `fetch ${what} from store ${endpoint.address}: ${messageOf(error)}`,
            error,
          });
          return [];
        }
      }),
    );
    const { warnings, infos } = this.#finish(round);
    return {
      values: mergeTexts(lists, request.limit),
      warnings: [...warned, ...warnings],
      infos,
    };
  }

  /** The stores to ask; those that should be asked but are known to be down have failed already. */
  #choose(request: LabelRequest, round: Round): AskedStore[] {
    const listed = this.#options.endpoints.endpoints();
    if (listed.length === 0) round.noStores();
    const stores: AskedStore[] = [];
    for (const endpoint of listed) {
      if (!this.#isMeant(endpoint) || !endpoint.mayHave(request)) continue;
      round.ask(endpoint);
      if (endpoint.healthy || endpoint.strict)
        stores.push({
          endpoint,
          store: new RemoteStore({
            channel: endpoint.channel,
            partialResponse: this.#abort ? "abort" : "warn",
            timeoutMs: this.#options.storeTimeoutMs ?? DEFAULT_STORE_TIMEOUT_MS,
            clock: this.#clock,
          }),
        });
      else
        round.fail(endpoint, {
          text: `store ${endpoint.address} is unhealthy: ${endpoint.lastError}`,
        });
    }
    return stores;
  }

  /** Matchers of labels other than `__address__` ask for nothing that an address has: they fit, as in Thanos. */
  #isMeant({ address }: Endpoint): boolean {
    const { storeMatchers } = this.#options;
    return (
      storeMatchers?.some((matchers) =>
        matchers.every((matcher) => matcher.name !== "__address__" || matcher.matches(address)),
      ) ?? true
    );
  }

  /** Turns the failure of one store into a note at the end, or under `abort` into the failure of all. */
  async *#guard(
    batches: AsyncIterable<SeriesBatch>,
    context: AskedStore & { request: SelectRequest; round: Round },
  ): AsyncGenerator<SeriesBatch> {
    const { endpoint, request, round } = context;
    try {
      yield* batches;
    } catch (error) {
      this.#refuse(error, request);
      round.fail(endpoint, {
        text: `receive series from ${endpoint.address}: ${messageOf(error)}`,
        error,
      });
    }
  }

  /** The request was canceled, or is itself wrong: no answer of other stores makes up for that. */
  #refuse(error: unknown, request: { readonly signal?: AbortSignal }): void {
    if (request.signal?.aborted) throw AppError.from(request.signal.reason);
    if (!(error instanceof AppError)) return;
    if (error.code === "refused" || (error.code === "bad-data" && this.#abort)) throw error;
  }

  #finish(round: Round): Verdict {
    const verdict = round.finish();
    this.#options.onComplete?.(verdict);
    return verdict;
  }
}

/** What is known before any store is asked costs nothing to find out again. */
const INSTANTLY_KNOWN: ReadonlySet<PushdownOutcome> = new Set(["stores", "replicas", "recent"]);

/** Stores that have the same series are shards between which its target moved, or have copies of it. */
function joinSeries(equal: readonly Series[]): readonly Chunk[] {
  return joinShards(equal.map(({ chunks }) => chunks));
}

interface AskedStore {
  readonly endpoint: Endpoint;
  readonly store: RemoteStore;
}

function withoutNewestOnly(request: SelectRequest): SelectRequest {
  if (request.hints?.newestOnly !== true) return request;
  return { ...request, hints: { ...request.hints, newestOnly: false } };
}
