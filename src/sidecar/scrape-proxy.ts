import type { Clock } from "../base/clock.ts";
import { AppError, messageOf, systemCode } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Counter, Registry } from "../base/metrics.ts";
import { listenerOf } from "../base/port-owner.ts";
import { type Random, randomInt } from "../base/random.ts";
import type { Service } from "../base/service.ts";
import type { HttpClientConfig } from "../config/types.ts";
import type { HttpClient, HttpResponse } from "../http/client.ts";
import type { PlainHead } from "../http/plain-head.ts";
import { type PlainReply, PlainServer } from "../http/plain-server.ts";
import { BodyPool } from "../scrape/buffers.ts";
import { BodyCollector, isPacking } from "../scrape/read-body.ts";
import { ScanScratch } from "../scrape/scan-scratch.ts";
import type { TargetStatus } from "../scrape/scrape-loop.ts";
import type { ScrapeUpdate } from "../scrape/scrape-manager.ts";
import type { PassedBody } from "./body-counter.ts";
import type { ProxiedTarget } from "./proxied-target.ts";
import { ProxyTargets } from "./proxy-targets.ts";

/**
 * The way of scraping that Kvass has, for agents which are not Prometheus: they ask this proxy, and it asks the target as
 * the job is configured. It serves the targets that are assigned here and nothing else; where a request goes is never
 * taken from the request.
 *
 *     agent ── GET http://host/metrics?_hash=… ──► proxy ── job's TLS, credentials, proxy ──► target
 *           ◄──────────── the bytes as they are ────────┘  └─► counted when they are on their way
 *
 * A body is passed on when it is complete: one that breaks off is an error to the agent too, with its reason.
 */
export interface ScrapeProxyOptions {
  readonly listen: { readonly host: string; readonly port: number };
  readonly createClient: (config: HttpClientConfig) => HttpClient;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly registry: Registry;
}

/** Idle connections outlive most scrape intervals, and those that agents keep: they are the ones to close them. */
const KEEP_ALIVE_MS = 360_000;
/** How long a request's head may take to arrive. */
const HEAD_TIMEOUT_MS = 10_000;
/** How much of a target's refusal is passed on. */
const REFUSAL_MAX_BYTES = 1 << 16;

const FORWARDED_HEADERS = [
  "accept",
  "accept-encoding",
  "user-agent",
  "x-prometheus-scrape-timeout-seconds",
] as const;

export class ScrapeProxy implements Service {
  readonly name = "scrape proxy";
  readonly #options: ScrapeProxyOptions;
  readonly #bodies = new BodyPool();
  readonly #targets: ProxyTargets;
  readonly #server: PlainServer;
  readonly #outcomes: Readonly<Record<"passed" | "failed" | "refused", Counter>>;
  #stopReason = "";
  #lastScrapeMs = 0;

  constructor(options: ScrapeProxyOptions) {
    const { clock, logger, random, registry, createClient } = options;
    this.#options = options;
    this.#targets = new ProxyTargets(
      {
        scratch: new ScanScratch(randomInt(random, 2 ** 31)),
        bodies: this.#bodies,
        now: () => clock.now(),
      },
      { createClient, clock, logger },
    );
    this.#server = new PlainServer({
      headTimeoutMs: HEAD_TIMEOUT_MS,
      idleTimeoutMs: KEEP_ALIVE_MS,
      onRequest: (head, reply) => void this.#serve(head, reply),
    });
    const outcome = (name: string): Counter =>
      registry.counter("shoal_sidecar_proxy_requests_total", "Scrapes through the proxy.", {
        outcome: name,
      });
    this.#outcomes = {
      passed: outcome("passed"),
      failed: outcome("failed"),
      refused: outcome("refused"),
    };
  }

  async start(): Promise<void> {
    const { listen, logger } = this.#options;
    try {
      await this.#server.listen(listen);
    } catch (error) {
      const where = `${listen.host}:${listen.port}`;
      if (systemCode(error) !== "EADDRINUSE")
        throw new AppError("unavailable", `cannot listen on ${where}: ${messageOf(error)}`);
      const owner = (await listenerOf(listen.port)) ?? "another process";
      throw new AppError(
        "already-exists",
        `cannot listen on ${where}: the port is in use by ${owner}; stop it or choose another --web.proxy-addr`,
      );
    }
    logger.info("scrape proxy is listening", this.address());
  }

  async stop(): Promise<void> {
    await this.#server.close();
    await this.#targets.close();
  }

  address(): { host: string; port: number } {
    return this.#server.address();
  }

  apply(update: ScrapeUpdate): void {
    this.#targets.apply(update);
  }

  /** The emergency switch: while there is a reason, every scrape is answered with it. */
  stopScraping(reason: string): void {
    this.#stopReason = reason;
  }

  statuses(): TargetStatus[] {
    return Array.from(this.#targets, (target) => target.status());
  }

  /** For statistics. */
  get targets(): Iterable<ProxiedTarget> {
    return this.#targets;
  }

  /** When an agent last asked, ms; 0 for never. */
  get lastScrapeMs(): number {
    return this.#lastScrapeMs;
  }

  /** Never rejects. */
  async #serve(head: PlainHead, reply: PlainReply): Promise<void> {
    if (head.method !== "GET") {
      // What follows a CONNECT is no request.
      this.#refuse(reply, 405, "the proxy serves GET requests only", true);
      return;
    }
    const found = this.#targets.find(head.target, head.headers.get("host"));
    if (found.kind === "refused") {
      this.#refuse(reply, 403, found.reason);
      return;
    }
    const { clock } = this.#options;
    const { target } = found;
    const startedMs = (this.#lastScrapeMs = clock.now());
    if (this.#stopReason !== "") {
      this.#refuse(reply, 503, this.#stopReason);
      return;
    }
    const { refusal } = target.target;
    if (refusal !== undefined) {
      this.#refuse(reply, 503, refusal);
      const error = new AppError("resource-exhausted", refusal);
      await target.passed({ startedMs, durationMs: 0, error }, undefined);
      return;
    }
    const started = clock.monotonic();
    const result = await this.#scrape(target, head, reply);
    const { error, body } = result;
    this.#outcomes[error === undefined ? "passed" : "failed"].inc();
    if (error !== undefined)
      this.#options.logger.debug("Scrape failed", { target: target.target.url, error });
    await target.passed({ startedMs, durationMs: clock.monotonic() - started, error }, body);
  }

  /** Asks the target and answers the request; resolves when the answer has been sent, as far as it could be. */
  async #scrape(
    target: ProxiedTarget,
    head: PlainHead,
    reply: PlainReply,
  ): Promise<{ error: AppError | undefined; body: PassedBody | undefined }> {
    const abort = new AbortController();
    // The agent has given up: nobody needs the target's answer any more.
    reply.onGone(() => abort.abort(new Error("the scraper gave up")));
    const { config, job } = target;
    const sink = new BodyCollector({
      pool: this.#bodies,
      limit: config.bodySizeLimit,
      expected: target.expectedBytes,
    });
    try {
      const answer = await job.client.request({
        url: target.target.url,
        headers: forwardedHeaders(head),
        timeoutMs: target.target.timeoutMs,
        signal: abort.signal,
        sink,
      });
      if (answer.status !== 200) {
        await passRefusal(answer, reply);
        const error = `server returned HTTP status ${answer.status} ${answer.statusText}`.trimEnd();
        return { error: new AppError("unavailable", error), body: undefined };
      }
      return { error: undefined, body: await passBody(answer, sink, reply) };
    } catch (thrown) {
      sink.discard();
      const error = AppError.from(thrown, "unavailable");
      await answerText(reply, error.code === "timeout" ? 504 : 502, error.message);
      return { error, body: undefined };
    }
  }

  #refuse(reply: PlainReply, status: number, reason: string, closes = false): void {
    this.#outcomes.refused.inc();
    void answerText(reply, status, reason, closes);
  }
}

function forwardedHeaders({ headers }: PlainHead): Record<string, string> {
  const forwarded: Record<string, string> = {};
  for (const name of FORWARDED_HEADERS) {
    const value = headers.get(name);
    if (value !== undefined) forwarded[name] = value;
  }
  return forwarded;
}

/** Sends the whole body; its buffer may be used again when this resolves. */
async function passBody(
  answer: HttpResponse,
  sink: BodyCollector,
  reply: PlainReply,
): Promise<PassedBody> {
  // Nothing is left here unless the client knows no sinks.
  let isFirst = true;
  for await (const piece of answer.body) {
    if (isFirst) sink.start(answer.headers);
    isFirst = false;
    sink.write(piece);
  }
  const { bytes, length } = sink.take();
  const contentType = answer.headers.get("content-type");
  const encoding = answer.headers.get("content-encoding")?.toLowerCase();
  const headers: string[] = [];
  if (contentType !== undefined) headers.push("Content-Type", contentType);
  if (encoding !== undefined) headers.push("Content-Encoding", encoding);
  await reply.send({ status: 200, headers, body: bytes.subarray(0, length) });
  const packing = encoding !== undefined && isPacking(encoding) ? encoding : undefined;
  return { bytes, length, contentType, packing };
}

/** The target's own status, so that the agent can say what is wrong. */
async function passRefusal(answer: HttpResponse, reply: PlainReply): Promise<void> {
  const pieces: Uint8Array[] = [];
  let size = 0;
  try {
    for await (const piece of answer.body) {
      size += piece.length;
      if (size > REFUSAL_MAX_BYTES) break;
      pieces.push(piece);
    }
  } catch {
    // The status says enough.
  }
  const isPlain = answer.headers.get("content-encoding") === undefined;
  // 1xx never comes here; a redirect that the job does not follow must not be followed by the agent either.
  const status = answer.status >= 300 && answer.status < 400 ? 502 : answer.status;
  await answerText(
    reply,
    status,
    isPlain ? Buffer.concat(pieces).toString("utf8") : `the target answered ${answer.status}`,
  );
}

function answerText(
  reply: PlainReply,
  status: number,
  text: string,
  closes = false,
): Promise<void> {
  return reply.send({
    status,
    headers: ["Content-Type", "text/plain; charset=utf-8", "X-Content-Type-Options", "nosniff"],
    body: Buffer.from(`${text}\n`),
    closes,
  });
}
