/** The server's HTTP API: fetch, unwrap the envelope, and the shapes the page reads. */

export interface Answer<T> {
  data: T;
  warnings: string[];
  infos: string[];
}

export class ApiError extends Error {
  readonly type: string;

  constructor(type: string, message: string) {
    super(message);
    this.type = type;
  }
}

/** GET of an API path, or POST when the parameters may be too long for an address. */
export async function api<T>(
  path: string,
  parameters: Record<string, string> = {},
  options: { signal?: AbortSignal; post?: boolean } = {},
): Promise<Answer<T>> {
  const form = new URLSearchParams(parameters);
  const query = form.toString();
  let response: Response;
  try {
    response = await fetch(options.post === true || query === "" ? path : `${path}?${query}`, {
      ...(options.post === true && { method: "POST", body: form }),
      ...(options.signal !== undefined && { signal: options.signal }),
    });
  } catch (error) {
    if (error instanceof DOMException && error.name === "AbortError") throw error;
    throw new ApiError("unavailable", "The server does not answer. Is it still running?");
  }
  const text = await response.text();
  let body: {
    status?: string;
    data?: T;
    error?: string;
    errorType?: string;
    warnings?: string[];
    infos?: string[];
  };
  try {
    body = JSON.parse(text);
  } catch {
    throw new ApiError(
      "unavailable",
      `The server answered ${response.status} ${response.statusText}: ${text.slice(0, 200)}`,
    );
  }
  if (body.status !== "success")
    throw new ApiError(body.errorType ?? "internal", body.error ?? `HTTP ${response.status}`);
  return { data: body.data as T, warnings: body.warnings ?? [], infos: body.infos ?? [] };
}

export type LabelSet = Record<string, string>;
export type Point = [number, string];

/** Which bounds belong to the bucket (0 the upper, 1 the lower, 2 none, 3 both), lower bound, upper bound, count. */
export type Bucket = [boundaries: number, lower: string, upper: string, count: string];

/** A native histogram; buckets that are empty are left out. */
export interface Histogram {
  count: string;
  sum: string;
  buckets?: Bucket[];
}

export type HistogramPoint = [number, Histogram];

/** A sample is a value or a histogram; a series may hold both, at different times. */
export interface VectorSample {
  metric: LabelSet;
  value?: Point;
  histogram?: HistogramPoint;
}

export interface MatrixSeries {
  metric: LabelSet;
  values?: Point[];
  histograms?: HistogramPoint[];
}

export type QueryData = { stats?: QueryStats; analysis?: QueryAnalysis } & (
  | { resultType: "vector"; result: VectorSample[] }
  | { resultType: "matrix"; result: MatrixSeries[] }
  | { resultType: "scalar"; result: Point }
  | { resultType: "string"; result: Point }
);

/** What one part of a query took and gave out. */
export interface QueryAnalysis {
  name: string;
  /** Where it stands in the query: from, and to before. */
  position: [number, number];
  /** A Go duration in milliseconds, such as `1.5ms`, its children's included. */
  executionTime: string;
  series: number;
  totalSamples: number;
  children?: QueryAnalysis[];
}

export interface QueryStats {
  timings: { execTotalTime: number };
  samples: { totalQueryableSamples: number; peakSamples: number };
}

export interface Target {
  discoveredLabels: LabelSet;
  labels: LabelSet;
  scrapePool: string;
  scrapeUrl: string;
  lastError: string;
  lastScrape: string;
  lastScrapeDuration: number;
  health: "up" | "down" | "unknown";
  scrapeInterval: string;
  scrapeTimeout: string;
  shard?: string;
  series?: number;
  totalSeries?: number;
  hash?: string;
}

export interface Targets {
  activeTargets: Target[];
  droppedTargets: { discoveredLabels: LabelSet; scrapePool: string }[];
}

export function formatSeriesName(metric: LabelSet): string {
  const { __name__: name = "", ...labels } = metric;
  const pairs = Object.entries(labels).map(
    ([key, value]) =>
      `${/^[a-zA-Z_]\w*$/.test(key) ? key : JSON.stringify(key)}=${JSON.stringify(value)}`,
  );
  if (name !== "" && !/^[a-zA-Z_:][\w:]*$/.test(name))
    return `{${[JSON.stringify(name), ...pairs].join(", ")}}`;
  return pairs.length === 0 && name !== "" ? name : `${name}{${pairs.join(", ")}}`;
}

export interface Limits {
  /** 0 means no limit. */
  maxHeadSeries: number;
  maxProcessSeries: number;
  maxSamplesPerSecond: number;
}

/** Load over time, one entry a point. */
export interface ShardHistory {
  timesMs: number[];
  headSeries: number[];
  processSeries: number[];
  samplesPerSecond: number[];
  maxHeadSeries: number[];
  maxProcessSeries: number[];
  maxSamplesPerSecond: number[];
}

export interface Shard {
  id: string;
  state: string;
  draining: boolean;
  targets: number;
  headSeries: number;
  processSeries: number;
  limits: Limits;
  rssBytes: number;
  lastSeen: string;
  error: string;
  history?: ShardHistory;
}

export interface Move {
  hash: string;
  job: string;
  url: string;
  from: string;
  to: string;
  since: string;
  goodScrapes: number;
  neededScrapes: number;
  waitsFor: string;
}

export interface Shards {
  shards: Shard[];
  moves: Move[];
  movesTotal: number;
}

export interface Decision {
  id: number;
  time: string;
  kind: string;
  hash?: string;
  job?: string;
  url?: string;
  from?: string;
  to?: string;
  reason: string;
}

export interface Condition {
  kind: string;
  hash?: string;
  job?: string;
  url?: string;
  from?: string;
  /** Of a condition about a custom resource: its kind and name. */
  resource?: string;
  reason: string;
}

export interface Conditions {
  counts: Record<string, number>;
  conditions: Condition[];
}

export interface Load {
  series: number;
  totalSeries: number;
  samplesPerSecond: number;
}

export interface Why {
  situation: string;
  summary: string;
  hash?: string;
  job?: string;
  url?: string;
  labels?: LabelSet;
  discoveredLabels?: LabelSet;
  lastError?: string;
  load?: Load;
  conditions: { kind: string; reason: string }[];
  replicas: {
    replica: string;
    shard: string;
    since: string;
    move?: {
      from: string;
      to: string;
      goodScrapes: number;
      neededScrapes: number;
      waitsFor: string;
    };
  }[];
  decisions: Decision[];
  candidates: {
    shard: string;
    state: string;
    targets: number;
    used: Load;
    limits: Limits;
    utilisation: number;
    utilisationWith: number;
    owner: boolean;
    fits: boolean;
    verdict: string;
  }[];
}
