import type { AggregateRequest, AggregateResult } from "../../storage/aggregate.ts";
import type { AggregatePlan, Frame } from "../plan.ts";
import { printExpression } from "../printer.ts";
import { partialPlan, type PartialPlan } from "../pushdown/series-local.ts";
import { selectorKey, type QueryContext, type VectorOperator } from "./row.ts";

/**
 * An aggregation that the storage may compute where the series are (docs/query.md); where it may not or cannot, `ordinary` reads
 * them.
 */
export function pushedAggregate(plan: AggregatePlan, ordinary: VectorOperator): VectorOperator {
  const partial = partialPlan(plan);
  if (partial === undefined) return ordinary;
  return {
    kind: "vector",
    async stream(query, sink) {
      const result = await askStorage(plan, partial, query);
      if (result === undefined) return ordinary.stream(query, sink);
      const { stats, budget } = query;
      stats.samplesRead += result.stats.samplesRead;
      stats.seriesRead += result.stats.seriesRead;
      stats.chunksRead += result.stats.chunksRead;
      stats.bytesRead += result.stats.bytesRead;
      budget.spend(result.stats);
      for (const { labels, dropName, values, present } of result.rows)
        sink({ labels, dropName, values, present });
    },
  };
}

async function askStorage(
  plan: AggregatePlan,
  { operator, selector, limit }: PartialPlan,
  query: QueryContext,
): Promise<AggregateResult | undefined> {
  const { queryable, pushdown, budget } = query;
  if (queryable.aggregate === undefined || pushdown === undefined) return undefined;
  const { matchers, minTimeMs, maxTimeMs } = selector;
  if (!Number.isSafeInteger(minTimeMs) || !Number.isSafeInteger(maxTimeMs)) return undefined;
  if (!isOfQuery(plan.frame, pushdown.frame)) return undefined;
  // Parts of a query that read the same series read them at the same moment.
  if (query.repeatedSelectors.has(selectorKey(selector))) return undefined;
  budget.check();
  const { startMs, endMs, stepMs, lookbackMs, subqueryStepMs, features } = pushdown;
  const request: AggregateRequest = {
    query: printExpression(plan.written),
    operator,
    limit,
    matchers,
    minTimeMs,
    maxTimeMs,
    startMs,
    endMs,
    stepMs,
    lookbackMs,
    subqueryStepMs,
    steps: plan.frame.count,
    features,
    limits: budget.left,
    signal: budget.signal,
  };
  return queryable.aggregate(request);
}

/** Whether a node has the steps of the whole query or, below what is the same at all steps, its first one. */
function isOfQuery(own: Frame, whole: Frame): boolean {
  if (own.startMs !== whole.startMs) return false;
  return own.count === 1 || (own.count === whole.count && own.stepMs === whole.stepMs);
}
