import type { FastifyRequest } from "fastify";
import { EPOCH_HEADER, parseEpoch } from "../shard/wire.ts";

/** The epoch of the coordinator that asks, when it has one. Throws `bad-data` for a header that is no number. */
export function epochOf(request: FastifyRequest): number | undefined {
  return parseEpoch(request.headers[EPOCH_HEADER]);
}
