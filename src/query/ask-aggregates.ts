import type { Clock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import { Labels } from "../model/labels.ts";
import { hasEqualHashes } from "../model/series-hash.ts";
import {
  decodeAggregateAnswer,
  encodeAggregateRequest,
  type AggregateAnswerMessage,
  type AggregateHeadMessage,
} from "../proto/aggregate.ts";
import { FEATURES } from "../promql/pushdown/features.ts";
import { mergePartials } from "../promql/pushdown/merge-partials.ts";
import type { PartialAggregate } from "../promql/pushdown/partial.ts";
import { partialOperator, type PartialOperator } from "../promql/pushdown/series-local.ts";
import type { AggregateRequest, AggregateResult, AggregateStats } from "../storage/aggregate.ts";
import type { Endpoint } from "./endpoint-set.ts";
import type { PushdownOutcome } from "./pushdown.ts";
import { Watchdog } from "./watchdog.ts";

export interface AskOptions {
  readonly endpoints: readonly Endpoint[];
  /** Labels to strip from all series. */
  readonly without: readonly string[];
  readonly clock: Clock;
  /** Longest wait for a sign of life; 0 means no limit. */
  readonly timeoutMs: number;
}

/**
 * Has each store aggregate its own series and puts the parts together, or says why that cannot be. Rejects when a store does
 * or when the request is canceled.
 */
export async function askAggregates(
  request: AggregateRequest,
  options: AskOptions,
): Promise<AggregateResult | PushdownOutcome> {
  const operator = partialOperator(request.operator);
  if (operator === undefined) return "declined";
  // One that fails ends the others: without it they are of no use.
  const failed = new AbortController();
  const signal = AbortSignal.any([request.signal, failed.signal]);
  const { limits } = request;
  // A store gives each series once; those of two, and those that lose labels, may become the same.
  const isOnly = options.endpoints.length === 1 && options.without.length === 0;
  const message = encodeAggregateRequest({
    ...request,
    without: options.without,
    maxSamples: limits.samples,
    maxSeries: limits.series,
    maxBytes: limits.bytes,
    maxTimeMs: limits.timeMs,
    isOnly,
  });
  let parts: PartialAggregate[];
  try {
    parts = await Promise.all(
      options.endpoints.map(async (endpoint) =>
        toPartial(await askOne(endpoint, message, { ...options, signal }), {
          ...request,
          operator,
          isOnly,
        }),
      ),
    );
  } catch (error) {
    failed.abort(error);
    throw error;
  }
  if (hasEqualHashes(parts.map(({ seriesHashes }) => seriesHashes))) return "duplicates";
  const stats = addUp(parts);
  // Heaps of candidates are of powers of two: the parts' may have half of the room that one for all would.
  const peak = request.limit > 0 ? 2 * stats.peakSamples : stats.peakSamples;
  if (peak > limits.samples || stats.selectedSeries > limits.series) return "limits";
  if (stats.selectedBytes > limits.bytes) return "limits";
  const rows = mergePartials(parts, {
    operator,
    limit: request.limit,
    steps: request.steps,
    delayedNameRemoval: request.features.includes(FEATURES.delayedNameRemoval),
    isOnly,
  });
  return typeof rows === "string" ? rows : { rows, stats };
}

async function askOne(
  { channel }: Endpoint,
  request: Uint8Array,
  { clock, timeoutMs, signal }: AskOptions & { signal: AbortSignal },
): Promise<AggregateAnswerMessage> {
  const watchdog = new Watchdog({ clock, timeoutMs, signal });
  const frames = channel.serverStream("/shoal.Aggregate/Aggregate", request, {
    signal: watchdog.signal,
  });
  try {
    for (;;) {
      const frame = await watchdog.wait(frames.next());
      if (frame.done === true) throw new AppError("corrupt", "there is no answer");
      if (frame.value.length > 0) return decodeAggregateAnswer(frame.value);
    }
  } finally {
    watchdog.stop();
    await frames.return?.();
  }
}

function toPartial(
  answer: AggregateAnswerMessage,
  { steps, operator, isOnly }: { steps: number; operator: PartialOperator; isOnly: boolean },
): PartialAggregate {
  const { candidates, stats, seriesHashes } = answer;
  if (
    stats.length !== STATS_COUNT ||
    seriesHashes.length !== (isOnly ? 0 : 2 * stats[5]!) ||
    !fits(answer, { steps, operator })
  )
    throw new AppError("corrupt", "the answer's columns do not fit each other");
  return {
    ...answer,
    steps,
    groups: answer.groups.map(toHead),
    candidates: candidates.map(toHead),
    stats: {
      samplesRead: stats[0]!,
      seriesRead: stats[1]!,
      chunksRead: stats[2]!,
      bytesRead: stats[3]!,
      peakSamples: stats[4]!,
      selectedSeries: stats[5]!,
      selectedBytes: stats[6]!,
    },
  };
}

/** Whether the columns are as long as the operator's are. */
function fits(
  { groups, candidates, main, side, weight, counts, flags, rows }: AggregateAnswerMessage,
  { steps, operator }: { steps: number; operator: PartialOperator },
): boolean {
  const points = groups.length * steps;
  if (counts.length !== points) return false;
  switch (operator) {
    case "sum":
    case "avg":
      return [main, side, weight, flags].every(({ length }) => length === points);
    case "min":
    case "max":
      return main.length === points;
    case "count":
    case "group":
      return true;
    case "topk":
    case "bottomk": {
      const count = counts.reduce((sum, own) => sum + own, 0);
      return (
        main.length === count &&
        rows.length === count &&
        rows.every((row) => row < candidates.length)
      );
    }
  }
}

const STATS_COUNT = 7;

function toHead({ labels, first, dropName }: AggregateHeadMessage): {
  labels: Labels;
  first: Labels;
  dropName: boolean;
} {
  return {
    labels: Labels.fromSorted(labels.flat()),
    first: Labels.fromSorted(first.flat()),
    dropName,
  };
}

function addUp(parts: readonly PartialAggregate[]): AggregateStats {
  const sum = (of: (stats: AggregateStats) => number): number =>
    parts.reduce((total, { stats }) => total + of(stats), 0);
  return {
    samplesRead: sum(({ samplesRead }) => samplesRead),
    seriesRead: sum(({ seriesRead }) => seriesRead),
    chunksRead: sum(({ chunksRead }) => chunksRead),
    bytesRead: sum(({ bytesRead }) => bytesRead),
    peakSamples: sum(({ peakSamples }) => peakSamples),
    selectedSeries: sum(({ selectedSeries }) => selectedSeries),
    selectedBytes: sum(({ selectedBytes }) => selectedBytes),
  };
}
