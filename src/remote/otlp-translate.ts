import { formatFixed, writeStale } from "../base/float.ts";
import { staleHistogram } from "../chunk/histogram-samples.ts";
import type { OtlpConfig } from "../config/types.ts";
import type { Exemplar } from "../model/exemplar.ts";
import {
  CUSTOM_BUCKETS_SCHEMA,
  EXPONENTIAL_SCHEMA_MAX,
  EXPONENTIAL_SCHEMA_MIN,
  type FloatHistogram,
  newHistogram,
} from "../model/histogram.ts";
import { Labels, METRIC_NAME } from "../model/labels.ts";
import {
  type Attribute,
  type Buckets,
  type Metric,
  type Point,
  type PointExemplar,
  type ResourceMetrics,
  type ScopeMetrics,
  TEMPORALITY_CUMULATIVE,
} from "./otlp-model.ts";
import { createNamer, type OtlpNamer } from "./otlp-names.ts";

/** One sample for the storage. */
export interface OtlpSample {
  readonly labels: Labels;
  readonly timeMs: number;
  /** Undefined for the end of a series of floats; that of a native histogram is a stale one. */
  readonly value: number | FloatHistogram | undefined;
  readonly exemplars: readonly Exemplar[];
}

export interface OtlpTranslation {
  readonly samples: readonly OtlpSample[];
  /** Metrics that cannot be told in Prometheus's terms, and why. */
  readonly problems: readonly string[];
}

const SERVICE_NAME = "service.name";
const SERVICE_NAMESPACE = "service.namespace";
const SERVICE_INSTANCE = "service.instance.id";
const IDENTIFYING = [SERVICE_NAME, SERVICE_NAMESPACE, SERVICE_INSTANCE];
/** Half of how far a query looks back: `target_info` is found anywhere between two of its samples. */
const TARGET_INFO_STEP_MS = 150_000;
/** OTLP says nothing of the zero bucket's width; Prometheus takes this. */
const ZERO_THRESHOLD = 1e-128;
/** OpenMetrics's limit on all labels of an exemplar. */
const EXEMPLAR_MAX_CHARACTERS = 128;

/** OTLP metrics as samples, as Prometheus's own OTLP endpoint makes them. */
export function translateOtlp(
  request: readonly ResourceMetrics[],
  config: OtlpConfig,
): OtlpTranslation {
  const namer = createNamer(config.translationStrategy);
  const samples: OtlpSample[] = [];
  const problems: string[] = [];
  for (const resource of request) {
    let minTimeMs = Infinity;
    let maxTimeMs = -Infinity;
    for (const scope of resource.scopes) {
      for (const metric of scope.metrics) {
        for (const point of metric.points) {
          minTimeMs = Math.min(minTimeMs, point.timeMs);
          maxTimeMs = Math.max(maxTimeMs, point.timeMs);
        }
        const problem = problemOf(metric, namer);
        if (problem !== "") {
          problems.push(problem);
          continue;
        }
        new MetricTranslator({ resource, scope, metric, namer, config, samples }).translate();
      }
    }
    addTargetInfo(resource, { minTimeMs, maxTimeMs, namer, config, samples });
  }
  return { samples, problems };
}

function problemOf(metric: Metric, namer: OtlpNamer): string {
  const { name, shape, temporality, points } = metric;
  if (points.length === 0) return `metric ${name} has no points`;
  if (/^_*$/.test(namer.metric(metric)))
    return `metric ${JSON.stringify(name)} has no name that can be used`;
  if (shape !== "gauge" && shape !== "summary" && temporality !== TEMPORALITY_CUMULATIVE)
    return `metric ${name} is not cumulative`;
  if (shape === "exponential" && points.some(({ scale }) => scale < EXPONENTIAL_SCHEMA_MIN))
    return `metric ${name} has a scale below ${EXPONENTIAL_SCHEMA_MIN}`;
  return "";
}

class MetricTranslator {
  readonly #metric: Metric;
  readonly #name: string;
  readonly #config: OtlpConfig;
  readonly #samples: OtlpSample[];
  readonly #labelsOf: (point: Point) => Map<string, string>;

  constructor(parts: {
    resource: ResourceMetrics;
    scope: ScopeMetrics;
    metric: Metric;
    namer: OtlpNamer;
    config: OtlpConfig;
    samples: OtlpSample[];
  }) {
    const { resource, scope, metric, namer, config } = parts;
    this.#metric = metric;
    this.#config = config;
    this.#samples = parts.samples;
    this.#name = namer.metric(metric);
    this.#labelsOf = (point) =>
      createLabels(point.attributes, { resource: resource.attributes, scope, namer, config });
  }

  translate(): void {
    const { shape, points } = this.#metric;
    for (const point of points) {
      const labels = this.#labelsOf(point);
      if (shape === "gauge" || shape === "sum")
        this.#add(labels, "", point, { value: point.value, exemplars: exemplarsOf(point) });
      else if (shape === "summary") this.#summary(labels, point);
      else if (shape === "exponential") this.#native(labels, point, exponential);
      else if (this.#config.convertHistogramsToNhcb) this.#native(labels, point, customBuckets);
      else this.#classicHistogram(labels, point);
    }
  }

  #add(
    labels: ReadonlyMap<string, string>,
    suffix: string,
    point: Point,
    sample: {
      value: number;
      exemplars?: readonly Exemplar[];
      extra?: readonly [string, string];
    },
  ): void {
    const pairs = new Map(labels).set(METRIC_NAME, this.#name + suffix);
    if (sample.extra !== undefined) pairs.set(...sample.extra);
    this.#samples.push({
      labels: Labels.fromPairs(pairs),
      timeMs: point.timeMs,
      value: point.isStale ? undefined : sample.value,
      exemplars: sample.exemplars ?? [],
    });
  }

  #native(
    labels: ReadonlyMap<string, string>,
    point: Point,
    toHistogram: (point: Point) => FloatHistogram,
  ): void {
    this.#samples.push({
      labels: Labels.fromPairs(new Map(labels).set(METRIC_NAME, this.#name)),
      timeMs: point.timeMs,
      value: point.isStale ? endOfHistogram() : toHistogram(point),
      exemplars: exemplarsOf(point),
    });
  }

  #summary(labels: ReadonlyMap<string, string>, point: Point): void {
    this.#add(labels, "_sum", point, { value: point.sum ?? 0 });
    this.#add(labels, "_count", point, { value: point.count });
    for (const { quantile, value } of point.quantiles)
      this.#add(labels, "", point, { value, extra: ["quantile", boundText(quantile)] });
  }

  #classicHistogram(labels: ReadonlyMap<string, string>, point: Point): void {
    const { bounds, bucketCounts, count, sum } = point;
    if (sum !== undefined) this.#add(labels, "_sum", point, { value: sum });
    this.#add(labels, "_count", point, { value: count });
    const all = exemplarsOf(point);
    let cumulative = 0;
    let below = -Infinity;
    for (let i = 0; i < bounds.length && i < bucketCounts.length; i++) {
      const bound = bounds[i]!;
      cumulative += bucketCounts[i]!;
      const exemplars = all.filter(({ value }) => value > below && value <= bound);
      below = bound;
      this.#add(labels, "_bucket", point, {
        value: cumulative,
        exemplars,
        extra: ["le", boundText(bound)],
      });
    }
    const exemplars = all.filter(({ value }) => value > below);
    this.#add(labels, "_bucket", point, { value: count, exemplars, extra: ["le", "+Inf"] });
  }
}

function boundText(bound: number): string {
  if (bound === Infinity) return "+Inf";
  return bound === -Infinity ? "-Inf" : formatFixed(bound);
}

interface LabelContext {
  readonly resource: readonly Attribute[];
  readonly scope: ScopeMetrics | undefined;
  readonly namer: OtlpNamer;
  readonly config: OtlpConfig;
}

function createLabels(
  attributes: readonly Attribute[],
  { resource, scope, namer, config }: LabelContext,
): Map<string, string> {
  const labels = new Map<string, string>();
  for (const [name, value] of attributes.toSorted(byName)) {
    const label = namer.label(name);
    const known = labels.get(label);
    // Two attributes whose names become the same share the label.
    labels.set(label, known === undefined ? value : `${known};${value}`);
  }
  const {
    promoteAllResourceAttributes: all,
    promoteResourceAttributes,
    ignoreResourceAttributes,
  } = config;
  if (scope !== undefined)
    for (const [name, value] of resource.toSorted(byName)) {
      const isPromoted = all
        ? !ignoreResourceAttributes.includes(name)
        : promoteResourceAttributes.includes(name);
      const label = namer.label(name);
      if (isPromoted && !labels.has(label)) labels.set(label, value);
    }
  if (config.promoteScopeMetadata && scope !== undefined && scope.name !== "") {
    labels.set("otel_scope_name", scope.name);
    labels.set("otel_scope_version", scope.version);
    labels.set("otel_scope_schema_url", scope.schemaUrl);
    for (const [name, value] of scope.attributes)
      labels.set(namer.label(`otel_scope_${name}`), value);
  }
  const of = new Map(resource);
  const service = of.get(SERVICE_NAME);
  const namespace = of.get(SERVICE_NAMESPACE);
  if (service !== undefined)
    labels.set("job", namespace === undefined ? service : `${namespace}/${service}`);
  const instance = of.get(SERVICE_INSTANCE);
  if (instance !== undefined) labels.set("instance", instance);
  return labels;
}

function byName([a]: Attribute, [b]: Attribute): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** What is said of a resource beside who it is, as a metric to join with. */
function addTargetInfo(
  resource: ResourceMetrics,
  context: {
    minTimeMs: number;
    maxTimeMs: number;
    namer: OtlpNamer;
    config: OtlpConfig;
    samples: OtlpSample[];
  },
): void {
  const { minTimeMs, maxTimeMs, namer, config, samples } = context;
  const others = resource.attributes.filter(([name]) => !IDENTIFYING.includes(name));
  if (others.length === 0 || minTimeMs > maxTimeMs) return;
  const shown = config.keepIdentifyingResourceAttributes ? resource.attributes : others;
  const labels = createLabels(shown, {
    resource: resource.attributes,
    scope: undefined,
    namer,
    config,
  });
  if (!labels.has("job") && !labels.has("instance")) return;
  const all = Labels.fromPairs(labels.set(METRIC_NAME, "target_info"));
  for (let t = minTimeMs; t < maxTimeMs; t += TARGET_INFO_STEP_MS)
    samples.push({ labels: all, timeMs: t, value: 1, exemplars: [] });
  samples.push({ labels: all, timeMs: maxTimeMs, value: 1, exemplars: [] });
}

function endOfHistogram(): FloatHistogram {
  const sum = new Float64Array(1);
  writeStale(sum, 0);
  return staleHistogram(sum[0]!);
}

function exponential(point: Point): FloatHistogram {
  const scaleDown = Math.max(0, point.scale - EXPONENTIAL_SCHEMA_MAX);
  const positive = sparse(point.positive, scaleDown);
  const negative = sparse(point.negative, scaleDown);
  return newHistogram({
    schema: point.scale - scaleDown,
    zeroThreshold: ZERO_THRESHOLD,
    zeroCount: point.zeroCount,
    count: point.count,
    sum: point.sum ?? 0,
    positiveSpans: positive.spans,
    positiveBuckets: positive.buckets,
    negativeSpans: negative.spans,
    negativeBuckets: negative.buckets,
  });
}

function customBuckets(point: Point): FloatHistogram {
  const first = point.bucketCounts.findIndex((count) => count !== 0);
  const counts = first < 0 ? [] : point.bucketCounts.slice(first);
  const { spans, buckets } = sparse({ offset: first - 1, counts }, 0);
  return newHistogram({
    schema: CUSTOM_BUCKETS_SCHEMA,
    count: point.count,
    sum: point.sum ?? 0,
    positiveSpans: spans,
    positiveBuckets: buckets,
    customValues: Float64Array.from(point.bounds),
  });
}

/** So many empty buckets are written out before a new span pays. */
const GAP_MAX = 2;

/**
 * A run of buckets as spans. OTLP counts buckets from their lower bound, Prometheus from the upper: one more. As there, the
 * first span begins with the run, and its last bucket is one of the histogram even when it is empty.
 */
function sparse(
  { offset, counts }: Buckets,
  scaleDown: number,
): { spans: Int32Array; buckets: Float64Array } {
  const byIndex = new Map<number, number>();
  for (const [i, count] of counts.entries()) {
    const index = ((offset + i) >> scaleDown) + 1;
    byIndex.set(index, (byIndex.get(index) ?? 0) + count);
  }
  const indexes = [...byIndex.keys()];
  let next = indexes[0] ?? 0;
  const spans = indexes.length === 0 ? [] : [next, 0];
  const buckets: number[] = [];
  for (const [index, count] of byIndex) {
    if (count === 0 && index !== indexes.at(-1)) continue;
    const gap = index - next;
    if (gap > GAP_MAX) spans.push(gap, 0);
    else {
      for (let i = 0; i < gap; i++) buckets.push(0);
      spans[spans.length - 1]! += gap;
    }
    spans[spans.length - 1]! += 1;
    buckets.push(count);
    next = index + 1;
  }
  return { spans: Int32Array.from(spans), buckets: Float64Array.from(buckets) };
}

function exemplarsOf(point: Point): Exemplar[] {
  return point.exemplars.map(exemplarOf);
}

function exemplarOf({ attributes, timeMs, value, traceId, spanId }: PointExemplar): Exemplar {
  const ids: Attribute[] = [];
  if (/[^0]/.test(traceId)) ids.push(["trace_id", traceId]);
  if (/[^0]/.test(spanId)) ids.push(["span_id", spanId]);
  const all = [...ids, ...attributes];
  const characters = all.reduce(
    (sum, [name, text]) => sum + characterCount(name) + characterCount(text),
    0,
  );
  return {
    labels: Labels.fromPairs(characters <= EXEMPLAR_MAX_CHARACTERS ? all : ids),
    value,
    timeMs,
  };
}

/** Unicode characters, as Go counts runes. */
function characterCount(text: string): number {
  let count = 0;
  for (const _ of text) count++;
  return count;
}
