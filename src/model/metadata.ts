/** What a metric family says of itself. */
export type MetricKind =
  | "counter"
  | "gauge"
  | "histogram"
  | "gaugehistogram"
  | "summary"
  | "info"
  | "stateset"
  | "unknown";

export interface MetricMetadata {
  readonly type: MetricKind;
  readonly help: string;
  readonly unit: string;
}
