import type { FastifyInstance } from "fastify";
import { AppError } from "../../base/errors.ts";
import { checkSameOrigin } from "../same-origin.ts";
import { envelope, parametersOf } from "../server.ts";
import type { CoordinatorApiOptions } from "./dependencies.ts";
import { oneOf } from "./parameters.ts";

/** Why a request that changes the system is refused, and what to do. */
export const ADMIN_OFF =
  "the admin API is off: start with --web.enable-admin-api to drain shards or to stop scraping";

/**
 * `POST /api/v1/shards/drain?shard=shard-1&drain=true`: the shard gets no targets and its own move away, until
 * `drain=false`. GET tells whether it may be asked, and which shards are marked.
 */
export function registerDrain(
  app: FastifyInstance,
  { coordinator, adminApi }: CoordinatorApiOptions,
): void {
  const state = (): unknown =>
    envelope({
      enabled: adminApi,
      reason: adminApi ? "" : ADMIN_OFF,
      shards: [...coordinator.draining].sort(),
    });
  app.get("/api/v1/shards/drain", async () => state());
  app.post("/api/v1/shards/drain", async (request) => {
    checkSameOrigin(request);
    if (!adminApi) throw new AppError("forbidden", ADMIN_OFF);
    const parameters = parametersOf(request);
    const shard = parameters.get("shard") ?? "";
    const isDraining = oneOf(parameters, "drain", ["true", "false"]) === "true";
    const known = coordinator.view().shards.map(({ instance }) => instance.id);
    if (!known.includes(shard))
      throw new AppError(
        "not-found",
        `cannot find shard ${JSON.stringify(shard)}: there ${known.length === 1 ? "is" : "are"} ${known.join(", ") || "none"}`,
      );
    if (coordinator.draining.has(shard) !== isDraining)
      await coordinator.setDraining(shard, isDraining, "the operator asked for it");
    return state();
  });
}
