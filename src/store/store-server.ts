import { AppError } from "../base/errors.ts";
import { compareText } from "../base/text.ts";
import type { CallContext, GrpcService } from "../grpc/service.ts";
import { Labels } from "../model/labels.ts";
import { createMatcher, type Matcher, type MatchOperator } from "../model/matcher.ts";
import { encodeInfoResponse, type LabelSetMessage } from "../proto/info.ts";
import {
  decodeLabelNamesRequest,
  decodeLabelValuesRequest,
  encodeLabelResponse,
  type LabelRequestMessage,
} from "../proto/label-messages.ts";
import {
  STRATEGY_ABORT,
  decodeSeriesRequest,
  type LabelMatcherMessage,
  type SeriesRequestMessage,
} from "../proto/series-request.ts";
import { MAX_INT64, MIN_INT64 } from "../proto/wire.ts";
import { mergeTexts } from "../storage/merge.ts";
import type {
  LabelResult,
  Queryable,
  SelectHints,
  SelectRequest,
  SeriesBatch,
} from "../storage/queryable.ts";
import { areFree, changeSeriesLabels, matchExternalLabels } from "./external-labels.ts";
import { SeriesFramer, type FramePart } from "./series-frames.ts";
import { createShardFilter } from "./series-shard.ts";
import { giveEncoder, takeEncoder } from "./spare-encoders.ts";

export interface StoreServiceOptions {
  readonly queryable: Queryable;
  /** Stand on every series that goes out. Read for each request, so a reload takes effect. */
  externalLabels(): Labels;
  /** What Info advertises instead of the external labels: a querier has the sets of its stores. */
  labelSets?(): readonly Labels[];
  /** Oldest and newest time with samples, inclusive; a store without samples says ±Infinity and is always asked. */
  minTimeMs(): number;
  maxTimeMs(): number;
  /** Until true, every call is answered with `Unavailable`. */
  ready(): boolean;
  /** Thanos's word for what this is: `sidecar`, `store`, `query`, `receive`, `rule`. Default `sidecar`. */
  readonly componentType?: string;
  /** Whether exemplars are served beside this. Default no. */
  readonly exemplars?: boolean;
  /** The version whose `shoal.Aggregate` is served beside this (aggregate-server.ts). Default: none. */
  readonly aggregates?: string;
}

/** Anything queryable as `thanos.Store` and `thanos.info.Info` (docs/format/storeapi.md). */
export function createStoreServices(options: StoreServiceOptions): GrpcService[] {
  const whenReady = (): void => {
    if (!options.ready()) throw new AppError("unavailable", "the store is not ready yet");
  };
  return [
    {
      name: "thanos.Store",
      methods: {
        Series: {
          kind: "server-stream",
          handle(request, call) {
            whenReady();
            return series(options, decodeSeriesRequest(request), call);
          },
        },
        LabelNames: {
          kind: "unary",
          async handle(request, call) {
            whenReady();
            return encodeLabelResponse(
              await labelNames(options, decodeLabelNamesRequest(request), call),
            );
          },
        },
        LabelValues: {
          kind: "unary",
          async handle(request, call) {
            whenReady();
            const { label, ...rest } = decodeLabelValuesRequest(request);
            if (label === "")
              throw new AppError("bad-data", "label name parameter cannot be empty");
            return encodeLabelResponse(await labelValues(options, { ...rest, label }, call));
          },
        },
      },
    },
    {
      name: "thanos.info.Info",
      methods: {
        Info: {
          kind: "unary",
          handle() {
            whenReady();
            return info(options);
          },
        },
      },
    },
  ];
}

async function* series(
  options: StoreServiceOptions,
  request: SeriesRequestMessage,
  call: CallContext,
): AsyncGenerator<Uint8Array> {
  const external = options.externalLabels();
  const matchers = matchExternalLabels(request.matchers.map(toMatcher), external);
  if (matchers === undefined) return;
  if (matchers.length === 0)
    throw new AppError("bad-data", "no matchers specified (excluding external labels)");
  const without = new Set(request.withoutReplicaLabels);
  const changes = external.count > 0 || without.size > 0;
  const keep =
    request.shardInfo === undefined || request.shardInfo.totalShards === 0
      ? undefined
      : createShardFilter(request.shardInfo);
  const wantsCount =
    request.queryHints?.wantsCount === true && keep === undefined && !(request.limit > 0);
  const sampleAbove = (wantsCount && request.queryHints?.sampleAbove) || 0;
  const selected = options.queryable.select({
    matchers,
    minTimeMs: request.minTimeMs,
    maxTimeMs: request.maxTimeMs,
    skipChunks: request.skipChunks,
    // Series may still fall together or away below: only then does the limit have to wait.
    limit: changes || keep !== undefined ? 0 : request.limit,
    signal: call.signal,
    ...(sampleAbove > 0 && { sampleAbove }),
    ...(without.size === 0 ? {} : { withoutReplicaLabels: request.withoutReplicaLabels }),
    ...hintsOf(request),
  });
  const abort =
    request.partialResponseDisabled || request.partialResponseStrategy === STRATEGY_ABORT;
  const framer = new SeriesFramer(request.responseBatchSize);
  const encoder = takeEncoder();
  const batched = request.responseBatchSize > 1;
  const encode = (part: FramePart): Uint8Array => {
    if (typeof part === "string") return encoder.warning(part);
    return batched ? encoder.batch(part) : encoder.series(part[0]!);
  };
  let left = request.limit > 0 ? request.limit : Infinity;
  const names = [...external].map(([name]) => name);
  const batches: AsyncIterable<SeriesBatch> = changes
    ? changeSeriesLabels(selected, {
        external,
        without,
        ...(wantsCount && { keepsApart: () => areFree(names, options.queryable, request) }),
      })
    : selected;
  for await (const batch of batches) {
    if (wantsCount && batch.expected !== undefined) {
      yield encoder.count(batch.expected);
      // Whoever goes on asks again: nothing is made ready for the one whom the sample is enough.
      if (batch.expected.samples !== undefined) break;
    }
    for (const warning of batch.warnings ?? []) {
      if (abort) throw new AppError("execution", warning);
      framer.warning(warning);
    }
    for (const one of batch.series) {
      if (keep !== undefined && !keep(one.labels)) continue;
      if (left-- <= 0) break;
      framer.add(one);
      if (framer.hasFrames) for (const part of framer.take()) yield encode(part);
    }
    if (left <= 0) break;
  }
  framer.flush();
  for (const part of framer.take()) yield encode(part);
  giveEncoder(encoder);
}

function hintsOf({ queryHints }: SeriesRequestMessage): Pick<SelectRequest, "hints"> {
  if (queryHints === undefined) return {};
  const hints: SelectHints = {
    stepMs: queryHints.stepMs,
    func: queryHints.func,
    rangeMs: queryHints.rangeMs,
    grouping: queryHints.grouping?.labels ?? [],
    by: queryHints.grouping?.by ?? false,
    ...(queryHints.newestOnly && { newestOnly: true }),
  };
  return { hints };
}

const NOTHING: LabelResult = { values: [], warnings: [] };

async function labelNames(
  options: StoreServiceOptions,
  request: LabelRequestMessage,
  call: CallContext,
): Promise<LabelResult> {
  const external = options.externalLabels();
  const matchers = matchExternalLabels(request.matchers.map(toMatcher), external);
  if (matchers === undefined) return NOTHING;
  const { values, warnings } = await options.queryable.labelNames({
    matchers,
    minTimeMs: request.startMs,
    maxTimeMs: request.endMs,
    signal: call.signal,
  });
  refuseWarnings(request, warnings);
  const gone = new Set(request.withoutReplicaLabels);
  // A store without a matching series has no label to name, not even an external one.
  const all = values.length === 0 ? [] : [...values, ...[...external].map(([name]) => name)];
  const names = [...new Set(all)].filter((name) => !gone.has(name)).sort(compareText);
  return { values: mergeTexts([names], request.limit), warnings };
}

async function labelValues(
  options: StoreServiceOptions,
  request: LabelRequestMessage & { label: string },
  call: CallContext,
): Promise<LabelResult> {
  const external = options.externalLabels();
  const matchers = matchExternalLabels(request.matchers.map(toMatcher), external);
  if (matchers === undefined || request.withoutReplicaLabels.includes(request.label))
    return NOTHING;
  const range = { minTimeMs: request.startMs, maxTimeMs: request.endMs, signal: call.signal };
  const externalValue = external.get(request.label);
  if (externalValue !== "") {
    const found = matchers.length === 0 || (await hasSeries(options, { ...range, matchers }));
    return found ? { values: [externalValue], warnings: [] } : NOTHING;
  }
  const result = await options.queryable.labelValues(request.label, {
    ...range,
    matchers,
    limit: request.limit,
  });
  refuseWarnings(request, result.warnings);
  return { values: mergeTexts([result.values], request.limit), warnings: result.warnings };
}

async function hasSeries(options: StoreServiceOptions, request: SelectRequest): Promise<boolean> {
  for await (const { series: found } of options.queryable.select({
    ...request,
    skipChunks: true,
    limit: 1,
  }))
    if (found.length > 0) return true;
  return false;
}

/** Under the abort strategy an incomplete answer is an error. */
function refuseWarnings(request: LabelRequestMessage, warnings: readonly string[]): void {
  const abort =
    request.partialResponseDisabled || request.partialResponseStrategy === STRATEGY_ABORT;
  if (abort && warnings.length > 0) throw new AppError("execution", warnings[0]!);
}

function info(options: StoreServiceOptions): Uint8Array {
  const external = options.externalLabels();
  const sets = options.labelSets?.() ?? (external.count === 0 ? [] : [external]);
  const labelSets: LabelSetMessage[] = sets.map((set) => [...set]);
  const oldest = options.minTimeMs();
  const newest = options.maxTimeMs();
  // An empty store may get its first sample before it is asked again.
  const empty = !(oldest <= newest);
  const minTimeMs = empty ? MIN_INT64 : oldest;
  const maxTimeMs = empty ? MAX_INT64 : newest;
  return encodeInfoResponse({
    labelSets,
    componentType: options.componentType ?? "sidecar",
    store: {
      minTimeMs,
      maxTimeMs,
      supportsSharding: true,
      supportsWithoutReplicaLabels: true,
      tsdbInfos: labelSets.map((labels) => ({ labels, minTimeMs, maxTimeMs })),
    },
    rules: false,
    metricMetadata: false,
    targets: false,
    query: false,
    exemplars: options.exemplars ?? false,
    aggregates: options.aggregates ?? "",
  });
}

const OPERATORS: readonly MatchOperator[] = ["=", "!=", "=~", "!~"];

function toMatcher({ type, name, value }: LabelMatcherMessage): Matcher {
  const operator = OPERATORS[type];
  if (operator === undefined)
    throw new AppError("bad-data", `matcher type ${type} of label ${name} is unknown`);
  return createMatcher(name, operator, value);
}
