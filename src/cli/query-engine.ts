import { availableParallelism } from "node:os";
import type { Service } from "../base/service.ts";
import { Engine, type EngineOptions, type QueryEngine } from "../promql/engine.ts";
import { type FEATURE_FLAGS, featureOptions } from "./feature-flags.ts";
import type { FlagValues } from "./flags.ts";
import type { EVALUATION_FLAGS } from "./query-flags.ts";
import { WorkerEngine } from "../promql/worker-engine.ts";

/** With more cores than this, more threads would mostly wait for what reads the stores. */
const AUTO_MAX_THREADS = 8;

/** How many threads evaluate, beside this one; 0 when it evaluates itself. */
export function threadCount(wanted: number | "auto", cores = availableParallelism()): number {
  const count = wanted === "auto" ? Math.min(cores - 1, AUTO_MAX_THREADS) : wanted;
  return count < 2 ? 0 : count;
}

/** How flags want queries evaluated. */
export function engineOptions(
  flags: FlagValues<typeof EVALUATION_FLAGS & typeof FEATURE_FLAGS>,
): EngineOptions {
  return {
    ...featureOptions(flags.features),
    lookbackMs: flags.lookbackDelta,
    timeoutMs: flags.queryTimeout,
    maxConcurrency: flags.maxConcurrency,
    maxSamples: flags.maxSamples,
    maxSeries: flags.maxQuerySeries,
    maxBytes: flags.maxQueryChunkBytes,
    maxLabelBytes: flags.maxLabelBytes,
    maxLabelValueBytes: flags.maxLabelValueBytes,
  };
}

/** What evaluates queries with `threads`, and the service that ends them. */
export function createQueryEngine(
  threads: number | "auto",
  options: EngineOptions,
): { engine: QueryEngine; service: Service } {
  const workerCount = threadCount(threads);
  const engine =
    workerCount === 0 ? new Engine(options) : new WorkerEngine({ workerCount, ...options });
  const service: Service = {
    name: "query engine",
    start: async () => {},
    stop: async () => (engine instanceof WorkerEngine ? engine[Symbol.asyncDispose]() : undefined),
  };
  return { engine, service };
}
