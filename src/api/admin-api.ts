import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { AppError, messageOf } from "../base/errors.ts";
import type { Matcher } from "../model/matcher.ts";
import { parseSelector } from "../promql/parser.ts";
import type { Database } from "../tsdb/database.ts";
import {
  booleanParameter,
  invalidParameter,
  MAX_TIME_MS,
  MIN_TIME_MS,
  timeParameter,
} from "./query/parameters.ts";
import { checkSameOrigin } from "./same-origin.ts";
import { envelope, parametersOf } from "./server.ts";

/** Prometheus's TSDB admin API (docs/admin-api.md) over one database. */
export interface AdminApiOptions {
  /** Undefined while the admin API is switched off. */
  readonly database: Pick<Database, "deleteSeries" | "cleanTombstones" | "snapshot"> | undefined;
}

type AdminDatabase = NonNullable<AdminApiOptions["database"]>;
type AdminAction = (
  database: AdminDatabase,
  request: FastifyRequest,
  reply: FastifyReply,
) => Promise<FastifyReply>;

const FOLDER = "/api/v1/admin/tsdb";
const TAKEN = ["POST", "PUT"] as const;
const REFUSED = ["GET", "DELETE", "PATCH"] as const;

export function registerAdminApi(app: FastifyInstance, options: AdminApiOptions): void {
  const register = (name: string, act: AdminAction): void => {
    const url = `${FOLDER}/${name}`;
    app.route({
      method: [...TAKEN],
      url,
      handler: async (request, reply) => {
        checkSameOrigin(request);
        return options.database === undefined
          ? unavailable(reply)
          : act(options.database, request, reply);
      },
    });
    app.route({ method: [...REFUSED], url, handler: async (_request, reply) => notAllowed(reply) });
  };
  register("delete_series", async (database, request, reply) => {
    const parameters = parametersOf(request);
    const selectors = parameters.getAll("match[]");
    if (selectors.length === 0) throw new AppError("bad-data", "no match[] parameter provided");
    const range = {
      minTimeMs: timeParameter(parameters, "start", MIN_TIME_MS),
      maxTimeMs: timeParameter(parameters, "end", MAX_TIME_MS),
    };
    // All of them are read before anything is deleted.
    for (const matchers of selectors.map(matchersOf))
      await database.deleteSeries({ matchers, ...range });
    return reply.code(204).send();
  });
  register("clean_tombstones", async (database, _request, reply) => {
    await database.cleanTombstones();
    return reply.code(204).send();
  });
  register("snapshot", async (database, request, reply) => {
    const name = await database.snapshot({ skipHead: skipHeadOf(parametersOf(request)) });
    return reply.send(envelope({ name }));
  });
}

function skipHeadOf(parameters: URLSearchParams): boolean {
  try {
    return booleanParameter(parameters, "skip_head") ?? false;
  } catch {
    const text = JSON.stringify(parameters.get("skip_head"));
    throw invalidParameter(
      "skip_head",
      `unable to parse boolean: strconv.ParseBool: parsing ${text}: invalid syntax`,
    );
  }
}

function matchersOf(selector: string): readonly Matcher[] {
  try {
    return parseSelector(selector);
  } catch (error) {
    throw invalidParameter("match[]", messageOf(error));
  }
}

/** Status and text are Prometheus's. */
function unavailable(reply: FastifyReply): FastifyReply {
  return reply
    .code(500)
    .send({ status: "error", errorType: "unavailable", error: "admin APIs disabled" });
}

function notAllowed(reply: FastifyReply): FastifyReply {
  return reply
    .code(405)
    .header("Allow", "OPTIONS, POST, PUT")
    .type("text/plain; charset=utf-8")
    .send("Method Not Allowed\n");
}
