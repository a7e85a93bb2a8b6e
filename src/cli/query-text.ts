import { formatGeneral, formatSampleValue, parseFloatText } from "../base/float.ts";
import { formatSeries, Labels } from "../model/labels.ts";

/** Answers of Prometheus's HTTP API as promtool prints them. */

type Metric = Readonly<Record<string, string>>;
type Point = readonly [seconds: number, value: unknown];

interface ApiSeries {
  readonly metric: Metric;
  readonly value?: Point;
  readonly histogram?: Point;
  readonly values?: readonly Point[];
  readonly histograms?: readonly Point[];
}

/** The data of `/api/v1/query` and `/api/v1/query_range`. */
export function resultText(data: unknown): string {
  const { resultType, result } = data as { resultType: string; result: unknown };
  if (resultType === "scalar") return `scalar: ${pointText(result as Point)}`;
  if (resultType === "string") return String((result as Point)[1]);
  return (result as readonly ApiSeries[])
    .map((series) => (resultType === "vector" ? sampleText(series) : matrixText(series)))
    .join("\n");
}

function sampleText({ metric, value, histogram }: ApiSeries): string {
  return `${formatSeries(Labels.fromObject(metric))} => ${pointText(value ?? histogram!)}`;
}

function matrixText({ metric, values = [], histograms = [] }: ApiSeries): string {
  return [
    `${formatSeries(Labels.fromObject(metric))} =>`,
    ...[...values, ...histograms].map(pointText),
  ].join("\n");
}

function pointText([seconds, value]: Point): string {
  return `${valueText(value)} @[${secondsText(seconds)}]`;
}

function valueText(value: unknown): string {
  if (typeof value === "string") return formatSampleValue(toNumber(value));
  const {
    count,
    sum,
    buckets = [],
  } = value as {
    count: string;
    sum: string;
    buckets?: readonly (readonly [number, string, string, string])[];
  };
  const parts = buckets.map(([bounds, lower, upper, inside]) => {
    const opens = bounds === 1 || bounds === 3 ? "[" : "(";
    const closes = bounds === 0 || bounds === 3 ? "]" : ")";
    const [from, to, content] = [lower, upper, inside].map((text) => formatGeneral(toNumber(text)));
    return `${opens}${from},${to}${closes}:${content}`;
  });
  return `Count: ${fixed(count)}, Sum: ${fixed(sum)}, Buckets: [${parts.join(" ")}]`;
}

/** `+Inf` and `NaN` are among what servers write. */
function toNumber(text: string): number {
  return parseFloatText(text) ?? Number.NaN;
}

/** Go's `%f`. */
function fixed(text: string): string {
  const value = toNumber(text);
  if (!Number.isFinite(value)) return formatSampleValue(value);
  return `${Object.is(value, -0) ? "-" : ""}${value.toFixed(6)}`;
}

/** Seconds with as many digits as they have, three at most. */
function secondsText(seconds: number): string {
  return String(Math.round(seconds * 1000) / 1000);
}

/** The data of `/api/v1/series`: one label set a line. */
export function seriesText(data: unknown): string {
  return (data as readonly Metric[])
    .map((metric) => Labels.fromObject(metric).toString())
    .join("\n");
}

export function linesText(data: unknown): string {
  return (data as readonly string[]).join("\n");
}
