import { AppError } from "../base/errors.ts";
import { compareText } from "../base/text.ts";
import { readBytes, readText } from "../http/read-body.ts";
import { isLegacyLabelName, Labels } from "../model/labels.ts";
import { formatMatcher, type Matcher } from "../model/matcher.ts";
import { mergeTexts, sortSeries } from "../storage/merge.ts";
import type {
  LabelRequest,
  LabelResult,
  Queryable,
  SelectRequest,
  Series,
  SeriesBatch,
} from "../storage/queryable.ts";
import type { PrometheusClient } from "./prometheus-client.ts";
import { READ_TIMEOUT_MS } from "./prometheus-client.ts";
import {
  decodeFrames,
  decodeReadResponse,
  encodeReadRequest,
  READ_HEADERS,
  SAMPLES_MAX_BYTES,
  STREAMED_TYPE,
} from "../remote/read-answer.ts";

const ERROR_MAX_BYTES = 4_096;

/**
 * A Prometheus read as a Queryable: series through remote read, labels through its HTTP API. Series come in its order,
 * which is by labels before it adds its external ones; `store/` puts that right.
 */
export class PrometheusQueryable implements Queryable {
  readonly #client: PrometheusClient;

  constructor(client: PrometheusClient) {
    this.#client = client;
  }

  select(request: SelectRequest): AsyncIterable<SeriesBatch> {
    const batches = request.skipChunks === true ? this.#labels(request) : this.#read(request);
    const stripped =
      request.withoutReplicaLabels === undefined || request.withoutReplicaLabels.length === 0
        ? batches
        : withoutLabels(batches, request.withoutReplicaLabels);
    return request.limit === undefined || request.limit === 0
      ? stripped
      : firstOf(stripped, request.limit);
  }

  labelNames(request: LabelRequest): Promise<LabelResult> {
    return this.#texts("/api/v1/labels", request);
  }

  labelValues(name: string, request: LabelRequest): Promise<LabelResult> {
    return this.#texts(`/api/v1/label/${encodeURIComponent(pathName(name))}/values`, request);
  }

  async *#read(request: SelectRequest): AsyncGenerator<SeriesBatch> {
    const response = await this.#client.request({
      method: "POST",
      path: "/api/v1/read",
      headers: READ_HEADERS,
      body: encodeReadRequest(request),
      timeoutMs: READ_TIMEOUT_MS,
      signal: request.signal,
    });
    if (response.status !== 200) {
      const text = (await readText(response.body, ERROR_MAX_BYTES)).trim();
      throw new AppError(
        response.status === 400 ? "bad-data" : "unavailable",
        `cannot read from Prometheus: HTTP ${response.status}: ${text}`,
      );
    }
    const type = response.headers.get("content-type") ?? "";
    if (type.startsWith(STREAMED_TYPE)) {
      yield* joinFrames(decodeFrames(response.body));
      return;
    }
    const body = await readBytes(response.body, SAMPLES_MAX_BYTES);
    yield { series: sortSeries(decodeReadResponse(body)) };
  }

  async *#labels(request: SelectRequest): AsyncGenerator<SeriesBatch> {
    const data = await this.#client.ask("/api/v1/series", {
      parameters: parametersOf(request),
      timeoutMs: READ_TIMEOUT_MS,
      signal: request.signal,
    });
    if (!Array.isArray(data)) throw unexpected("/api/v1/series");
    const series = data.map((each: unknown) => ({ labels: labelsOf(each), chunks: [] }));
    yield { series: sortSeries(series) };
  }

  async #texts(path: string, request: LabelRequest): Promise<LabelResult> {
    const data = await this.#client.ask(path, {
      parameters: parametersOf(request),
      timeoutMs: READ_TIMEOUT_MS,
      signal: request.signal,
    });
    if (!Array.isArray(data)) throw unexpected(path);
    const values = data.filter((each: unknown) => typeof each === "string").sort(compareText);
    return { values: mergeTexts([values], request.limit), warnings: [] };
  }
}

/** A series whose chunks fill more than one frame comes out as one. */
async function* joinFrames(frames: AsyncIterable<Series[]>): AsyncGenerator<SeriesBatch> {
  let open: Series | undefined;
  for await (const frame of frames) {
    const series: Series[] = [];
    for (const each of frame) {
      if (open !== undefined && open.labels.equals(each.labels))
        open = { labels: open.labels, chunks: [...open.chunks, ...each.chunks] };
      else {
        if (open !== undefined) series.push(open);
        open = each;
      }
    }
    if (series.length > 0) yield { series };
  }
  if (open !== undefined) yield { series: [open] };
}

/** Taking labels away changes the order of series, so all are needed first. */
async function* withoutLabels(
  batches: AsyncIterable<SeriesBatch>,
  names: readonly string[],
): AsyncGenerator<SeriesBatch> {
  const all: Series[] = [];
  const warnings: string[] = [];
  for await (const batch of batches) {
    for (const { labels, chunks } of batch.series)
      all.push({ labels: labels.without(names), chunks });
    warnings.push(...(batch.warnings ?? []));
  }
  const series = sortSeries(all);
  yield warnings.length === 0 ? { series } : { series, warnings };
}

async function* firstOf(
  batches: AsyncIterable<SeriesBatch>,
  limit: number,
): AsyncGenerator<SeriesBatch> {
  let left = limit;
  for await (const batch of batches) {
    yield { ...batch, series: batch.series.slice(0, left) };
    left -= batch.series.length;
    if (left <= 0) return;
  }
}

/** Milliseconds that Prometheus's API takes as a time; beyond, the bound is left out. */
const TIME_LIMIT_MS = 8.64e15;

function parametersOf(request: {
  readonly matchers: readonly Matcher[];
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
}): URLSearchParams {
  const parameters = new URLSearchParams();
  const { matchers, minTimeMs, maxTimeMs } = request;
  if (matchers.length > 0)
    parameters.append("match[]", `{${matchers.map((each) => formatMatcher(each)).join(",")}}`);
  if (minTimeMs > -TIME_LIMIT_MS) parameters.append("start", String(minTimeMs / 1000));
  if (maxTimeMs < TIME_LIMIT_MS) parameters.append("end", String(maxTimeMs / 1000));
  return parameters;
}

/** A name that is not of the old alphabet stands escaped in a path (`U__…`). */
function pathName(name: string): string {
  if (isLegacyLabelName(name)) return name;
  let escaped = "U__";
  for (const character of name) {
    if (character === "_") escaped += "__";
    else if (/[a-zA-Z0-9:]/.test(character)) escaped += character;
    else escaped += `_${character.codePointAt(0)!.toString(16)}_`;
  }
  return escaped;
}

function labelsOf(value: unknown): Labels {
  if (typeof value !== "object" || value === null) throw unexpected("/api/v1/series");
  return Labels.fromPairs(Object.entries(value).map(([name, text]) => [name, String(text)]));
}

function unexpected(path: string): AppError {
  return new AppError("unavailable", `cannot read Prometheus's answer to ${path}`);
}
