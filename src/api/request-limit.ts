import type { FastifyReply, FastifyRequest } from "fastify";

/** How long a sender waits that came when too many were being served. */
const RETRY_AFTER_SECONDS = 1;

/**
 * A hook for `onRequest`: of the routes that share it, `maxRequests` are served at the same time, and further ones are
 * told to come again before their body is read, so that what is refused takes no memory.
 */
export function limitRequests(
  maxRequests: number,
): (request: FastifyRequest, reply: FastifyReply) => Promise<FastifyReply | undefined> {
  let running = 0;
  const counted = new WeakSet<object>();
  return async (request, reply) => {
    if (running >= maxRequests)
      return reply
        .code(503)
        .header("Retry-After", RETRY_AFTER_SECONDS)
        .type("text/plain; charset=utf-8")
        .send(`too many write requests at once: the limit is ${maxRequests}\n`);
    running++;
    counted.add(request);
    reply.raw.once("close", () => {
      if (counted.delete(request)) running--;
    });
    return undefined;
  };
}
