import type { FastifyReply } from "fastify";
import { AppError, type ErrorCode } from "../base/errors.ts";

/** How long a sender waits whose samples the storage could not take: a full disk seldom has space at once. */
const RETRY_AFTER_SECONDS = 5;

/** What a storage rejects with when the same samples may be taken later. */
const PASSING: ReadonlySet<ErrorCode> = new Set(["resource-exhausted", "unavailable", "timeout"]);

/**
 * Tells a sender to come again (503) when the storage could not take its samples: the disk is full or fails, a limit of
 * series is reached. Senders throw away what is answered with 4xx. Throws all other errors.
 */
export function tellToComeAgain(reply: FastifyReply, thrown: unknown): FastifyReply {
  if (!(thrown instanceof AppError) || !PASSING.has(thrown.code)) throw thrown;
  return reply
    .code(503)
    .header("Retry-After", RETRY_AFTER_SECONDS)
    .type("text/plain; charset=utf-8")
    .send(`${thrown.message}\n`);
}
