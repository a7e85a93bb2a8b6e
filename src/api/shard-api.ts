import type { FastifyInstance } from "fastify";
import { AppError } from "../base/errors.ts";
import type { BlockMeta } from "../block/meta.ts";
import type { ScrapeManager } from "../scrape/scrape-manager.ts";
import type { ShardService } from "../shard/shard-service.ts";
import { encodeStatistics } from "../shard/statistics.ts";
import {
  decodeAssignment,
  decodeConfig,
  decodeStop,
  decodeDraining,
  encodeAssignment,
  encodeRuntime,
  encodeStatus,
  encodeStop,
  parseJson,
} from "../shard/wire.ts";
import type { Head } from "../tsdb/head.ts";
import { envelope, parametersOf } from "./server.ts";
import { epochOf } from "./shard-epoch.ts";
import { registerShardLists } from "./shard-lists.ts";

/** A shard's control API (docs/shard-api.md) and what it tells of its own series. */
export interface ShardApiOptions {
  readonly shard: ShardService;
  readonly head: Head;
  readonly blocks: () => readonly BlockMeta[];
  readonly scrape: Pick<ScrapeManager, "metadata" | "statistics">;
  /** The running configuration with its secrets hidden. */
  readonly configText: () => string;
  /** A coordinator has asked: there is still one. */
  readonly onContact: () => void;
}

const CARDINALITY_DEFAULT = 10;
const CARDINALITY_MAX = 10_000;

export function registerShardApi(app: FastifyInstance, options: ShardApiOptions): void {
  const { shard, head, scrape } = options;
  app.addHook("onRequest", async (request, reply) => {
    // A browser says where a request comes from; no page has business in here.
    if (request.method === "GET" || request.headers.origin === undefined) return undefined;
    return reply.code(403).type("text/plain; charset=utf-8").send("not from a browser\n");
  });
  app.get("/api/v1/shard/runtimeinfo", async (request) => {
    options.onContact();
    await shard.heed(epochOf(request));
    return envelope(encodeRuntime(shard.runtime()));
  });
  app.get("/api/v1/shard/targets/status", async () => envelope(encodeStatus(shard.statuses())));
  app.get("/api/v1/shard/targets", async () => envelope(encodeStatus(shard.statuses())));
  app.get("/api/v1/shard/assignment", async () => envelope(encodeAssignment(shard.assignment())));
  app.post("/api/v1/shard/targets", async (request) => {
    await shard.setTargets(decodeAssignment(bodyOf(request.body)), epochOf(request));
    return envelope(undefined);
  });
  app.post("/api/v1/shard/drain", async (request) => {
    await shard.setDraining(decodeDraining(bodyOf(request.body)), epochOf(request));
    return envelope(undefined);
  });
  const atOnce = async (): Promise<void> => {};
  registerShardLists(app, { shard, jsonOf: bodyOf, refresh: atOnce, settled: atOnce });
  app.get("/api/v1/shard/samples", async (request) => {
    const parameters = parametersOf(request);
    const query = {
      job: parameters.get("job") ?? "",
      withMetrics: parameters.get("with_metrics_detail") === "true",
    };
    // A target on its way to another shard is counted there.
    const statuses = shard.statuses();
    const isCounted = (hash: string): boolean => statuses.get(hash)?.state === "normal";
    return envelope(encodeStatistics(scrape.statistics(query, isCounted)));
  });
  app.get("/api/v1/status/config", async () => envelope({ yaml: options.configText() }));
  app.post("/api/v1/status/config", async (request) => {
    await shard.setConfig(decodeConfig(bodyOf(request.body)), epochOf(request));
    return envelope(undefined);
  });
  app.get("/api/v1/status/extra_config", async () => envelope(encodeStop(shard.stopReason)));
  app.post("/api/v1/status/extra_config", async (request) => {
    await shard.stopScraping(decodeStop(bodyOf(request.body)), epochOf(request));
    return envelope(undefined);
  });
  app.get("/api/v1/metadata", async (request) => {
    const metric = parametersOf(request).get("metric") ?? "";
    const all = scrape.metadata();
    const shown = metric === "" ? all : new Map([...all].filter(([name]) => name === metric));
    const data = Object.create(null) as Record<string, unknown>;
    for (const [name, entries] of shown) data[name] = entries;
    return envelope(data);
  });
  app.get("/api/v1/status/tsdb/blocks", async () =>
    envelope({ blocks: options.blocks().map(blockStatus) }),
  );
  app.get("/api/v1/status/tsdb", async (request) => {
    const text = parametersOf(request).get("limit") ?? "";
    const limit = text === "" ? CARDINALITY_DEFAULT : Number(text);
    if (!Number.isInteger(limit) || limit < 1)
      throw new AppError("bad-data", "limit must be a positive number");
    if (limit > CARDINALITY_MAX)
      throw new AppError("bad-data", `limit must not exceed ${CARDINALITY_MAX}`);
    return envelope(tsdbStatus(head, limit));
  });
}

function bodyOf(body: unknown): unknown {
  if (typeof body === "string") return parseJson(body);
  if (Buffer.isBuffer(body)) return parseJson(body.toString("utf8"));
  throw new AppError(
    "bad-data",
    "cannot read the body: it must be JSON (Content-Type: application/json)",
  );
}

function blockStatus(meta: BlockMeta): unknown {
  const { ulid, minTime, maxTime, stats, compaction, version } = meta;
  return { ulid, minTime, maxTime, stats, compaction, version };
}

function tsdbStatus(head: Head, limit: number): unknown {
  const { seriesCount, labelPairCount, chunkCount, minTimeMs, maxTimeMs } = head.stats();
  return {
    headStats: {
      numSeries: seriesCount,
      numLabelPairs: labelPairCount,
      chunkCount,
      minTime: Number.isFinite(minTimeMs) ? minTimeMs : 0,
      maxTime: Number.isFinite(maxTimeMs) ? maxTimeMs : 0,
    },
    ...head.cardinality(limit),
  };
}
