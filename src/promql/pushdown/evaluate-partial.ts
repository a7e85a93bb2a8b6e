import type { Clock } from "../../base/clock.ts";
import { AppError } from "../../base/errors.ts";
import { quote } from "../../base/text.ts";
import type { Labels } from "../../model/labels.ts";
import { SeriesHashes } from "../../model/series-hash.ts";
import type { AggregateLimits, AggregateStats } from "../../storage/aggregate.ts";
import { type GroupedBatch, NotInColumnsError } from "../../storage/grouped.ts";
import type { Queryable, SelectRequest, SeriesBatch } from "../../storage/queryable.ts";
import { Annotations } from "../annotations.ts";
import { Budget } from "../budget.ts";
import { buildVector } from "../operators/build.ts";
import { streamGroups } from "../operators/grouped-rows.ts";
import type { Groups } from "../operators/grouping.ts";
import type { QueryContext, Row, VectorOperator } from "../operators/row.ts";
import { parseExpression, type ParserOptions } from "../parser.ts";
import { planQuery, type AggregatePlan } from "../plan.ts";
import { FEATURES } from "./features.ts";
import { PartialChoice } from "./partial-choice.ts";
import { PartialTotals } from "./partial-totals.ts";
import {
  declined,
  MAX_PARTIAL_BYTES,
  MAX_PARTIAL_GROUPS,
  POINT_BYTES,
  type PartialAggregate,
  type PartialGroup,
} from "./partial.ts";
import { partialPlan, type PartialPlan } from "./series-local.ts";

/** An `AggregateRequest` as a shard gets it. */
export interface PartialRequest {
  readonly query: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly stepMs: number;
  readonly lookbackMs: number;
  readonly subqueryStepMs: number;
  readonly steps: number;
  readonly features: readonly string[];
  readonly limits: AggregateLimits;
  /** All series there are, are here: none can be on another shard, too. */
  readonly isOnly: boolean;
}

/**
 * A shard's part of an aggregation. Throws where the answer would not be the whole truth: at warnings and notes, which can
 * only be put together by who sees all series, at native histograms, and above the limits.
 */
export async function evaluatePartial(
  queryable: Queryable,
  request: PartialRequest,
  options: { clock: Clock; signal: AbortSignal },
): Promise<PartialAggregate> {
  try {
    return await evaluate(queryable, request, options);
  } catch (error) {
    if (!(error instanceof NotInColumnsError)) throw error;
    const inSeries: Queryable = {
      select: (selection) => queryable.select(selection),
      labelNames: (labels) => queryable.labelNames(labels),
      labelValues: (name, labels) => queryable.labelValues(name, labels),
    };
    return evaluate(inSeries, request, options);
  }
}

async function evaluate(
  queryable: Queryable,
  request: PartialRequest,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<PartialAggregate> {
  const known: readonly string[] = Object.values(FEATURES);
  const stranger = request.features.find((feature) => !known.includes(feature));
  if (stranger !== undefined) throw new AppError("bad-data", `cannot evaluate with ${stranger}`);
  const { plan, partial } = planPartial(request);
  const hashes = new SeriesHashes();
  const source = request.isOnly ? queryable : hashed(queryable, hashes);
  const context = createContext(source, request, { clock, signal });
  const found = await aggregate({ plan, partial, isOnly: request.isOnly }, context);
  if (!context.annotations.isEmpty || context.storageWarnings.size + context.storageInfos.size > 0)
    throw declined("it comes with notes");
  return { ...found, steps: request.steps, seriesHashes: hashes.halves, stats: statsOf(context) };
}

function planPartial(request: PartialRequest): { plan: AggregatePlan; partial: PartialPlan } {
  const has = (feature: string): boolean => request.features.includes(feature);
  const parser: ParserOptions = {
    experimentalFunctions: has(FEATURES.experimentalFunctions),
    extendedRangeSelectors: has(FEATURES.extendedRangeSelectors),
  };
  const whole = planQuery(parseExpression(request.query, parser), request);
  const plan = whole.kind === "invariant" ? whole.operand : whole;
  const partial = plan.kind === "aggregate" ? partialPlan(plan) : undefined;
  if (plan.kind !== "aggregate" || partial === undefined || plan.frame.count !== request.steps)
    throw new AppError("bad-data", `cannot evaluate ${quote(request.query)} in parts`);
  return { plan, partial };
}

function createContext(
  queryable: Queryable,
  { features, limits }: PartialRequest,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): QueryContext {
  const { samples: maxSamples, series: maxSeries, bytes: maxBytes, timeMs } = limits;
  const endsAtMs = clock.monotonic() + timeMs;
  return {
    queryable,
    budget: new Budget({ maxSamples, maxSeries, maxBytes, clock, signal, endsAtMs }),
    trace: undefined,
    samples: undefined,
    annotations: new Annotations(),
    clock,
    delayedNameRemoval: features.includes(FEATURES.delayedNameRemoval),
    startTimes: features.includes(FEATURES.startTimes),
    sharedSeries: new Map(),
    repeatedSelectors: new Set(),
    // Each series is hashed as often as it is read.
    readAhead: undefined,
    pushdown: undefined,
    storageWarnings: new Set(),
    storageInfos: new Set(),
    stats: { samplesRead: 0, seriesRead: 0, chunksRead: 0, bytesRead: 0 },
  };
}

function statsOf({ stats, budget }: QueryContext): AggregateStats {
  const { series: selectedSeries, bytes: selectedBytes } = budget.given;
  return { ...stats, peakSamples: budget.peak, selectedSeries, selectedBytes };
}

/** `queryable`, noting the hash of each series that it gives. */
function hashed(queryable: Queryable, hashes: SeriesHashes): Queryable {
  return {
    selectGrouped(request) {
      const batches = queryable.selectGrouped?.({ ...request, wantsHashes: true });
      return batches && noted(batches, hashes);
    },
    async *select(request: SelectRequest): AsyncGenerator<SeriesBatch> {
      for await (const batch of queryable.select(request)) {
        for (const { labels } of batch.series) hashes.add(labels);
        yield batch;
      }
    },
    labelNames: (request) => queryable.labelNames(request),
    labelValues: (name, request) => queryable.labelValues(name, request),
  };
}

async function* noted(
  batches: AsyncIterable<GroupedBatch>,
  hashes: SeriesHashes,
): AsyncGenerator<GroupedBatch> {
  for await (const batch of batches) {
    hashes.addAll(batch.hashes);
    yield batch;
  }
}

type Columns = Omit<PartialAggregate, "steps" | "seriesHashes" | "stats">;

async function aggregate(aggregation: Aggregation, query: QueryContext): Promise<Columns> {
  const operand = buildVector(aggregation.plan.operand);
  return aggregation.partial.limit > 0
    ? choose(operand, aggregation, query)
    : total(operand, aggregation, query);
}

/** The groups of an aggregation as rows meet them. */
class PartialGroups {
  readonly #pointBytes: number;
  readonly #list: { first: Labels; dropName: boolean }[] = [];

  constructor(plan: AggregatePlan, partial: PartialPlan) {
    this.#pointBytes = POINT_BYTES[partial.operator] * plan.frame.count;
  }

  /** Notes a row of group `index`; throws at one group too many. */
  meet(row: Row, index: number): void {
    const list = this.#list;
    if (index === list.length) {
      if (index >= MAX_PARTIAL_GROUPS || (index + 1) * this.#pointBytes > MAX_PARTIAL_BYTES)
        throw declined(`it has more than ${index} groups`);
      list.push({ first: row.labels, dropName: false });
    }
    if (row.dropName) list[index]!.dropName = true;
  }

  /** With the labels that `groups` has for them. */
  list(groups: Groups): readonly PartialGroup[] {
    return this.#list.map((group, index) => ({ ...group, labels: groups.labels[index]! }));
  }
}

interface Aggregation {
  readonly plan: AggregatePlan;
  readonly partial: PartialPlan;
  readonly isOnly: boolean;
}

async function total(
  operand: VectorOperator,
  { plan, partial }: Aggregation,
  query: QueryContext,
): Promise<Columns> {
  const { operator } = partial;
  const { count } = plan.frame;
  const met = new PartialGroups(plan, partial);
  const totals: PartialTotals[] = [];
  const groups = await streamGroups(operand, plan, query, (row, index) => {
    if (row.histograms !== undefined) throw declined("it has native histograms");
    met.meet(row, index);
    let own = totals[index];
    if (own === undefined) {
      query.budget.hold(count);
      totals.push((own = new PartialTotals(operator, count)));
    }
    own.add(row);
  });
  query.budget.release(totals.length * count);
  const concat = <T extends Float64Array | Uint32Array | Uint8Array>(
    into: T,
    columnOf: (totals: PartialTotals) => T,
  ): T => {
    for (const [i, one] of totals.entries()) into.set(columnOf(one), i * columnOf(one).length);
    return into;
  };
  const points = totals.length * count;
  const sumPoints = operator === "sum" || operator === "avg" ? points : 0;
  const mainPoints = operator === "count" || operator === "group" ? 0 : points;
  return {
    groups: met.list(groups),
    main: concat(new Float64Array(mainPoints), (one) => one.main),
    side: concat(new Float64Array(sumPoints), (one) => one.side),
    weight: concat(new Float64Array(sumPoints), (one) => one.weight),
    counts: concat(new Uint32Array(points), (one) => one.counts),
    flags: concat(new Uint8Array(sumPoints), (one) => one.flags),
    rows: new Uint32Array(0),
    candidates: [],
  };
}

async function choose(
  operand: VectorOperator,
  { plan, partial, isOnly }: Aggregation,
  query: QueryContext,
): Promise<Columns> {
  const met = new PartialGroups(plan, partial);
  const choice = new PartialChoice(partial, { steps: plan.frame.count, isOnly }, query);
  const groups = await streamGroups(operand, plan, query, (row, index) => {
    if (row.histograms !== undefined) throw declined("it has native histograms");
    met.meet(row, index);
    choice.offer(row, index);
  });
  const chosen = choice.finish();
  return {
    groups: met.list(groups),
    ...chosen,
    side: new Float64Array(0),
    weight: new Float64Array(0),
    flags: new Uint8Array(0),
  };
}
