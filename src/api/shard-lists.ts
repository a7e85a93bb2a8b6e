import type { FastifyInstance } from "fastify";
import type { ShardService } from "../shard/shard-service.ts";
import { encodeStatusTable } from "../shard/status-columns.ts";
import { decodeChanges } from "../shard/wire.ts";
import { envelope, parametersOf } from "./server.ts";
import { epochOf } from "./shard-epoch.ts";

/** What a coordinator of ours asks in place of whole lists and statuses as text (docs/shard-api.md). */
export interface ShardListsOptions {
  readonly shard: Pick<ShardService, "statusTable" | "changeTargets">;
  readonly jsonOf: (body: unknown) => unknown;
  /** Resolves when the statuses are those of now. */
  readonly refresh: () => Promise<void>;
  /** Resolves when a list that was taken is in effect. */
  readonly settled: () => Promise<void>;
}

export function registerShardLists(app: FastifyInstance, options: ShardListsOptions): void {
  const { shard, jsonOf } = options;
  app.get("/api/v1/shard/targets/columns", async (request, reply) => {
    await options.refresh();
    const known = parametersOf(request).get("list") ?? "";
    return reply
      .type("application/octet-stream")
      .send(encodeStatusTable(shard.statusTable(), known));
  });
  app.post("/api/v1/shard/targets/changes", async (request) => {
    await shard.changeTargets(decodeChanges(jsonOf(request.body)), epochOf(request));
    await options.settled();
    return envelope(undefined);
  });
}
