import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { AppError } from "../../base/errors.ts";
import { compareText } from "../../base/text.ts";
import type { EndpointStatus } from "../../query/endpoint-set.ts";
import { ADMIN_OFF } from "../coordinator/drain.ts";
import { STOP_PATH, stopReasonIn } from "../coordinator/stop.ts";
import { checkSameOrigin } from "../same-origin.ts";
import { envelope, parametersOf } from "../server.ts";
import { type CoordinatorClient, isRecord } from "./coordinator-client.ts";
import type { QueryApiDependencies } from "./dependencies.ts";
import { invalidParameter, limitParameter } from "./parameters.ts";
import { sendData } from "./send.ts";
import { blocksStatus, replayStatus, tsdbStatus } from "./tsdb-status.ts";

/** Paths answered by the coordinator; the query passes them on so that one address serves everything. */
const COORDINATOR_PATHS = [
  "/api/v1/targets",
  "/api/v1/shards",
  "/api/v1/plan",
  "/api/v1/decisions",
  "/api/v1/conditions",
  "/api/v1/why",
  "/api/v1/runtimeinfo",
  "/api/v1/samples",
  "/api/v1/status/config",
];

/** What is known of the whole system: targets and shards from the coordinator, metadata and cardinality from all shards. */
export function registerClusterRoutes(
  app: FastifyInstance,
  { coordinator, endpoints, adminApi }: QueryApiDependencies,
): void {
  for (const path of COORDINATOR_PATHS) {
    app.get(path, async (request, reply) => {
      const query = request.url.indexOf("?");
      const answer = await required(coordinator).get(
        path + (query < 0 ? "" : request.url.slice(query)),
      );
      return reply.code(answer.status).type("application/json").send(answer.body);
    });
  }

  registerAdmin(app, { coordinator, adminApi });

  app.get("/api/v1/scrape_pools", async (request, reply) => {
    const targets = await required(coordinator).data("/api/v1/targets?state=any");
    const lists = isRecord(targets) ? [targets["activeTargets"], targets["droppedTargets"]] : [];
    const pools = new Set(
      lists.flatMap((list) =>
        Array.isArray(list)
          ? list.filter(isRecord).map((target) => String(target["scrapePool"]))
          : [],
      ),
    );
    return sendData(request, reply, { scrapePools: [...pools].sort(compareText) });
  });

  app.get("/api/v1/endpoints", async (request, reply) =>
    sendData(request, reply, { endpoints: endpoints() }),
  );
  app.get("/api/v1/stores", async (_, reply) =>
    reply.type("application/json").send(storesAnswer(endpoints())),
  );
  app.get("/api/v1/metadata", async (request, reply) => metadata(request, reply, coordinator));
  app.get("/api/v1/status/tsdb", async (request, reply) =>
    tsdbStatus(request, reply, required(coordinator)),
  );
  app.get("/api/v1/status/tsdb/blocks", async (request, reply) =>
    blocksStatus(request, reply, required(coordinator)),
  );
  app.get("/api/v1/status/walreplay", async (request, reply) =>
    replayStatus(request, reply, required(coordinator)),
  );
}

/** Thanos's list of stores by what they are. Times of everything and nothing are the ends of int64, as raw JSON text. */
function storesAnswer(endpoints: readonly EndpointStatus[]): string {
  const byType = new Map<string, string[]>();
  for (const endpoint of endpoints) {
    const type = endpoint.componentType || "unknown-store-api";
    const text = JSON.stringify({
      name: endpoint.address,
      lastCheck: new Date(endpoint.lastCheckMs).toISOString(),
      lastError: endpoint.lastError === "" ? null : endpoint.lastError,
      labelSets: endpoint.labelSets.map((set) => Object.fromEntries(set)),
    });
    const times = `"minTime":${int64Text(endpoint.minTimeMs)},"maxTime":${int64Text(endpoint.maxTimeMs)}`;
    const list = byType.get(type) ?? [];
    byType.set(type, [...list, `${text.slice(0, -1)},${times}}`]);
  }
  const types = [...byType].map(([type, list]) => `${JSON.stringify(type)}:[${list.join(",")}]`);
  return `{"status":"success","data":{${types.join(",")}}}`;
}

function int64Text(value: number): string {
  if (value >= 2 ** 63) return "9223372036854775807";
  if (value <= -(2 ** 63)) return "-9223372036854775808";
  return String(Math.trunc(value));
}

/** Changes are passed on when this process allows them too: its address may be more public than the coordinator's. */
function registerAdmin(
  app: FastifyInstance,
  { coordinator, adminApi }: Pick<QueryApiDependencies, "coordinator" | "adminApi">,
): void {
  const drain = "/api/v1/shards/drain";
  app.get(drain, async (_request, reply) => {
    if (!adminApi) return reply.send(envelope({ enabled: false, reason: ADMIN_OFF, shards: [] }));
    const answer = await required(coordinator).get(drain);
    return reply.code(answer.status).type("application/json").send(answer.body);
  });
  // What holds anybody may know.
  app.get(STOP_PATH, async (_request, reply) => {
    const answer = await required(coordinator).get(STOP_PATH);
    return reply.code(answer.status).type("application/json").send(answer.body);
  });
  const parameters: Record<string, (request: FastifyRequest) => URLSearchParams> = {
    [drain]: parametersOf,
    [STOP_PATH]: (request) => new URLSearchParams({ stopScrapeReason: stopReasonIn(request) }),
  };
  for (const [path, read] of Object.entries(parameters))
    app.post(path, async (request, reply) => {
      checkSameOrigin(request);
      if (!adminApi) throw new AppError("forbidden", ADMIN_OFF);
      const answer = await required(coordinator).post(`${path}?${read(request).toString()}`);
      return reply.code(answer.status).type("application/json").send(answer.body);
    });
}

function required(coordinator: CoordinatorClient | undefined): CoordinatorClient {
  if (coordinator === undefined)
    throw new AppError(
      "not-found",
      "this query runs without a coordinator: start it with --coordinator.url to see targets and shards",
    );
  return coordinator;
}

async function metadata(
  request: FastifyRequest,
  reply: FastifyReply,
  coordinator: CoordinatorClient | undefined,
): Promise<FastifyReply> {
  const parameters = parametersOf(request);
  const limit = limitParameter(parameters);
  const perMetricText = parameters.get("limit_per_metric") ?? "";
  if (perMetricText !== "" && !/^\d+$/.test(perMetricText))
    throw invalidParameter("limit_per_metric", "limit_per_metric must be a number");
  const perMetric = Number(perMetricText);
  const metric = parameters.get("metric") ?? "";
  const { answers, silent } = await required(coordinator).fromShards(
    `/api/v1/metadata${metric === "" ? "" : `?metric=${encodeURIComponent(metric)}`}`,
  );
  const merged = new Map<string, Map<string, unknown>>();
  for (const { data } of answers) {
    if (!isRecord(data)) continue;
    for (const [name, entries] of Object.entries(data)) {
      let known = merged.get(name);
      if (known === undefined) merged.set(name, (known = new Map()));
      for (const entry of Array.isArray(entries) ? entries : [])
        known.set(JSON.stringify(entry), entry);
    }
  }
  const result = Object.create(null) as Record<string, unknown[]>;
  const names = [...merged.keys()].sort(compareText);
  for (const name of limit > 0 ? names.slice(0, limit) : names) {
    const entries = [...merged.get(name)!.values()];
    result[name] = perMetric > 0 ? entries.slice(0, perMetric) : entries;
  }
  return sendData(request, reply, result, { warnings: silent.map(({ warning }) => warning) });
}
