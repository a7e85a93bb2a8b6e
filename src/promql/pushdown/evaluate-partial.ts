import type { Clock } from "../../base/clock.ts";
import { AppError } from "../../base/errors.ts";
import { quote } from "../../base/text.ts";
import { SeriesHashes } from "../../model/series-hash.ts";
import type { AggregateLimits, AggregateStats } from "../../storage/aggregate.ts";
import type { Queryable, SelectRequest, SeriesBatch } from "../../storage/queryable.ts";
import { Annotations } from "../annotations.ts";
import { Budget } from "../budget.ts";
import { buildVector } from "../operators/build.ts";
import { Groups } from "../operators/grouping.ts";
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
  readonly steps: number;
  readonly features: readonly string[];
  readonly limits: AggregateLimits;
}

/**
 * A shard's part of an aggregation. Throws where the answer would not be the whole truth: at warnings and notes, which can
 * only be put together by who sees all series, at native histograms, and above the limits.
 */
export async function evaluatePartial(
  queryable: Queryable,
  request: PartialRequest,
  { clock, signal }: { clock: Clock; signal: AbortSignal },
): Promise<PartialAggregate> {
  const known: readonly string[] = Object.values(FEATURES);
  const stranger = request.features.find((feature) => !known.includes(feature));
  if (stranger !== undefined) throw new AppError("bad-data", `cannot evaluate with ${stranger}`);
  const { plan, partial } = planPartial(request);
  const hashes = new SeriesHashes();
  const context = createContext(hashed(queryable, hashes), request, { clock, signal });
  const found = await aggregate(plan, partial, context);
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
  const whole = planQuery(parseExpression(request.query, parser), {
    ...request,
    // Nothing that has subqueries is computed in parts.
    subqueryStepMs: 60_000,
  });
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
    readAhead: new Map(),
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

type Columns = Omit<PartialAggregate, "steps" | "seriesHashes" | "stats">;

async function aggregate(
  plan: AggregatePlan,
  partial: PartialPlan,
  query: QueryContext,
): Promise<Columns> {
  const operand = buildVector(plan.operand);
  return partial.limit > 0
    ? choose(operand, { plan, partial }, query)
    : total(operand, { plan, partial }, query);
}

/** The groups of an aggregation as rows meet them. */
class PartialGroups {
  readonly #groups: Groups;
  readonly #query: QueryContext;
  readonly #pointBytes: number;
  readonly #list: {
    labels: PartialGroup["labels"];
    first: PartialGroup["first"];
    dropName: boolean;
  }[] = [];

  constructor(plan: AggregatePlan, partial: PartialPlan, query: QueryContext) {
    this.#groups = new Groups(plan);
    this.#query = query;
    this.#pointBytes = POINT_BYTES[partial.operator] * plan.frame.count;
  }

  /** The group of `row`; throws at one too many. */
  indexOf(row: Row): number {
    const index = this.#groups.indexOf(row, this.#query);
    const list = this.#list;
    if (index === list.length) {
      if (index >= MAX_PARTIAL_GROUPS || (index + 1) * this.#pointBytes > MAX_PARTIAL_BYTES)
        throw declined(`it has more than ${index} groups`);
      list.push({ labels: this.#groups.labels[index]!, first: row.labels, dropName: false });
    }
    if (row.dropName) list[index]!.dropName = true;
    return index;
  }

  get list(): readonly PartialGroup[] {
    return this.#list;
  }
}

interface Aggregation {
  readonly plan: AggregatePlan;
  readonly partial: PartialPlan;
}

async function total(
  operand: VectorOperator,
  { plan, partial }: Aggregation,
  query: QueryContext,
): Promise<Columns> {
  const { operator } = partial;
  const { count } = plan.frame;
  const groups = new PartialGroups(plan, partial, query);
  const totals: PartialTotals[] = [];
  await operand.stream(query, (row) => {
    if (row.histograms !== undefined) throw declined("it has native histograms");
    const index = groups.indexOf(row);
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
    groups: groups.list,
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
  { plan, partial }: Aggregation,
  query: QueryContext,
): Promise<Columns> {
  const groups = new PartialGroups(plan, partial, query);
  const choice = new PartialChoice(partial, plan.frame.count, query);
  await operand.stream(query, (row) => {
    if (row.histograms !== undefined) throw declined("it has native histograms");
    choice.offer(row, groups);
  });
  const chosen = choice.finish();
  return {
    groups: groups.list,
    ...chosen,
    side: new Float64Array(0),
    weight: new Float64Array(0),
    flags: new Uint8Array(0),
  };
}
