import type { FastifyInstance } from "fastify";
import { request as httpRequest } from "undici";
import { AppError, messageOf } from "../base/errors.ts";
import type { Leadership } from "../shard/leadership.ts";

/** How long the leader may take to answer. */
const LEADER_TIMEOUT_MS = 5_000;

/** Marks a question that a standby has passed on, so that two that take each other for the leader do not loop. */
const FORWARDED_HEADER = "x-shoal-forwarded";

/** A standby knows nothing of shards and targets: it asks the leader, so that any coordinator may be asked. */
export function registerStandby(app: FastifyInstance, leadership: Leadership): void {
  app.addHook("onRequest", async (request, reply) => {
    if (!request.url.startsWith("/api/") || leadership.epoch !== undefined) return undefined;
    const { leaderUrl } = leadership;
    if (leaderUrl === undefined || request.headers[FORWARDED_HEADER] !== undefined)
      throw new AppError("unavailable", "no coordinator leads now: ask again in a few seconds");
    const url = `${leaderUrl.replace(/\/+$/, "")}${request.url}`;
    if (request.method !== "GET" && request.method !== "HEAD") return reply.redirect(url, 307);
    try {
      const answer = await httpRequest(url, {
        headers: { [FORWARDED_HEADER]: "1" },
        headersTimeout: LEADER_TIMEOUT_MS,
        bodyTimeout: LEADER_TIMEOUT_MS,
      });
      return await reply
        .code(answer.statusCode)
        .type(String(answer.headers["content-type"] ?? "application/json"))
        .send(answer.body);
    } catch (error) {
      throw new AppError("unavailable", `cannot ask the leading coordinator: ${messageOf(error)}`);
    }
  });
}
