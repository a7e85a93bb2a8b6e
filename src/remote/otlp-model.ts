/** What an OTLP request for metrics holds, whether it came as protobuf or as JSON. */
export interface ResourceMetrics {
  readonly attributes: readonly Attribute[];
  readonly scopes: readonly ScopeMetrics[];
}

export interface ScopeMetrics {
  readonly name: string;
  readonly version: string;
  readonly schemaUrl: string;
  readonly attributes: readonly Attribute[];
  readonly metrics: readonly Metric[];
}

/** A name and its value as text. */
export type Attribute = readonly [name: string, value: string];

export type MetricShape = "gauge" | "sum" | "histogram" | "exponential" | "summary";

export interface Metric {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly shape: MetricShape;
  /** 0 unspecified, 1 delta, 2 cumulative. */
  readonly temporality: number;
  readonly isMonotonic: boolean;
  readonly points: readonly Point[];
}

/** A data point of any shape; what its shape has not is absent or empty. */
export interface Point {
  readonly attributes: readonly Attribute[];
  readonly timeMs: number;
  /** There is no value: the series ends here. */
  readonly isStale: boolean;
  readonly value: number;
  readonly count: number;
  readonly sum: number | undefined;
  readonly bucketCounts: readonly number[];
  readonly bounds: readonly number[];
  readonly scale: number;
  readonly zeroCount: number;
  readonly zeroThreshold: number;
  readonly positive: Buckets;
  readonly negative: Buckets;
  readonly quantiles: readonly { readonly quantile: number; readonly value: number }[];
  readonly exemplars: readonly PointExemplar[];
}

export interface Buckets {
  readonly offset: number;
  readonly counts: readonly number[];
}

export interface PointExemplar {
  readonly attributes: readonly Attribute[];
  readonly timeMs: number;
  readonly value: number;
  /** Hexadecimal; "" for none. */
  readonly traceId: string;
  readonly spanId: string;
}

export const NO_BUCKETS: Buckets = { offset: 0, counts: [] };

export const EMPTY_POINT: Point = {
  attributes: [],
  timeMs: 0,
  isStale: false,
  value: 0,
  count: 0,
  sum: undefined,
  bucketCounts: [],
  bounds: [],
  scale: 0,
  zeroCount: 0,
  zeroThreshold: 0,
  positive: NO_BUCKETS,
  negative: NO_BUCKETS,
  quantiles: [],
  exemplars: [],
};

/** Bit of `flags`. */
export const NO_RECORDED_VALUE = 1;
export const TEMPORALITY_CUMULATIVE = 2;
