import { once } from "node:events";
import type { IncomingMessage } from "node:http";
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from "fastify";
import { AppError, type ErrorCode, isDiskFull, messageOf, systemCode } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Registry } from "../base/metrics.ts";
import { listenerOf } from "../base/port-owner.ts";
import type { Service } from "../base/service.ts";
import { trackMethods } from "./allowed-methods.ts";
import { hasWholeEscapes, isMediaType, parseForm, parseMultipart } from "./form.ts";

/**
 * The HTTP server under every role: Prometheus's envelope and management endpoints (`/-/healthy`, `/-/ready`,
 * `/-/reload`, `/metrics`), form bodies equal to URL parameters, CORS, and errors mapped once from `AppError` codes.
 */
export interface HttpServerOptions {
  /** `host:port`, `:port` or `[v6]:port`; port 0 lets the system choose. */
  readonly listen: string;
  readonly logger: Logger;
  readonly registry: Registry;
  /** While false, everything but `/-/healthy`, `/metrics` and the page answers 503. */
  readonly ready: () => boolean;
  /** `POST /-/reload`; absent: answered 403 as when Prometheus's lifecycle API is off. */
  readonly reload?: (() => Promise<void>) | undefined;
  /** `POST /-/quit`. */
  readonly quit?: (() => void) | undefined;
  /** A regular expression is the operator's business (`--web.cors.origin`); default: every origin, as Prometheus. */
  readonly corsOrigin?: (origin: string) => boolean;
  /** Bytes of a request body that are read before it is refused. Default 10 MiB. */
  readonly bodyMaxBytes?: number;
}

export interface HttpServer extends Service {
  readonly app: FastifyInstance;
  /** `host:port` actually listened on; only after `start`. */
  address(): { host: string; port: number };
}

const DEFAULT_BODY_MAX_BYTES = 10 * 1024 * 1024;

/** Bytes of a request's line and headers, as Go's server takes them: a query in a URL may be long. */
const HEADER_MAX_BYTES = 1024 * 1024;

/** How long a stopping server waits for requests under way before it cuts their connections. */
const DRAIN_MS = 5_000;

/** So much of a body that is too large is read, and so long, before the answer that says so cuts the sender off. */
const TOO_LARGE_DRAIN_BYTES = 128 * 1024 * 1024;
const TOO_LARGE_DRAIN_MS = 10_000;

const ALWAYS_OPEN = new Set(["/-/healthy", "/metrics", "/-/ready", "/api/v1/status/walreplay"]);

export function createHttpServer(options: HttpServerOptions): HttpServer {
  const { logger, registry } = options;
  const app = Fastify({
    bodyLimit: options.bodyMaxBytes ?? DEFAULT_BODY_MAX_BYTES,
    routerOptions: { maxParamLength: 16_384, ignoreTrailingSlash: true },
    forceCloseConnections: true,
    http: { maxHeaderSize: HEADER_MAX_BYTES },
    // As Prometheus: nobody evaluates a query for its headers.
    exposeHeadRoutes: false,
    frameworkErrors: (error, request, reply) => {
      if (error.code === "FST_ERR_BAD_URL") refusePath(reply, request.url, logger);
      else sendError(reply, error, logger);
    },
  });
  const methodsOf = trackMethods(app);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    "application/x-www-form-urlencoded",
    { parseAs: "string" },
    (_request, body, done) => done(null, parseForm(String(body))),
  );
  app.addContentTypeParser(
    "multipart/form-data",
    { parseAs: "buffer" },
    async (request: FastifyRequest, body: Buffer<ArrayBuffer>) =>
      parseMultipart(body, request.headers["content-type"] ?? ""),
  );
  app.addContentTypeParser("application/json", { parseAs: "string" }, (_request, body, done) =>
    done(null, String(body)),
  );
  app.addContentTypeParser("*", { parseAs: "buffer" }, (_request, body, done) => done(null, body));

  const requests = new Map<string, ReturnType<Registry["counter"]>>();
  app.addHook("onRequest", async (request, reply) => {
    const origin = request.headers.origin;
    if (origin !== undefined && (options.corsOrigin?.(origin) ?? true)) {
      reply.header("Access-Control-Allow-Origin", origin).header("Vary", "Origin");
      reply.header("Access-Control-Allow-Headers", "Accept, Authorization, Content-Type, Origin");
      reply.header("Access-Control-Allow-Methods", "GET, POST, OPTIONS");
      reply.header("Access-Control-Expose-Headers", "Date");
    }
    reply.header("X-Content-Type-Options", "nosniff");
    // A body of a type that is none is not looked at.
    const type = request.headers["content-type"];
    if (type !== undefined && !isMediaType(type)) delete request.headers["content-type"];
    if (request.method === "OPTIONS") return reply.code(204).send();
    const path = request.url.split("?", 1)[0]!;
    if (!options.ready() && path.startsWith("/api/") && !ALWAYS_OPEN.has(path))
      return reply
        .code(503)
        .header("X-Prometheus-Stopping", "false")
        .type("text/plain; charset=utf-8")
        .send("Service Unavailable");
    return undefined;
  });
  app.addHook("onResponse", async (request, reply) => {
    const handler = request.routeOptions.url ?? "none";
    const key = `${handler} ${reply.statusCode}`;
    let counter = requests.get(key);
    if (counter === undefined)
      requests.set(
        key,
        (counter = registry.counter("prometheus_http_requests_total", "Counter of HTTP requests.", {
          handler,
          code: String(reply.statusCode),
        })),
      );
    counter.inc();
  });
  app.addHook("onSend", (_request, reply, payload, done) => {
    // JSON is UTF-8: Prometheus does not say so, and no charset is registered for it.
    if (reply.getHeader("content-type") === "application/json; charset=utf-8")
      reply.header("content-type", "application/json");
    done(null, payload);
  });
  app.setErrorHandler(async (error, request, reply) => {
    if (isTooLarge(error)) {
      await drain(request.raw);
      reply.header("Connection", "close");
    }
    return sendError(reply, error, logger);
  });
  app.setNotFoundHandler(async (request, reply) => {
    const methods = methodsOf(request.url.split("?", 1)[0]!);
    reply.type("text/plain; charset=utf-8");
    if (methods.length === 0) return reply.code(404).send("404 page not found\n");
    reply.header("Allow", [...methods, "OPTIONS"].sort().join(", "));
    return reply.code(405).send("Method Not Allowed\n");
  });

  const text = (reply: FastifyReply, code: number, body: string): FastifyReply =>
    reply.code(code).type("text/plain; charset=utf-8").send(body);
  app.route({
    method: ["GET", "HEAD"],
    url: "/-/healthy",
    handler: async (_request, reply) => text(reply, 200, "Prometheus Server is Healthy.\n"),
  });
  app.route({
    method: ["GET", "HEAD"],
    url: "/-/ready",
    handler: async (_request, reply) =>
      options.ready()
        ? text(reply, 200, "Prometheus Server is Ready.\n")
        : text(reply, 503, "Service Unavailable"),
  });
  app.get("/metrics", async (_request, reply) =>
    reply.type("text/plain; version=0.0.4; charset=utf-8").send(registry.expose()),
  );
  app.route({
    method: ["GET", "POST", "PUT"],
    url: "/-/reload",
    handler: async (request, reply) => {
      if (request.method === "GET")
        return text(reply.header("Allow", "POST, PUT"), 405, "Only POST or PUT requests allowed");
      if (options.reload === undefined) return text(reply, 403, "Lifecycle API is not enabled.");
      try {
        await options.reload();
        return text(reply, 200, "");
      } catch (error) {
        return text(reply, 500, `failed to reload config: ${messageOf(error)}\n`);
      }
    },
  });
  app.route({
    method: ["GET", "POST", "PUT"],
    url: "/-/quit",
    handler: async (request, reply) => {
      if (request.method === "GET")
        return text(reply.header("Allow", "POST, PUT"), 405, "Only POST or PUT requests allowed");
      if (options.quit === undefined) return text(reply, 403, "Lifecycle API is not enabled.");
      setImmediate(options.quit);
      return text(reply, 200, "Requesting termination... Goodbye!");
    },
  });

  let bound: { host: string; port: number } | undefined;
  return {
    name: "http",
    app,
    address() {
      if (bound === undefined)
        throw new Error("BUG: the HTTP server's address is asked for before it listens");
      return bound;
    },
    async start() {
      bound = await listen(app, options.listen);
      logger.info("listening", { address: `${bound.host}:${bound.port}` });
    },
    async stop() {
      const timer = setTimeout(() => app.server.closeAllConnections(), DRAIN_MS);
      app.server.closeIdleConnections();
      await app.close();
      clearTimeout(timer);
    },
  };
}

/** Splits `host:port`; an empty host means every interface, as Prometheus reads `:9090`. */
export function parseListenAddress(listen: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d+)$/.exec(listen);
  const port = Number(match?.[3]);
  if (match === null || port > 65_535)
    throw new AppError(
      "bad-data",
      `cannot listen on ${JSON.stringify(listen)}: write it as host:port, like 127.0.0.1:9090`,
    );
  return { host: match[1] ?? (match[2] === "" ? "::" : match[2]!), port };
}

/** `host:port` as it is written in URLs. */
export function addressText({ host, port }: { host: string; port: number }): string {
  return `${host.includes(":") && !host.startsWith("[") ? `[${host}]` : host}:${port}`;
}

async function listen(
  app: FastifyInstance,
  address: string,
): Promise<{ host: string; port: number }> {
  const wanted = parseListenAddress(address);
  await app.ready();
  app.server.listen(wanted);
  try {
    await once(app.server, "listening");
  } catch (error) {
    if (systemCode(error) !== "EADDRINUSE")
      throw new AppError("unavailable", `cannot listen on ${address}: ${messageOf(error)}`, {
        cause: error,
      });
    const owner = await listenerOf(wanted.port);
    throw new AppError(
      "already-exists",
      `cannot listen on ${address}: the port is in use by ${owner ?? "another process"}; stop it or choose another --web.listen-address`,
      { cause: error },
    );
  }
  const bound = app.server.address();
  if (bound === null || typeof bound === "string")
    throw new Error("BUG: a TCP server has an address");
  return { host: bound.address === "::" ? "[::]" : bound.address, port: bound.port };
}

/** Prometheus's error types and their HTTP codes. */
const ENVELOPE: Record<ErrorCode, { type: string; status: number }> = {
  "bad-data": { type: "bad_data", status: 400 },
  execution: { type: "execution", status: 422 },
  refused: { type: "execution", status: 422 },
  forbidden: { type: "forbidden", status: 403 },
  "not-found": { type: "not_found", status: 404 },
  "not-acceptable": { type: "not_acceptable", status: 406 },
  "already-exists": { type: "bad_data", status: 409 },
  "resource-exhausted": { type: "execution", status: 422 },
  timeout: { type: "timeout", status: 503 },
  canceled: { type: "canceled", status: 499 },
  outdated: { type: "outdated", status: 409 },
  unavailable: { type: "unavailable", status: 503 },
  corrupt: { type: "internal", status: 500 },
  internal: { type: "internal", status: 500 },
};

function isTooLarge(thrown: unknown): boolean {
  return thrown instanceof Error && "statusCode" in thrown && thrown.statusCode === 413;
}

/** Reads on, for nothing, what a client still sends: many look at no answer before their body is out. */
async function drain(body: IncomingMessage): Promise<void> {
  let size = 0;
  const ended = Promise.withResolvers<void>();
  const timer = setTimeout(ended.resolve, TOO_LARGE_DRAIN_MS);
  body.on("data", (part: Buffer) => {
    size += part.length;
    if (size > TOO_LARGE_DRAIN_BYTES) ended.resolve();
  });
  for (const event of ["end", "close", "error"]) body.once(event, () => ended.resolve());
  body.resume();
  if (body.readableEnded || body.destroyed) ended.resolve();
  await ended.promise;
  clearTimeout(timer);
}

function sendError(reply: FastifyReply, thrown: unknown, logger: Logger): FastifyReply {
  // Fastify's own refusals (body too large, bad media type) carry their HTTP status.
  const status =
    thrown instanceof Error && "statusCode" in thrown && typeof thrown.statusCode === "number"
      ? thrown.statusCode
      : undefined;
  if (status !== undefined && !(thrown instanceof AppError))
    return reply
      .code(status)
      .type("application/json")
      .send(JSON.stringify({ status: "error", errorType: "bad_data", error: messageOf(thrown) }));
  // What a role keeps of what it is told has no room; that there is none is told by whoever stores samples.
  const error =
    isDiskFull(thrown) && !(thrown instanceof AppError)
      ? new AppError("unavailable", `cannot keep it: the disk is full (${systemCode(thrown)})`)
      : AppError.from(thrown);
  const { type, status: code } = ENVELOPE[error.code];
  if (error.code === "internal")
    logger.error("request failed", {
      error: error.message,
      stack: error.cause instanceof Error ? error.cause.stack : error.stack,
    });
  return reply
    .code(code)
    .type("application/json")
    .send(
      // Halves of pairs stand for bytes that are no UTF-8.
      JSON.stringify({ status: "error", errorType: type, error: error.message.toWellFormed() }),
    );
}

/** A path that cannot be decoded is no path of ours, or holds a name that is no text. */
function refusePath(reply: FastifyReply, url: string, logger: Logger): FastifyReply {
  if (!hasWholeEscapes(url))
    return reply.code(400).type("text/plain; charset=utf-8").send("400 Bad Request");
  const path = JSON.stringify(url.split("?", 1)[0]);
  return sendError(
    reply,
    new AppError("bad-data", `cannot read the path ${path}: it is no UTF-8`),
    logger,
  );
}

/** The success envelope around already rendered or plain data; empty warnings and infos are left out, as in Prometheus. */
export function envelope(
  data: unknown,
  notes: { warnings?: readonly string[]; infos?: readonly string[] } = {},
): Record<string, unknown> {
  return {
    status: "success",
    data,
    ...(notes.warnings !== undefined && notes.warnings.length > 0 && { warnings: notes.warnings }),
    ...(notes.infos !== undefined && notes.infos.length > 0 && { infos: notes.infos }),
  };
}

/**
 * URL parameters and form body of a request as one list, as Go has them: a form's come first, but those of a multipart form
 * last, without its files.
 */
export function parametersOf(request: FastifyRequest): URLSearchParams {
  const query = request.url.indexOf("?");
  const parameters =
    request.body instanceof URLSearchParams
      ? new URLSearchParams(request.body)
      : new URLSearchParams();
  if (query >= 0)
    for (const [name, value] of parseForm(request.url.slice(query + 1)))
      parameters.append(name, value);
  if (request.body instanceof FormData)
    for (const [name, value] of request.body)
      if (typeof value === "string") parameters.append(name, value);
  return parameters;
}
