import type { FastifyInstance, FastifyRequest } from "fastify";
import { AppError } from "../base/errors.ts";
import type { JobStatistics, StatisticsQuery } from "../scrape/job-statistics.ts";
import type { ShardService } from "../shard/shard-service.ts";
import { encodeStatistics } from "../shard/statistics.ts";
import { encodeStatusTable } from "../shard/status-columns.ts";
import {
  decodeAssignment,
  decodeChanges,
  decodeConfig,
  decodeDraining,
  decodeStop,
  encodeAssignment,
  encodeRuntime,
  encodeStatus,
  encodeStop,
  EPOCH_HEADER,
  parseEpoch,
  parseJson,
  type PushedConfig,
  type ShardRuntime,
} from "../shard/wire.ts";
import { envelope, parametersOf } from "./server.ts";

/** What a coordinator asks of every shard and tells it (docs/shard-api.md), whoever scrapes there. */
export interface ShardControl {
  readonly shard: Pick<
    ShardService,
    | "heed"
    | "runtime"
    | "statuses"
    | "assignment"
    | "setTargets"
    | "setDraining"
    | "stopReason"
    | "stopScraping"
    | "statusTable"
    | "changeTargets"
  >;
  /** A coordinator has asked: there is still one. */
  readonly onContact: () => void;
  /** `epoch` is undefined for a Kvass coordinator, which has none. Rejects with why nothing can be scraped here. */
  readonly runtime: (epoch: number | undefined) => Promise<ShardRuntime>;
  /** Resolves when the statuses are those of now. */
  readonly refresh: () => Promise<void>;
  /** Resolves when what was taken is in effect. */
  readonly settled: () => Promise<void>;
  readonly statistics: (query: StatisticsQuery) => Promise<Map<string, JobStatistics>>;
  readonly setConfig: (pushed: PushedConfig, epoch: number | undefined) => Promise<void>;
  /** The configuration with its secrets hidden. */
  readonly configText: () => string;
}

export function registerShardControl(app: FastifyInstance, control: ShardControl): void {
  app.addHook("onRequest", async (request, reply) => {
    // A browser says where a request comes from; no page has business in here.
    if (request.method === "GET" || request.headers.origin === undefined) return undefined;
    return reply.code(403).type("text/plain; charset=utf-8").send("not from a browser\n");
  });
  registerReads(app, control);
  registerChanges(app, control);
}

function registerReads(app: FastifyInstance, control: ShardControl): void {
  const { shard } = control;
  app.get("/api/v1/shard/runtimeinfo", async (request) => {
    control.onContact();
    const epoch = epochOf(request);
    await shard.heed(epoch);
    return envelope(encodeRuntime(await control.runtime(epoch)));
  });
  for (const path of ["/api/v1/shard/targets/status", "/api/v1/shard/targets"])
    app.get(path, async () => {
      await control.refresh();
      return envelope(encodeStatus(shard.statuses()));
    });
  app.get("/api/v1/shard/targets/columns", async (request, reply) => {
    await control.refresh();
    const known = parametersOf(request).get("list") ?? "";
    return reply
      .type("application/octet-stream")
      .send(encodeStatusTable(shard.statusTable(), known));
  });
  app.get("/api/v1/shard/assignment", async () => envelope(encodeAssignment(shard.assignment())));
  app.get("/api/v1/shard/samples", async (request) => {
    const parameters = parametersOf(request);
    const statistics = await control.statistics({
      job: parameters.get("job") ?? "",
      withMetrics: parameters.get("with_metrics_detail") === "true",
    });
    return envelope(encodeStatistics(statistics));
  });
  app.get("/api/v1/status/config", async () => envelope({ yaml: control.configText() }));
  app.get("/api/v1/status/extra_config", async () => envelope(encodeStop(shard.stopReason)));
}

function registerChanges(app: FastifyInstance, control: ShardControl): void {
  const { shard, settled } = control;
  type Change = (body: unknown, epoch: number | undefined) => Promise<void>;
  const register = (path: string, change: Change): void => {
    app.post(path, async (request) => {
      await change(jsonOf(request.body), epochOf(request));
      return envelope(undefined);
    });
  };
  register("/api/v1/shard/drain", (body, epoch) => shard.setDraining(decodeDraining(body), epoch));
  register("/api/v1/shard/targets", async (body, epoch) => {
    await shard.setTargets(decodeAssignment(body), epoch);
    await settled();
  });
  register("/api/v1/shard/targets/changes", async (body, epoch) => {
    await shard.changeTargets(decodeChanges(body), epoch);
    await settled();
  });
  register("/api/v1/status/config", async (body, epoch) => {
    await control.setConfig(decodeConfig(body), epoch);
    await settled();
  });
  register("/api/v1/status/extra_config", async (body, epoch) => {
    await shard.stopScraping(decodeStop(body), epoch);
    await settled();
  });
}

/** The epoch of the coordinator that asks, when it has one. Throws `bad-data` for a header that is no number. */
function epochOf(request: FastifyRequest): number | undefined {
  return parseEpoch(request.headers[EPOCH_HEADER]);
}

function jsonOf(body: unknown): unknown {
  if (typeof body === "string") return parseJson(body);
  if (Buffer.isBuffer(body)) return parseJson(body.toString("utf8"));
  throw new AppError(
    "bad-data",
    "cannot read the body: it must be JSON (Content-Type: application/json)",
  );
}
