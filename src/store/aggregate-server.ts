import type { Clock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import type { CallContext, GrpcService } from "../grpc/service.ts";
import { Labels } from "../model/labels.ts";
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
import type { Queryable } from "../storage/queryable.ts";
import { labelled } from "./labelled.ts";

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
    const queryable = labelled(options.queryable, {
      external: options.externalLabels(),
      without: new Set(request.without),
    });
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
