import type { FastifyInstance, FastifyRequest } from "fastify";
import { AppError } from "../../base/errors.ts";
import { decodeStop, encodeStop, parseJson, timeText } from "../../shard/wire.ts";
import { checkSameOrigin } from "../same-origin.ts";
import { envelope, parametersOf } from "../server.ts";
import type { CoordinatorApiOptions } from "./dependencies.ts";
import { ADMIN_OFF } from "./drain.ts";

/** Kvass's path for the emergency switch. */
export const STOP_PATH = "/api/v1/status/extra_config";

/**
 * `POST /api/v1/status/extra_config` with `{"stopScrapeReason": "why"}`: no shard scrapes anything, until `""` is
 * posted. GET tells what holds, as Kvass does in `json`, and which shards do not know yet.
 */
export function registerStop(
  app: FastifyInstance,
  { coordinator, adminApi }: CoordinatorApiOptions,
): void {
  const state = (): unknown => {
    const { order, pending } = coordinator.stopState();
    return envelope({
      ...encodeStop(order?.reason ?? ""),
      since: timeText(order?.sinceMs ?? 0),
      pending,
      enabled: adminApi,
      reason: adminApi ? "" : ADMIN_OFF,
    });
  };
  app.get(STOP_PATH, async () => state());
  app.post(STOP_PATH, async (request) => {
    checkSameOrigin(request);
    if (!adminApi) throw new AppError("forbidden", ADMIN_OFF);
    const reason = stopReasonIn(request);
    if (reason !== (coordinator.stopState().order?.reason ?? ""))
      await coordinator.stopScraping(reason);
    return state();
  });
}

/** From JSON, or a parameter. Throws `bad-data`. */
export function stopReasonIn(request: FastifyRequest): string {
  const { body } = request;
  const isJson = typeof body === "string" || Buffer.isBuffer(body);
  const said: unknown = isJson
    ? parseJson(body.toString("utf8"))
    : { stopScrapeReason: parametersOf(request).get("stopScrapeReason") };
  if (
    !isJson &&
    body instanceof URLSearchParams &&
    [...body.keys()].some((key) => /^\s*\{/.test(key))
  )
    throw new AppError(
      "bad-data",
      "cannot read the body: send JSON as Content-Type: application/json",
    );
  return decodeStop(said).reason;
}
