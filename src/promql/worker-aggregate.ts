import { createMatcher, type MatchOperator } from "../model/matcher.ts";
import type { AggregateRequest, AggregateResult, AggregateStats } from "../storage/aggregate.ts";
import { packLabels, unpackLabels, type WireLabels } from "./wire-labels.ts";

/** Aggregations that the storage computes itself, on their way between threads. */
export interface WireAggregate extends Omit<AggregateRequest, "matchers" | "signal"> {
  readonly matchers: readonly { name: string; operator: MatchOperator; value: string }[];
}

export interface WireAggregateResult {
  readonly labels: WireLabels;
  readonly dropNames: Uint8Array;
  readonly values: readonly Float64Array[];
  readonly present: readonly Uint8Array[];
  readonly stats: AggregateStats;
}

export function packAggregate(request: AggregateRequest): WireAggregate {
  const { signal: _signal, matchers, ...rest } = request;
  return {
    ...rest,
    matchers: matchers.map(({ name, operator, value }) => ({ name, operator, value })),
  };
}

export function unpackAggregate(wire: WireAggregate, signal: AbortSignal): AggregateRequest {
  const matchers = wire.matchers.map(({ name, operator, value }) =>
    createMatcher(name, operator, value),
  );
  return { ...wire, matchers, signal };
}

export function packAggregateResult({ rows, stats }: AggregateResult): WireAggregateResult {
  return {
    labels: packLabels(rows),
    dropNames: Uint8Array.from(rows, ({ dropName }) => Number(dropName)),
    values: rows.map(({ values }) => values),
    present: rows.map(({ present }) => present),
    stats,
  };
}

export function unpackAggregateResult(wire: WireAggregateResult): AggregateResult {
  const { dropNames, values, present, stats } = wire;
  const rows = unpackLabels(wire.labels).map((labels, i) => ({
    labels,
    dropName: dropNames[i] === 1,
    values: values[i]!,
    present: present[i]!,
  }));
  return { rows, stats };
}
