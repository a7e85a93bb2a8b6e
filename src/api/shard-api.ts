import type { FastifyInstance } from "fastify";
import { AppError } from "../base/errors.ts";
import type { BlockMeta } from "../block/meta.ts";
import type { ScrapeManager } from "../scrape/scrape-manager.ts";
import type { ShardService } from "../shard/shard-service.ts";
import type { Head } from "../tsdb/head.ts";
import { envelope, parametersOf } from "./server.ts";
import { registerShardControl } from "./shard-control.ts";

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
  const atOnce = async (): Promise<void> => {};
  registerShardControl(app, {
    shard,
    onContact: options.onContact,
    runtime: async () => shard.runtime(),
    refresh: atOnce,
    settled: atOnce,
    async statistics(query) {
      // A target on its way to another shard is counted there.
      const statuses = shard.statuses();
      return scrape.statistics(query, (hash) => statuses.get(hash)?.state === "normal");
    },
    setConfig: (pushed, epoch) => shard.setConfig(pushed, epoch),
    configText: options.configText,
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
