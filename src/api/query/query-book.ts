import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Clock } from "../../base/clock.ts";
import { AppError } from "../../base/errors.ts";
import type { InstantQuery } from "../../promql/engine.ts";
import type { QueryResult, QueryStats } from "../../promql/result.ts";
import { checkSameOrigin } from "../same-origin.ts";
import { envelope, parametersOf } from "../server.ts";
import type { LoggedQuery, QueryLog } from "./query-log.ts";
import { clientSignal } from "./send.ts";

export const ACTIVE_PATH = "/api/v1/status/active_queries";

/** How many finished slow queries are remembered. */
const SLOW_MAX = 100;

export interface QueryBookOptions {
  readonly clock: Clock;
  /** A query that takes longer is remembered, ms. */
  readonly slowMs: number;
  /** Absent: no log is written. */
  readonly log: QueryLog | undefined;
}

interface ActiveQuery {
  readonly id: number;
  readonly query: LoggedQuery;
  readonly startedMs: number;
  readonly abort: AbortController;
}

interface SlowQuery {
  readonly query: LoggedQuery;
  readonly startedMs: number;
  readonly durationMs: number;
  readonly samplesRead: number;
  /** "" when it succeeded. */
  readonly error: string;
}

/** The queries that are being answered, and the last slow ones. */
export class QueryBook {
  readonly #options: QueryBookOptions;
  readonly #active = new Map<number, ActiveQuery>();
  #slow: SlowQuery[] = [];
  #lastId = 0;

  constructor(options: QueryBookOptions) {
    this.#options = options;
  }

  /** Evaluates a query of `request`; it ends early when the client leaves or somebody cancels it here. */
  async run(
    { request, reply }: { request: FastifyRequest; reply: FastifyReply },
    asked: Pick<LoggedQuery, "query" | "startMs" | "endMs" | "stepMs">,
    evaluate: (given: Pick<InstantQuery, "signal" | "onFailed">) => Promise<QueryResult>,
  ): Promise<QueryResult> {
    const { clock, log } = this.#options;
    const query: LoggedQuery = {
      ...asked,
      client: request.ip,
      method: request.method,
      path: request.url.replace(/\?.*/s, ""),
    };
    const active: ActiveQuery = {
      id: ++this.#lastId,
      query,
      startedMs: clock.now(),
      abort: new AbortController(),
    };
    this.#active.set(active.id, active);
    const started = clock.monotonic();
    const end = (samplesRead: number, error: string): void => {
      const durationMs = clock.monotonic() - started;
      if (durationMs < this.#options.slowMs) return;
      this.#slow.push({ query, startedMs: active.startedMs, durationMs, samplesRead, error });
      if (this.#slow.length > SLOW_MAX) this.#slow = this.#slow.slice(-SLOW_MAX);
    };
    let spent: QueryStats | undefined;
    try {
      const result = await evaluate({
        signal: clientSignal(request, reply, active.abort),
        onFailed: (stats) => (spent = stats),
      });
      end(result.stats.samplesRead, "");
      log?.write(query, { stats: result.stats });
      return result;
    } catch (thrown) {
      const error = AppError.from(thrown);
      // Prometheus logs what it began to evaluate.
      if (error.code !== "bad-data") {
        end(spent?.samplesRead ?? 0, error.message);
        log?.write(query, { error: error.message, ...(spent !== undefined && { stats: spent }) });
      }
      throw thrown;
    } finally {
      this.#active.delete(active.id);
    }
  }

  /** Ends a query; whether there was one with this number. */
  cancel(id: number): boolean {
    const active = this.#active.get(id);
    active?.abort.abort(new AppError("canceled", "query was canceled by an operator"));
    return active !== undefined;
  }

  /** What the API shows: the longest-running ones first, then the slowest of the last slow ones. */
  list(): { active: unknown[]; slow: unknown[] } {
    const nowMs = this.#options.clock.now();
    return {
      active: Array.from(this.#active.values(), ({ id, query, startedMs }) => ({
        id,
        ...shown(query, startedMs),
        runningSeconds: Math.max(0, nowMs - startedMs) / 1000,
      })),
      slow: this.#slow
        .toSorted((a, b) => b.durationMs - a.durationMs)
        .map(({ query, startedMs, durationMs, samplesRead, error }) => ({
          ...shown(query, startedMs),
          durationSeconds: Math.round(durationMs) / 1000,
          samplesRead,
          ...(error !== "" && { error }),
        })),
    };
  }
}

function shown(query: LoggedQuery, startedMs: number): Record<string, unknown> {
  return {
    query: query.query,
    start: query.startMs / 1000,
    end: query.endMs / 1000,
    step: query.stepMs / 1000,
    clientIP: query.client,
    path: query.path,
    startedAt: new Date(startedMs).toISOString(),
  };
}

/** `GET /api/v1/status/active_queries`, and `POST …/cancel?id=…` where the admin API is on. */
export function registerActiveQueries(
  app: FastifyInstance,
  { queries, adminApi }: { queries: QueryBook; adminApi: boolean },
): void {
  app.get(ACTIVE_PATH, async () => envelope({ ...queries.list(), canCancel: adminApi }));
  app.post(`${ACTIVE_PATH}/cancel`, async (request) => {
    checkSameOrigin(request);
    if (!adminApi)
      throw new AppError(
        "forbidden",
        "the admin API is off: start with --web.enable-admin-api to cancel queries",
      );
    const id = parametersOf(request).get("id") ?? "";
    if (!/^\d{1,15}$/.test(id))
      throw new AppError("bad-data", `invalid parameter "id": ${JSON.stringify(id)} is no number`);
    if (!queries.cancel(Number(id)))
      throw new AppError("not-found", `cannot cancel query ${id}: it is not running`);
    return envelope({ id: Number(id) });
  });
}
