import type { Clock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import type { CallContext, GrpcService } from "../grpc/service.ts";
import { compareLabels, Labels } from "../model/labels.ts";
import {
  decodeAggregateRequest,
  encodeAggregateAnswer,
  STILL_AGGREGATING,
  type AggregateHeadMessage,
  type AggregateRequestMessage,
} from "../proto/aggregate.ts";
import { evaluatePartial } from "../promql/pushdown/evaluate-partial.ts";
import type { PartialAggregate } from "../promql/pushdown/partial.ts";
import { Slots } from "../promql/slots.ts";
import type { Queryable, SelectRequest, SeriesBatch } from "../storage/queryable.ts";
import { relabelSeries } from "../storage/relabel-series.ts";
import { areFree, changeLabels, matchExternalLabels } from "./external-labels.ts";

export interface AggregateServiceOptions {
  readonly queryable: Queryable;
  /** Stand on every series before it is aggregated. */
  readonly externalLabels: () => Labels;
  readonly ready: () => boolean;
  readonly clock: Clock;
}

/** Aggregations computed at the same time; more wait. A shard scrapes beside them. */
export const MAX_AGGREGATIONS = 4;

/** How often the client is told that the answer is still being made. */
const TELL_EVERY_MS = 1000;

/** Parts of aggregations as `shoal.Aggregate` (docs/format/storeapi.md). */
export function createAggregateService(options: AggregateServiceOptions): GrpcService {
  const slots = new Slots(MAX_AGGREGATIONS);
  return {
    name: "shoal.Aggregate",
    methods: {
      Aggregate: {
        kind: "server-stream",
        handle(request, call) {
          if (!options.ready()) throw new AppError("unavailable", "the store is not ready yet");
          return answer(
            compute(options, { slots, call }, decodeAggregateRequest(request)),
            options,
          );
        },
      },
    },
  };
}

async function* answer(
  work: Promise<Uint8Array>,
  { clock }: AggregateServiceOptions,
): AsyncGenerator<Uint8Array> {
  // A client that leaves does not wait for the error either.
  work.catch(() => {});
  for (;;) {
    const late = Promise.withResolvers<undefined>();
    const cancel = clock.after(TELL_EVERY_MS, () => late.resolve(undefined));
    try {
      const bytes = await Promise.race([work, late.promise]);
      yield bytes ?? STILL_AGGREGATING;
      if (bytes !== undefined) return;
    } finally {
      cancel();
    }
  }
}

async function compute(
  options: AggregateServiceOptions,
  { slots, call }: { slots: Slots; call: CallContext },
  request: AggregateRequestMessage,
): Promise<Uint8Array> {
  const release = await slots.acquire(call.signal, call.peer);
  try {
    const queryable = labelled(options, new Set(request.without));
    const limits = {
      samples: request.maxSamples,
      series: request.maxSeries,
      bytes: request.maxBytes,
      timeMs: request.maxTimeMs,
    };
    const { clock } = options;
    const { signal } = call;
    return encode(await evaluatePartial(queryable, { ...request, limits }, { clock, signal }));
  } finally {
    release();
  }
}

/**
 * The series as the query sees them: with external labels, without those that tell replicas apart. Series that become equal by
 * that stay two, so that they are found.
 */
function labelled(options: AggregateServiceOptions, without: ReadonlySet<string>): Queryable {
  const { queryable } = options;
  const external = options.externalLabels();
  async function* select(request: SelectRequest): AsyncGenerator<SeriesBatch> {
    const matchers = matchExternalLabels(request.matchers, external);
    if (matchers === undefined) return;
    if (matchers.length === 0)
      throw new AppError("bad-data", "no matchers specified (excluding external labels)");
    const selected = queryable.select({ ...request, matchers });
    const names = [...[...external].map(([name]) => name), ...without];
    if (names.length === 0) yield* selected;
    else
      yield* relabelSeries(selected, {
        names,
        keepsApart: await areFree(names, queryable),
        change: ({ labels, chunks }) => ({
          labels: changeLabels(labels, { external, without }),
          chunks,
        }),
        sort: (series) => series.sort((a, b) => compareLabels(a.labels, b.labels)),
      });
  }
  return {
    select,
    labelNames: (request) => queryable.labelNames(request),
    labelValues: (name, request) => queryable.labelValues(name, request),
  };
}

function encode(part: PartialAggregate): Uint8Array {
  const { stats } = part;
  return encodeAggregateAnswer({
    ...part,
    groups: part.groups.map(headOf),
    candidates: part.candidates.map(headOf),
    stats: Float64Array.of(
      stats.samplesRead,
      stats.seriesRead,
      stats.chunksRead,
      stats.bytesRead,
      stats.peakSamples,
      stats.selectedSeries,
      stats.selectedBytes,
    ),
  });
}

function headOf(head: { labels: Labels; first?: Labels; dropName: boolean }): AggregateHeadMessage {
  return {
    labels: [...head.labels],
    first: [...(head.first ?? Labels.EMPTY)],
    dropName: head.dropName,
  };
}
