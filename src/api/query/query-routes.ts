import type { FastifyInstance } from "fastify";
import { AppError, messageOf } from "../../base/errors.ts";
import { formatSampleValue } from "../../base/float.ts";
import { parseExpression } from "../../promql/parser.ts";
import { formatQuery } from "../../promql/prettier.ts";
import { selectorsOf } from "../../promql/selectors.ts";
import { expressionToJson } from "../../promql/ast-json.ts";
import { parametersOf } from "../server.ts";
import type { ReadApiDependencies } from "./dependencies.ts";
import {
  durationParameter,
  invalidParameter,
  limitParameter,
  lookbackParameter,
  MAX_TIME_MS,
  MIN_TIME_MS,
  readOptions,
  requiredTime,
  timeParameter,
} from "./parameters.ts";
import { checkAnswerSize, renderQueryResult, type StatsOptions } from "./render.ts";
import { clientSignal, sendData, sendPieces } from "./send.ts";

/** Points per series above which a range query is refused, as in Prometheus. */
const MAX_POINTS = 11_000;

/** `/api/v1/query`, `/query_range`, `/format_query`, `/parse_query`, `/query_exemplars`. */
export function registerQueryRoutes(
  app: FastifyInstance,
  { engine, parser, queryable, exemplars, clock, queries, maxAnswerBytes }: ReadApiDependencies,
): void {
  const methods = ["GET", "POST"];

  app.route({
    method: methods,
    url: "/api/v1/query",
    handler: async (request, reply) => {
      const parameters = parametersOf(request);
      const limit = limitParameter(parameters);
      const timeMs = timeParameter(parameters, "time", clock.now());
      const options = { ...evaluationOptions(parameters), client: request.ip };
      const series = queryable(readOptions(parameters));
      const query = parameters.get("query") ?? "";
      const asked = { query, startMs: timeMs, endMs: timeMs, stepMs: 0 };
      const result = await queries.run({ request, reply }, asked, (given) =>
        asParameter("query", () => engine.instant(series, { query, timeMs, ...options, ...given })),
      );
      const shown = { limit, stats: statsOptions(parameters, asked) };
      await checkAnswerSize(result, { ...shown, maxBytes: maxAnswerBytes });
      return sendPieces(request, reply, renderQueryResult(result, { ...shown, lends: true }));
    },
  });

  app.route({
    method: methods,
    url: "/api/v1/query_range",
    handler: async (request, reply) => {
      const parameters = parametersOf(request);
      const limit = limitParameter(parameters);
      const startMs = requiredTime(parameters, "start");
      const endMs = requiredTime(parameters, "end");
      if (endMs < startMs)
        throw invalidParameter("end", "end timestamp must not be before start time");
      const stepMs = durationParameter(parameters, "step");
      if (stepMs === undefined)
        throw invalidParameter("step", 'cannot parse "" to a valid duration');
      if (stepMs <= 0)
        throw invalidParameter(
          "step",
          "zero or negative query resolution step widths are not accepted. Try a positive integer",
        );
      if (Math.floor((endMs - startMs) / stepMs) > MAX_POINTS)
        throw new AppError(
          "bad-data",
          "exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)",
        );
      const options = { ...evaluationOptions(parameters), client: request.ip };
      const series = queryable(readOptions(parameters));
      const asked = {
        query: parameters.get("query") ?? "",
        startMs,
        endMs,
        stepMs: Math.max(1, Math.trunc(stepMs)),
      };
      const result = await queries.run({ request, reply }, asked, (given) =>
        asParameter("query", () => engine.range(series, { ...asked, ...options, ...given })),
      );
      const shown = { limit, stats: statsOptions(parameters, asked) };
      await checkAnswerSize(result, { ...shown, maxBytes: maxAnswerBytes });
      return sendPieces(request, reply, renderQueryResult(result, { ...shown, lends: true }));
    },
  });

  app.route({
    method: methods,
    url: "/api/v1/format_query",
    handler: async (request, reply) => {
      const query = parametersOf(request).get("query") ?? "";
      return sendData(request, reply, await asParameter("query", () => formatQuery(query, parser)));
    },
  });

  app.route({
    method: methods,
    url: "/api/v1/parse_query",
    handler: async (request, reply) => {
      const query = parametersOf(request).get("query") ?? "";
      return sendData(
        request,
        reply,
        await asParameter("query", () => expressionToJson(parseExpression(query, parser))),
      );
    },
  });

  app.route({
    method: methods,
    url: "/api/v1/query_exemplars",
    handler: async (request, reply) => {
      const parameters = parametersOf(request);
      const startMs = timeParameter(parameters, "start", MIN_TIME_MS);
      const endMs = timeParameter(parameters, "end", MAX_TIME_MS);
      if (endMs < startMs)
        throw new AppError("bad-data", "end timestamp must not be before start timestamp");
      const query = parameters.get("query") ?? "";
      const selectors = selectorsOf(parseExpression(query, parser));
      if (selectors.length === 0) return reply.code(204).send();
      const signal = clientSignal(request, reply);
      const { series, warnings, infos } = await exemplars(
        { query, selectors, startMs, endMs, signal },
        readOptions(parameters),
      );
      const data = series.map(({ labels, exemplars: own }) => ({
        seriesLabels: labels,
        exemplars: own.map((one) => ({
          labels: one.labels,
          value: formatSampleValue(one.value),
          timestamp: one.timeMs / 1000,
        })),
      }));
      return sendData(request, reply, data, { warnings, infos });
    },
  });
}

function evaluationOptions(parameters: URLSearchParams): {
  timeoutMs?: number;
  lookbackMs?: number;
  analyze?: boolean;
  countSamples?: boolean;
} {
  const timeoutMs = durationParameter(parameters, "timeout");
  const lookbackMs = lookbackParameter(parameters);
  return {
    ...(timeoutMs !== undefined && { timeoutMs }),
    ...(lookbackMs !== undefined && lookbackMs > 0 && { lookbackMs }),
    ...(parameters.get("analyze") === "true" && { analyze: true }),
    ...((parameters.get("stats") ?? "") !== "" && { countSamples: true }),
  };
}

/** What `stats` asks for: `all` is also told of each step, anything else of the whole. */
function statsOptions(
  parameters: URLSearchParams,
  { startMs, stepMs }: { startMs: number; stepMs: number },
): StatsOptions | false {
  const text = parameters.get("stats") ?? "";
  if (text === "") return false;
  return text === "all" ? { steps: { startMs, stepMs } } : {};
}

/** Runs `action`; input it refuses is reported as the fault of parameter `name`. */
export async function asParameter<T>(name: string, action: () => T | Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (error) {
    if (error instanceof AppError && error.code === "bad-data")
      throw new AppError(
        "bad-data",
        `invalid parameter ${JSON.stringify(name)}: ${messageOf(error)}`,
        { cause: error },
      );
    throw error;
  }
}
