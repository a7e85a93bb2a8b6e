import type { FastifyInstance } from "fastify";
import { AppError } from "../../base/errors.ts";
import { compareText } from "../../base/text.ts";
import { compareLabels, isValidLabelName, type Labels } from "../../model/labels.ts";
import { type Matcher, matchesEmpty } from "../../model/matcher.ts";
import { parseSelector } from "../../promql/parser.ts";
import type { LabelRequest, LabelResult, Queryable } from "../../storage/queryable.ts";
import { parametersOf } from "../server.ts";
import type { ReadApiDependencies } from "./dependencies.ts";
import {
  limitParameter,
  MAX_TIME_MS,
  MIN_TIME_MS,
  readOptions,
  timeParameter,
} from "./parameters.ts";
import { asParameter } from "./query-routes.ts";
import { clientSignal, sendData } from "./send.ts";

/** Of a time range that ends before it starts: nothing is in it. */
const NOTHING = { values: [], warnings: [] };
const TRUNCATED = "results truncated due to limit";
const NO_MATCHER = "match[] must contain at least one non-empty matcher";

/** `/api/v1/series`, `/labels`, `/label/{name}/values`. */
export function registerSeriesRoutes(
  app: FastifyInstance,
  { queryable }: ReadApiDependencies,
): void {
  app.route({
    method: ["GET", "POST"],
    url: "/api/v1/series",
    handler: async (request, reply) => {
      const parameters = parametersOf(request);
      const limit = limitParameter(parameters);
      if (parameters.getAll("match[]").length === 0)
        throw new AppError("bad-data", "no match[] parameter provided");
      const range = timeRange(parameters);
      const source = queryable(readOptions(parameters));
      // Prometheus names the parameter here, and not in the label endpoints.
      const selectors = await asParameter("match[]", () => selectorsOf(parameters));
      if (range.maxTimeMs < range.minTimeMs) return sendData(request, reply, []);
      const signal = clientSignal(request, reply);
      const found = new Map<string, Labels>();
      const warnings = new Set<string>();
      const infos = new Set<string>();
      // One more than the limit tells whether anything was cut, without reading the rest.
      const cutAt = limit === 0 ? Infinity : limit + 1;
      for (const matchers of selectors) {
        for await (const batch of source.select({
          matchers,
          ...range,
          skipChunks: true,
          ...(limit > 0 && { limit: cutAt }),
          signal,
        })) {
          for (const warning of batch.warnings ?? []) warnings.add(warning);
          for (const info of batch.infos ?? []) infos.add(info);
          for (const { labels } of batch.series) found.set(labels.key(), labels);
          if (selectors.length === 1 && found.size >= cutAt) break;
        }
      }
      const series = [...found.values()].sort(compareLabels);
      if (series.length >= cutAt) warnings.add(TRUNCATED);
      return sendData(request, reply, limit > 0 ? series.slice(0, limit) : series, {
        warnings: [...warnings],
        infos: [...infos],
      });
    },
  });

  app.route({
    method: ["GET", "POST"],
    url: "/api/v1/labels",
    handler: async (request, reply) => {
      const parameters = parametersOf(request);
      const source = queryable(readOptions(parameters));
      const { values, ...notes } = await overSelectors(
        parameters,
        clientSignal(request, reply),
        (label) => source.labelNames(label),
      );
      return sendData(request, reply, values, notes);
    },
  });

  app.get<{ Params: { name: string } }>("/api/v1/label/:name/values", async (request, reply) => {
    const name = unescapeName(request.params.name);
    if (!isValidLabelName(name))
      throw new AppError("bad-data", `invalid label name: ${JSON.stringify(name)}`);
    const parameters = parametersOf(request);
    const source = queryable(readOptions(parameters));
    const { values, ...notes } = await overSelectors(
      parameters,
      clientSignal(request, reply),
      (label) => source.labelValues(name, label),
    );
    return sendData(request, reply, values, notes);
  });
}

/** The union of `read` over all match[] selectors, sorted and cut to the limit. */
async function overSelectors(
  parameters: URLSearchParams,
  signal: AbortSignal,
  read: (request: LabelRequest) => ReturnType<Queryable["labelNames"]>,
): Promise<LabelResult> {
  const limit = limitParameter(parameters);
  const range = timeRange(parameters);
  const selectors = selectorsOf(parameters);
  if (range.maxTimeMs < range.minTimeMs) return NOTHING;
  const limited = limit === 0 ? {} : { limit: limit + 1 };
  const results = await Promise.all(
    (selectors.length === 0 ? [[]] : selectors).map((matchers) =>
      read({ matchers, ...range, ...limited, signal }),
    ),
  );
  let values =
    results.length === 1
      ? [...results[0]!.values]
      : [...new Set(results.flatMap((result) => result.values))].sort(compareText);
  const warnings = new Set(results.flatMap((result) => result.warnings));
  if (limit > 0 && values.length > limit) {
    values = values.slice(0, limit);
    warnings.add(TRUNCATED);
  }
  const infos = new Set(results.flatMap((result) => result.infos ?? []));
  return { values, warnings: [...warnings], infos: [...infos] };
}

function timeRange(parameters: URLSearchParams): { minTimeMs: number; maxTimeMs: number } {
  const minTimeMs = timeParameter(parameters, "start", MIN_TIME_MS);
  const maxTimeMs = timeParameter(parameters, "end", MAX_TIME_MS);
  return { minTimeMs, maxTimeMs };
}

/** The matchers of every match[] parameter; each must hold one that does not match the empty value. */
export function selectorsOf(parameters: URLSearchParams): readonly (readonly Matcher[])[] {
  const selectors = parameters.getAll("match[]").map((text) => parseSelector(text));
  if (selectors.some((matchers) => matchers.every(matchesEmpty)))
    throw new AppError("bad-data", NO_MATCHER);
  return selectors;
}

/** Decodes Prometheus's `U__` escaping of UTF-8 label names in URL paths: `__` is `_`, `_HEX_` a code point. */
export function unescapeName(name: string): string {
  if (!name.startsWith("U__")) return name;
  const decoded = name.slice(3).replace(/__|_([0-9a-fA-F]{1,6})_/g, (whole, hex?: string) => {
    const code = hex === undefined ? 0x5f : Number.parseInt(hex, 16);
    const isCharacter = code < 0xd800 || (code > 0xdfff && code <= 0x10ffff);
    return isCharacter ? String.fromCodePoint(code) : whole;
  });
  return decoded;
}
