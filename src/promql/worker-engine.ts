import { Worker } from "node:worker_threads";
import { systemClock, type Clock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import type { Queryable, SeriesBatch } from "../storage/queryable.ts";
import { Deadline } from "./deadline.ts";
import {
  Engine,
  type EngineOptions,
  type InstantQuery,
  type QueryEngine,
  type RangeQuery,
} from "./engine.ts";
import { NOTHING_READ, type QueryResult, type QueryStats } from "./result.ts";
import { Slots } from "./slots.ts";
import { packAggregateResult, unpackAggregate, type WireAggregate } from "./worker-aggregate.ts";
import {
  packBatch,
  unpackResult,
  unpackSelect,
  type FromWorker,
  type ToWorker,
  type WireQuery,
} from "./worker-protocol.ts";

export interface WorkerEngineOptions extends Omit<EngineOptions, "clock"> {
  /** Evaluation threads, at least 1. */
  readonly workerCount: number;
  readonly clock?: Clock;
}

interface Running {
  readonly queryable: Queryable;
  readonly signal: AbortSignal;
  readonly onFailed: (stats: QueryStats) => void;
  readonly selects: Map<number, AsyncIterator<SeriesBatch>>;
  readonly outcome: PromiseWithResolvers<QueryResult>;
}

/**
 * An engine whose evaluations run in threads of their own, so that this thread's event loop only moves bytes: it reads
 * the storage when an evaluation asks for series and hands over chunk bytes; decoding and arithmetic happen over there.
 * Answers as `Engine` does. Threads start with the first query and do not keep the process alive.
 */
export class WorkerEngine implements QueryEngine, AsyncDisposable {
  readonly #options: EngineOptions;
  readonly #timeoutMs: number;
  readonly #clock: Clock;
  readonly #slots: Slots;
  readonly #workerCount: number;
  /** For queries that come as trees, which cannot change threads. */
  readonly #local: Engine;
  readonly #threads: Thread[] = [];
  #isDisposed = false;

  constructor(options: WorkerEngineOptions) {
    const { workerCount, clock, ...engineOptions } = options;
    this.#clock = clock ?? systemClock;
    this.#workerCount = workerCount;
    this.#timeoutMs = engineOptions.timeoutMs ?? 120_000;
    this.#slots = new Slots(engineOptions.maxConcurrency ?? 20);
    // Queueing and the time limit are this side's business.
    this.#options = { ...engineOptions, maxConcurrency: Number.MAX_SAFE_INTEGER };
    this.#local = new Engine({ ...engineOptions, clock: this.#clock });
  }

  async instant(queryable: Queryable, query: InstantQuery): Promise<QueryResult> {
    if (typeof query.query !== "string") return this.#local.instant(queryable, query);
    return this.#run(queryable, query, {
      query: query.query,
      startMs: query.timeMs,
      endMs: query.timeMs,
      stepMs: undefined,
      lookbackMs: query.lookbackMs,
      analyze: query.analyze ?? false,
      countSamples: query.countSamples ?? false,
      aggregates: queryable.aggregate !== undefined,
      stopFlag: new Int32Array(new SharedArrayBuffer(4)),
    });
  }

  async range(queryable: Queryable, query: RangeQuery): Promise<QueryResult> {
    if (typeof query.query !== "string") return this.#local.range(queryable, query);
    return this.#run(queryable, query, {
      query: query.query,
      startMs: query.startMs,
      endMs: query.endMs,
      stepMs: query.stepMs,
      lookbackMs: query.lookbackMs,
      analyze: query.analyze ?? false,
      countSamples: query.countSamples ?? false,
      aggregates: queryable.aggregate !== undefined,
      stopFlag: new Int32Array(new SharedArrayBuffer(4)),
    });
  }

  /** Ends all threads; queries still running fail. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    await Promise.all(this.#threads.splice(0).map((thread) => thread.end()));
  }

  async #run(
    queryable: Queryable,
    limits: Pick<InstantQuery, "timeoutMs" | "signal" | "client" | "onFailed">,
    query: WireQuery,
  ): Promise<QueryResult> {
    const clock = this.#clock;
    const startedMs = clock.monotonic();
    const timeoutMs = Math.min(limits.timeoutMs ?? Infinity, this.#timeoutMs);
    const deadline = new Deadline({ clock, timeoutMs, signal: limits.signal });
    let queuedMs: number | undefined;
    let spent: QueryStats | undefined;
    try {
      deadline.setStage("query queue");
      const release = await this.#slots.acquire(deadline.signal, limits.client);
      try {
        queuedMs = clock.monotonic();
        const queueMs = queuedMs - startedMs;
        deadline.setStage("expression evaluation");
        const result = await this.#thread().run(queryable, query, {
          signal: deadline.signal,
          onFailed: (stats) => (spent = stats),
        });
        return { ...result, stats: { ...result.stats, queueMs } };
      } finally {
        release();
      }
    } catch (error) {
      const nowMs = clock.monotonic();
      // A thread that is only told to stop is not waited for.
      const unknown = { ...NOTHING_READ, peakSamples: 0, parseMs: 0 };
      limits.onFailed?.({
        ...(spent ?? { ...unknown, evaluationMs: nowMs - (queuedMs ?? nowMs) }),
        queueMs: (queuedMs ?? nowMs) - startedMs,
      });
      throw error;
    } finally {
      deadline.dispose();
    }
  }

  /** The thread with the least to do; a new one while there are fewer than allowed and none is idle. */
  #thread(): Thread {
    if (this.#isDisposed)
      throw new AppError("unavailable", "cannot evaluate: the engine was stopped");
    let best: Thread | undefined;
    for (const thread of this.#threads)
      if (best === undefined || thread.load < best.load) best = thread;
    if (best !== undefined && (best.load === 0 || this.#threads.length >= this.#workerCount))
      return best;
    const thread = new Thread(this.#options, () => {
      const index = this.#threads.indexOf(thread);
      if (index >= 0) this.#threads.splice(index, 1);
    });
    this.#threads.push(thread);
    return thread;
  }
}

/** The thread's entry point beside this file: its source, or what the bundler makes of it. */
const WORKER = `./engine-worker.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`;

/** One evaluation thread and the queries that run in it. */
class Thread {
  readonly #worker: Worker;
  readonly #running = new Map<number, Running>();
  #nextId = 0;

  constructor(options: EngineOptions, onGone: () => void) {
    this.#worker = new Worker(new URL(WORKER, import.meta.url), {
      workerData: options,
    });
    this.#worker.unref();
    this.#worker.on("message", (message: FromWorker) => this.#receive(message));
    this.#worker.on("error", (cause) => {
      onGone();
      this.#failAll(cause);
    });
    this.#worker.on("exit", () => {
      onGone();
      this.#failAll(undefined);
    });
  }

  /** How many queries run here. */
  get load(): number {
    return this.#running.size;
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  async run(
    queryable: Queryable,
    query: WireQuery,
    { signal, onFailed }: { signal: AbortSignal; onFailed: (stats: QueryStats) => void },
  ): Promise<QueryResult> {
    if (signal.aborted) throw AppError.from(signal.reason, "canceled");
    const id = this.#nextId++;
    const outcome = Promise.withResolvers<QueryResult>();
    const running: Running = { queryable, signal, onFailed, selects: new Map(), outcome };
    const onAbort = (): void => {
      const { code, message } = AppError.from(signal.reason, "canceled");
      Atomics.store(query.stopFlag, 0, 1);
      this.#post({ kind: "abort", id, code, message });
      outcome.reject(AppError.from(signal.reason, "canceled"));
    };
    signal.addEventListener("abort", onAbort, { once: true });
    this.#running.set(id, running);
    // While a query runs, the process waits for it.
    if (this.#running.size === 1) this.#worker.ref();
    this.#post({ kind: "query", id, query });
    try {
      return await outcome.promise;
    } finally {
      signal.removeEventListener("abort", onAbort);
      this.#running.delete(id);
      for (const select of running.selects.values()) endQuietly(select);
      if (this.#running.size === 0) this.#worker.unref();
    }
  }

  #post(message: ToWorker, transfer: ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, transfer);
  }

  #receive(message: FromWorker): void {
    const running = this.#running.get(message.id);
    // Its query has been given up on this side already.
    if (running === undefined) return;
    switch (message.kind) {
      case "select": {
        const request = unpackSelect(message.request, running.signal);
        const series = running.queryable.select(request);
        running.selects.set(message.select, series[Symbol.asyncIterator]());
        return;
      }
      case "next":
        void this.#sendNext(message.id, message.select, running);
        return;
      case "endSelect": {
        const select = running.selects.get(message.select);
        running.selects.delete(message.select);
        if (select !== undefined) endQuietly(select);
        return;
      }
      case "aggregate":
        void this.#sendAggregate(message.id, { ask: message.ask, wire: message.request }, running);
        return;
      case "result":
        running.outcome.resolve(unpackResult(message.result));
        return;
      case "failed":
        if (message.stats !== undefined) running.onFailed(message.stats);
        running.outcome.reject(new AppError(message.code, message.message));
        return;
    }
  }

  async #sendNext(id: number, select: number, running: Running): Promise<void> {
    try {
      const next = await running.selects.get(select)?.next();
      if (next === undefined || next.done === true) {
        this.#post({ kind: "batch", id, select, batch: undefined });
        return;
      }
      const batch = packBatch(next.value);
      this.#post({ kind: "batch", id, select, batch }, [batch.data.buffer]);
    } catch (thrown) {
      const { code, message } = AppError.from(thrown);
      this.#post({ kind: "selectFailed", id, select, code, message });
    }
  }

  async #sendAggregate(
    id: number,
    { ask, wire }: { ask: number; wire: WireAggregate },
    { queryable, signal }: Running,
  ): Promise<void> {
    // A query that has been given up meanwhile waits for nothing.
    const found = await queryable.aggregate?.(unpackAggregate(wire, signal)).catch(() => undefined);
    const result = found === undefined ? undefined : packAggregateResult(found);
    this.#post({ kind: "aggregated", id, ask, result });
  }

  #failAll(cause: unknown): void {
    for (const { outcome } of this.#running.values())
      outcome.reject(
        new AppError("internal", "cannot finish the query: its evaluation thread ended", {
          cause,
        }),
      );
  }
}

/** The end of a source that may hang is not waited for. */
function endQuietly(select: AsyncIterator<SeriesBatch>): void {
  void select.return?.().catch(() => undefined);
}
