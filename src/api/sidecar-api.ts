import { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { AppError } from "../base/errors.ts";
import type { PushedConfig, ShardRuntime } from "../shard/wire.ts";
import { READ_TIMEOUT_MS, type PrometheusClient } from "../sidecar/prometheus-client.ts";
import type { PrometheusEngine } from "../sidecar/prometheus-engine.ts";
import type { ProcessReport } from "../sidecar/prometheus-process.ts";
import { registerShardControl, type ShardControl } from "./shard-control.ts";

/** A sidecar's control API (docs/shard-api.md, docs/sidecar.md) and its façade in front of Prometheus. */
export interface SidecarApiOptions {
  readonly shard: ShardControl["shard"];
  readonly engine: PrometheusEngine;
  readonly client: PrometheusClient;
  /** How the sidecar's own Prometheus runs; undefined when others run it. */
  readonly process: (() => ProcessReport) | undefined;
  /** A coordinator has asked: there is still one. */
  readonly onContact: () => void;
  /** Takes, or in file mode compares, what the coordinator offers. */
  readonly offerConfig: (pushed: PushedConfig, epoch: number | undefined) => Promise<void>;
  /** The name under which a Kvass coordinator knows what runs here; undefined when none is in charge. */
  readonly kvassConfigHash: (() => Promise<string>) | undefined;
  /** The original configuration with its secrets hidden. */
  readonly configText: () => string;
}

export function registerSidecarApi(app: FastifyInstance, options: SidecarApiOptions): void {
  const { shard, engine } = options;
  app.addHook("onRequest", async (request, reply) => {
    if (pathOf(request) !== "/-/ready" || engine.isUp) return undefined;
    return reply.code(503).type("text/plain; charset=utf-8").send("Service Unavailable");
  });
  registerShardControl(app, {
    shard,
    onContact: options.onContact,
    async runtime(epoch) {
      // Kvass's coordinator has no epoch.
      const kvassHash = epoch === undefined ? await options.kvassConfigHash?.() : undefined;
      await refresh(options);
      return runtimeOf(options, kvassHash);
    },
    refresh: () => engine.refresh(),
    settled: () => engine.settled(),
    statistics: (query) => engine.statistics(query),
    setConfig: options.offerConfig,
    configText: options.configText,
  });
  registerFacade(app, options.client);
}

/** Rejects with what is wrong with Prometheus, so that the coordinator can say why the shard is lost. */
async function refresh({ engine, process }: SidecarApiOptions): Promise<void> {
  const report = process?.();
  if (report?.isOutOfMemoryLoop === true)
    throw new AppError(
      "unavailable",
      `Prometheus runs out of memory again and again (${report.outOfMemory} times): it gets no targets until it has run for a while`,
    );
  try {
    await engine.refresh();
  } catch (error) {
    const { state, error: reason } = engine.health;
    if (state === "starting" || state === "replaying") throw new AppError("unavailable", reason);
    throw error;
  }
}

/** A configuration that Prometheus does not run is not reported, so that the coordinator offers it again. */
function runtimeOf(
  { shard, engine, process }: SidecarApiOptions,
  kvassHash: string | undefined,
): ShardRuntime {
  const runtime = shard.runtime();
  const report = process?.();
  let lastGoodScrapeMs = 0;
  for (const { health, lastScrapeMs } of engine.status())
    if (health === "up") lastGoodScrapeMs = Math.max(lastGoodScrapeMs, lastScrapeMs);
  return {
    ...runtime,
    ...(kvassHash !== undefined && { configHash: kvassHash }),
    ...(engine.error !== undefined && { configHash: "" }),
    rssBytes: runtime.rssBytes + (report?.rssBytes ?? 0),
    prometheusState: engine.error?.code === "bad-data" ? "reload-failed" : "ready",
    prometheusRestarts: Math.max(engine.restarts, report?.restarts ?? 0),
    prometheusOutOfMemory: report?.outOfMemory ?? 0,
    lastGoodScrapeMs,
  };
}

/** What may be posted through to Prometheus: questions, nothing that changes it. */
const POST_PATHS = new Set([
  "/api/v1/query",
  "/api/v1/query_range",
  "/api/v1/query_exemplars",
  "/api/v1/format_query",
  "/api/v1/parse_query",
  "/api/v1/series",
  "/api/v1/labels",
  "/api/v1/read",
]);

/** Headers that pass; credentials and cookies are not among them. */
const REQUEST_HEADERS = [
  "accept",
  "accept-encoding",
  "content-type",
  "content-encoding",
  "x-prometheus-remote-read-version",
] as const;
const RESPONSE_HEADERS = [
  "content-type",
  "content-encoding",
  "cache-control",
  "etag",
  "last-modified",
  "location",
  "vary",
] as const;

/** Everything else goes to Prometheus, so that tools can use the sidecar's address for it. */
function registerFacade(app: FastifyInstance, client: PrometheusClient): void {
  app.route({
    method: ["GET", "POST"],
    url: "/*",
    handler: async (request, reply) => {
      const path = pathOf(request);
      const isAsked = request.method === "GET" || request.method === "HEAD";
      if ((!isAsked && !POST_PATHS.has(path)) || path.startsWith("/debug/"))
        return reply
          .code(405)
          .send({ status: "error", errorType: "bad_data", error: `${path} is not passed on` });
      return forward(request, reply, { client, path });
    },
  });
}

async function forward(
  request: FastifyRequest,
  reply: FastifyReply,
  { client, path }: { client: PrometheusClient; path: string },
): Promise<FastifyReply> {
  const query = request.url.indexOf("?");
  const headers: Record<string, string> = {};
  for (const name of REQUEST_HEADERS) {
    const value = request.headers[name];
    if (typeof value === "string") headers[name] = value;
  }
  const abort = new AbortController();
  reply.raw.once("close", () => abort.abort());
  const response = await client.request({
    method: request.method === "POST" ? "POST" : "GET",
    path: query < 0 ? path : path + request.url.slice(query),
    headers,
    ...(request.method === "POST" && { body: rawBody(request.body) }),
    timeoutMs: READ_TIMEOUT_MS,
    signal: abort.signal,
  });
  for (const name of RESPONSE_HEADERS) {
    const value = response.headers.get(name);
    if (value !== undefined) reply.header(name, value);
  }
  return reply.code(response.status).send(Readable.from(response.body));
}

/** The path as Prometheus will see it, dots resolved. */
function pathOf(request: FastifyRequest): string {
  const path = request.url.split("?", 1)[0]!;
  return URL.parse(`http://localhost${path}`)?.pathname ?? "/";
}

function rawBody(body: unknown): string | Uint8Array {
  if (typeof body === "string") return body;
  if (body instanceof URLSearchParams) return body.toString();
  return Buffer.isBuffer(body) ? body : "";
}
