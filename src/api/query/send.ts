import { Readable } from "node:stream";
import type { FastifyReply, FastifyRequest } from "fastify";
import { gzip } from "../../base/gzip.ts";
import { envelope } from "../server.ts";

/** Answers smaller than this are not worth compressing. */
const GZIP_MIN_BYTES = 1024;

/** An answer of more is sent as it is made. */
const WHOLE_MAX_BYTES = 64 * 1024;

/** Sends JSON pieces, which may be lent, as they are rendered, with backpressure, gzipped when the client takes it. */
export function sendPieces(
  request: FastifyRequest,
  reply: FastifyReply,
  pieces: Generator<Buffer>,
): FastifyReply {
  const first = nextOf(pieces);
  const all = startingWith(first, pieces);
  // Only a whole answer is so small.
  const isGzipped = first.length >= GZIP_MIN_BYTES && acceptsGzip(request);
  if (isGzipped) reply.header("Content-Encoding", "gzip").header("Vary", "Accept-Encoding");
  reply.type("application/json");
  const body = isGzipped ? gzip(all) : copiesOf(all);
  let begun: Buffer = Buffer.alloc(0);
  while (begun.length <= WHOLE_MAX_BYTES) {
    const piece = nextOf(body);
    // An answer of one piece needs no stream.
    if (piece.length === 0) return reply.send(begun);
    begun = begun.length === 0 ? piece : Buffer.concat([begun, piece]);
  }
  return reply.send(Readable.from(startingWith(begun, body), { objectMode: false }));
}

/** Empty at the end. */
function nextOf(pieces: Generator<Buffer>): Buffer {
  const next = pieces.next();
  return next.done === true ? Buffer.alloc(0) : next.value;
}

function* copiesOf(pieces: Generator<Buffer>): Generator<Buffer> {
  for (const piece of pieces) yield Buffer.from(piece);
}

function* startingWith(first: Buffer, rest: Generator<Buffer>): Generator<Buffer> {
  yield first;
  yield* rest;
}

/** Sends the success envelope around `data`. */
export function sendData(
  request: FastifyRequest,
  reply: FastifyReply,
  data: unknown,
  notes: { warnings?: readonly string[]; infos?: readonly string[] } = {},
): FastifyReply {
  const text = JSON.stringify(envelope(data, notes));
  if (text.length < GZIP_MIN_BYTES || !acceptsGzip(request))
    return reply.type("application/json").send(text);
  return sendPieces(
    request,
    reply,
    (function* () {
      yield Buffer.from(text);
    })(),
  );
}

function acceptsGzip(request: FastifyRequest): boolean {
  return /\bgzip\b(?!\s*;\s*q=0(?:\.0*)?(?:,|$))/.test(request.headers["accept-encoding"] ?? "");
}

/** The signal of `abort`, which the client aborts by leaving before its answer is complete. */
export function clientSignal(
  request: FastifyRequest,
  reply: FastifyReply,
  abort: AbortController = new AbortController(),
): AbortSignal {
  reply.raw.once("close", () => {
    if (!reply.raw.writableFinished) abort.abort();
  });
  if (request.raw.destroyed && !request.raw.complete) abort.abort();
  return abort.signal;
}
