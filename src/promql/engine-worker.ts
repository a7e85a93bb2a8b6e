import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { AppError, assert } from "../base/errors.ts";
import type { AggregateRequest, AggregateResult } from "../storage/aggregate.ts";
import type { Queryable, SelectRequest, SeriesBatch } from "../storage/queryable.ts";
import { Engine, type EngineOptions } from "./engine.ts";
import type { QueryStats } from "./result.ts";
import {
  packAggregate,
  unpackAggregateResult,
  type WireAggregateResult,
} from "./worker-aggregate.ts";
import {
  packResult,
  packSelect,
  unpackBatch,
  type FromWorker,
  type ToWorker,
  type WireBatch,
  type WireQuery,
} from "./worker-protocol.ts";

/** The entry point of an evaluation thread: an engine whose storage is the thread that started it. */
class EvaluationThread {
  readonly #port: MessagePort;
  readonly #engine: Engine;
  readonly #running = new Map<number, AbortController>();
  /** Whoever waits for the next batch of a select, by select. */
  readonly #waiting = new Map<number, PromiseWithResolvers<WireBatch | undefined>>();
  #nextSelect = 0;
  /** Whoever waits for an aggregation of the storage, by number. */
  readonly #asking = new Map<number, (result: WireAggregateResult | undefined) => void>();
  #nextAsk = 0;

  constructor(port: MessagePort, options: EngineOptions) {
    this.#port = port;
    this.#engine = new Engine(options);
    port.on("message", (message: ToWorker) => this.#receive(message));
  }

  #receive(message: ToWorker): void {
    switch (message.kind) {
      case "query":
        void this.#evaluate(message.id, message.query);
        return;
      case "abort":
        this.#running.get(message.id)?.abort(new AppError(message.code, message.message));
        return;
      case "batch":
        this.#waiting.get(message.select)?.resolve(message.batch);
        return;
      case "selectFailed":
        this.#waiting.get(message.select)?.reject(new AppError(message.code, message.message));
        return;
      case "aggregated":
        this.#asking.get(message.ask)?.(message.result);
        return;
    }
  }

  async #evaluate(id: number, wire: WireQuery): Promise<void> {
    const controller = new AbortController();
    this.#running.set(id, controller);
    let stats: QueryStats | undefined;
    try {
      const { query, startMs, endMs, stepMs, lookbackMs, analyze, countSamples, stopFlag } = wire;
      const common = {
        query,
        analyze,
        countSamples,
        stopFlag,
        signal: controller.signal,
        onFailed: (spent: QueryStats) => (stats = spent),
        ...(lookbackMs === undefined ? {} : { lookbackMs }),
      };
      const queryable = this.#queryableOf(id, wire);
      const result =
        stepMs === undefined
          ? await this.#engine.instant(queryable, { ...common, timeMs: startMs })
          : await this.#engine.range(queryable, { ...common, startMs, endMs, stepMs });
      const { wire: packed, transfer } = packResult(result);
      this.#post({ kind: "result", id, result: packed }, transfer);
    } catch (thrown) {
      const { code, message } = AppError.from(thrown);
      this.#post({ kind: "failed", id, code, message, stats });
    } finally {
      this.#running.delete(id);
    }
  }

  #post(message: FromWorker, transfer: ArrayBuffer[] = []): void {
    this.#port.postMessage(message, transfer);
  }

  #queryableOf(id: number, { aggregates }: WireQuery): Queryable {
    const refuse = (): Promise<never> =>
      Promise.reject(new Error("BUG: an evaluation asks for series only"));
    return {
      select: (request) => this.#select(id, request),
      labelNames: refuse,
      labelValues: refuse,
      ...(aggregates && { aggregate: (request) => this.#aggregate(id, request) }),
    };
  }

  async #aggregate(id: number, request: AggregateRequest): Promise<AggregateResult | undefined> {
    const ask = this.#nextAsk++;
    const answer = Promise.withResolvers<WireAggregateResult | undefined>();
    this.#asking.set(ask, answer.resolve);
    this.#post({ kind: "aggregate", id, ask, request: packAggregate(request) });
    const onAbort = (): void => answer.reject(AppError.from(request.signal.reason, "canceled"));
    request.signal.addEventListener("abort", onAbort, { once: true });
    try {
      const result = await answer.promise;
      return result === undefined ? undefined : unpackAggregateResult(result);
    } finally {
      request.signal.removeEventListener("abort", onAbort);
      this.#asking.delete(ask);
    }
  }

  async *#select(id: number, request: SelectRequest): AsyncGenerator<SeriesBatch> {
    const select = this.#nextSelect++;
    this.#post({ kind: "select", id, select, request: packSelect(request) });
    try {
      for (;;) {
        const waiting = Promise.withResolvers<WireBatch | undefined>();
        this.#waiting.set(select, waiting);
        this.#post({ kind: "next", id, select });
        const batch = await waiting.promise;
        if (batch === undefined) return;
        yield unpackBatch(batch);
      }
    } finally {
      this.#waiting.delete(select);
      this.#post({ kind: "endSelect", id, select });
    }
  }
}

assert(parentPort !== null, "engine-worker.ts runs in a worker thread only");
const thread: EvaluationThread = new EvaluationThread(parentPort, workerData as EngineOptions);
void thread;
