import type { FastifyRequest } from "fastify";
import { AppError } from "../base/errors.ts";

/**
 * Refuses a request that a page of another site makes a browser send. A browser says where a request comes from; other
 * clients say nothing and pass.
 */
export function checkSameOrigin(request: FastifyRequest): void {
  const { origin, host } = request.headers;
  const site = request.headers["sec-fetch-site"];
  const isForeign = typeof site === "string" && site !== "same-origin" && site !== "none";
  const originHost = origin === undefined ? host : (URL.parse(origin)?.host ?? "");
  if (isForeign || originHost !== host)
    throw new AppError("forbidden", "refused: the request comes from a page of another site");
}
