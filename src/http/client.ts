import type { Dispatcher } from "undici";
import { systemClock, type Clock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import type { HttpClientConfig } from "../config/types.ts";
import {
  basicAuthorization,
  createCredentials,
  type Credentials,
  type OutgoingHeaders,
} from "./credentials.ts";
import { Deadline } from "./deadline.ts";
import { Dispatchers, type RequestPool } from "./dispatchers.ts";
import { type BodySink, Exchange, headerOf, type ResponseHead, SinkFailure } from "./exchange.ts";
import { isConnectionLoss, requestFailure } from "./failure.ts";
import { TokenSource } from "./oauth2.ts";
import type { Environment } from "./proxy.ts";
import { drain } from "./read-body.ts";
import { SecretFiles, type ReadFile } from "./secret-files.ts";

/** Go's limit: the tenth answer that redirects is an error. */
const MAX_REDIRECTS = 10;
const REDIRECT_BODY_MAX_BYTES = 1 << 16;
const CREDENTIAL_FILE_MAX_AGE_MS = 1000;

export interface HttpRequest {
  /** Absolute, http or https. User information in it becomes basic auth when nothing else gives credentials. */
  readonly url: string;
  /** Default GET. */
  readonly method?: Dispatcher.HttpMethod;
  /** `authorization` and `cookie` given here stay with the first host, like the configuration's credentials. */
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: string | Uint8Array;
  readonly signal?: AbortSignal;
  /**
   * Takes the body of an answer with status 200 as it arrives: `request` then resolves when the last byte is there, and
   * the response's `body` is empty. Other answers have their body as always. The fastest way to read a body.
   */
  readonly sink?: BodySink;
  /** For the whole request: connecting, redirects, and the body to its last byte. */
  readonly timeoutMs: number;
}

export interface HttpResponse {
  readonly status: number;
  /** The reason phrase, "" over HTTP/2. */
  readonly statusText: string;
  /** Header lookup in any case; several values of one header are joined by ", ". */
  readonly headers: { get(name: string): string | undefined };
  /**
   * The bytes as sent, not decompressed; read it once. Rejects with `timeout`, `canceled` or `unavailable`. Leaving the
   * loop early gives the connection up. A body that is never read is given up at the deadline.
   */
  readonly body: AsyncIterable<Uint8Array>;
  /** The URL that answered, after redirects. */
  readonly finalUrl: string;
}

/** Speaks HTTP as one `HttpClientConfig` says; keeps connections open between requests. */
export interface HttpClient {
  /** Any status resolves. Rejects with AppError `timeout`, `canceled`, or `unavailable` in Prometheus's words. */
  request(request: HttpRequest): Promise<HttpResponse>;
  /** Ends all connections; requests under way fail. */
  close(): Promise<void>;
}

export interface HttpClientOptions {
  readonly userAgent: string;
  /** Connections at once to one host. Default: no limit (a scrape pool asks each target one thing at a time). */
  readonly maxConnections?: number;
  /** Whether connections are used again. Default true. */
  readonly keepAlive?: boolean;
  /** How credential and certificate files are read. Default: from disk. */
  readonly readFile?: ReadFile;
  /** How long a credential or certificate file's text is used before it is read again. Default 1000. */
  readonly fileMaxAgeMs?: number;
  /** Where `proxy_from_environment` looks. Default: the process's environment. */
  readonly environment?: Environment;
  readonly clock?: Clock;
}

export function createHttpClient(config: HttpClientConfig, options: HttpClientOptions): HttpClient {
  const clock = options.clock ?? systemClock;
  const files = new SecretFiles({
    readFile: options.readFile,
    maxAgeMs: options.fileMaxAgeMs ?? CREDENTIAL_FILE_MAX_AGE_MS,
    clock,
  });
  const { oauth2 } = config;
  return new PooledClient({
    userAgent: options.userAgent,
    followRedirects: config.followRedirects,
    clock,
    credentials: createCredentials(config, files),
    dispatchers: new Dispatchers(config, {
      files,
      maxConnections: options.maxConnections,
      keepAlive: options.keepAlive ?? true,
      environment: options.environment ?? process.env,
    }),
    tokens:
      oauth2 === undefined
        ? undefined
        : new TokenSource(oauth2, {
            client: createHttpClient(tokenClientConfig(config, oauth2), options),
            files,
            clock,
          }),
  });
}

/** The token server is reached with its own TLS and proxy settings and none of the client's credentials. */
function tokenClientConfig(
  config: HttpClientConfig,
  oauth2: NonNullable<HttpClientConfig["oauth2"]>,
): HttpClientConfig {
  return {
    ...config,
    basicAuth: undefined,
    authorization: undefined,
    oauth2: undefined,
    headers: {},
    tls: oauth2.tls,
    proxy: oauth2.proxy,
  };
}

interface ClientParts {
  readonly userAgent: string;
  readonly followRedirects: boolean;
  readonly clock: Clock;
  readonly credentials: Credentials;
  readonly dispatchers: Dispatchers;
  readonly tokens: TokenSource | undefined;
}

/** One step of a request: what is sent to `url`, and whether that is still the host the credentials are for. */
interface Hop {
  readonly url: URL;
  readonly method: Dispatcher.HttpMethod;
  readonly headers: OutgoingHeaders;
  readonly body: string | Uint8Array | undefined;
  readonly trusted: boolean;
}

interface Answer {
  readonly head: ResponseHead;
  readonly exchange: Exchange;
}

class PooledClient implements HttpClient {
  readonly #parts: ClientParts;

  constructor(parts: ClientParts) {
    this.#parts = parts;
  }

  async request(request: HttpRequest): Promise<HttpResponse> {
    const { clock } = this.#parts;
    let hop = this.#firstHop(request);
    const deadline = new Deadline({ timeoutMs: request.timeoutMs, signal: request.signal, clock });
    try {
      checkScheme(hop.url);
      for (let answers = 1; ; answers++) {
        const answer = await this.#authorized(hop, { deadline, request });
        const next = this.#parts.followRedirects ? redirect(hop, answer.head) : undefined;
        if (next === undefined) {
          answer.exchange.onDone(() => deadline.release());
          if (answer.exchange.isSinking) await answer.exchange.finished();
          return response(hop, answer);
        }
        await drain(answer.exchange, REDIRECT_BODY_MAX_BYTES);
        hop = next;
        if (answers >= MAX_REDIRECTS)
          throw new AppError("unavailable", `stopped after ${MAX_REDIRECTS} redirects`);
      }
    } catch (error) {
      deadline.release();
      throw error instanceof SinkFailure ? error.cause : requestFailure(hop, error);
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#parts.dispatchers.close(), this.#parts.tokens?.close()]);
  }

  #firstHop(request: HttpRequest): Hop {
    const url = URL.parse(request.url);
    if (url === null)
      throw new AppError("bad-data", `cannot parse URL ${JSON.stringify(request.url)}`);
    const headers: OutgoingHeaders = { "user-agent": this.#parts.userAgent };
    if (request.headers !== undefined)
      for (const [name, value] of Object.entries(request.headers))
        headers[name.toLowerCase()] = typeof value === "string" ? value : [...value];
    return {
      url,
      method: request.method ?? "GET",
      headers,
      body: request.body,
      trusted: true,
    };
  }

  /** Sends `hop`; when a server refuses an OAuth 2 token, once more with a new one. */
  async #authorized(
    hop: Hop,
    options: { deadline: Deadline; request: HttpRequest },
  ): Promise<Answer> {
    const { deadline } = options;
    const { timeoutMs, sink } = options.request;
    const { credentials, tokens } = this.#parts;
    if (!hop.trusted) return this.#send(hop, { headers: hop.headers, deadline, sink });
    const found = credentials.headers();
    const secret = found instanceof Promise ? await deadline.race(found) : found;
    const headers = mergeCredentials(hop, secret);
    if (tokens === undefined) return this.#send(hop, { headers, deadline, sink });
    const token = await deadline.race(tokens.header(timeoutMs));
    const answer = await this.#send(hop, {
      headers: { ...headers, authorization: token },
      deadline,
      sink,
    });
    if (answer.head.status !== 401) return answer;
    tokens.invalidate(token);
    await drain(answer.exchange, REDIRECT_BODY_MAX_BYTES);
    const renewed = await deadline.race(tokens.header(timeoutMs));
    return this.#send(hop, { headers: { ...headers, authorization: renewed }, deadline, sink });
  }

  /** Sends once, or twice when an idempotent request met a kept connection that the server was just closing. */
  async #send(hop: Hop, options: SendOptions): Promise<Answer> {
    const chosen = this.#parts.dispatchers.select(hop.url);
    const pool = chosen instanceof Promise ? await options.deadline.race(chosen) : chosen;
    try {
      return await exchange(pool, hop, options);
    } catch (error) {
      if (!isConnectionLoss(error) || (hop.method !== "GET" && hop.method !== "HEAD")) throw error;
      return exchange(pool, hop, options);
    }
  }
}

interface SendOptions {
  readonly headers: OutgoingHeaders;
  readonly deadline: Deadline;
  readonly sink: BodySink | undefined;
}

async function exchange(pool: RequestPool, hop: Hop, options: SendOptions): Promise<Answer> {
  const { headers, deadline, sink } = options;
  const running = new Exchange(sink);
  deadline.attach(running);
  pool.dispatch(
    {
      origin: hop.url.origin,
      path: hop.url.pathname + hop.url.search,
      method: hop.method,
      headers,
      body: hop.body ?? null,
    },
    running,
  );
  return { head: await running.head, exchange: running };
}

function mergeCredentials(hop: Hop, secret: OutgoingHeaders): OutgoingHeaders {
  const headers = { ...hop.headers, ...secret };
  const own = hop.headers["authorization"];
  if (own !== undefined) headers["authorization"] = own;
  else if (hop.url.username !== "" && headers["authorization"] === undefined)
    headers["authorization"] = basicAuthorization(
      decodeURIComponent(hop.url.username),
      decodeURIComponent(hop.url.password),
    );
  return headers;
}

function checkScheme(url: URL): void {
  if (url.protocol !== "http:" && url.protocol !== "https:")
    throw new AppError("bad-data", `unsupported protocol scheme "${url.protocol.slice(0, -1)}"`);
}

/**
 * The request that a redirect asks for. One that leaves the origin (scheme, host or port) loses every credential for
 * good: a redirect back does not bring them again.
 */
function redirect(hop: Hop, head: ResponseHead): Hop | undefined {
  if (![301, 302, 303, 307, 308].includes(head.status)) return undefined;
  const location = headerOf(head.headers, "location");
  if (location === undefined || location === "") return undefined;
  const url = URL.parse(location, hop.url.href);
  if (url === null)
    throw new AppError("bad-data", `cannot parse Location ${JSON.stringify(location)}`);
  checkScheme(url);
  const trusted = hop.trusted && url.origin === hop.url.origin;
  const headers = { ...hop.headers };
  if (!trusted) {
    delete headers["authorization"];
    delete headers["cookie"];
  }
  const keepsMethod =
    head.status === 307 || head.status === 308 || hop.method === "GET" || hop.method === "HEAD";
  if (keepsMethod) return { ...hop, url, headers, trusted };
  delete headers["content-type"];
  return { url, headers, trusted, method: "GET", body: undefined };
}

function response(hop: Hop, answer: Answer): HttpResponse {
  const { head } = answer;
  return {
    status: head.status,
    statusText: head.statusText,
    headers: { get: (name) => headerOf(head.headers, name) },
    body: readable(hop, answer.exchange),
    finalUrl: hop.url.href,
  };
}

/** The body, with failures as AppErrors. */
function readable(hop: Hop, body: Exchange): AsyncIterableIterator<Uint8Array> {
  return {
    next: () =>
      body.next().catch((error: unknown) => {
        throw error instanceof AppError ? error : requestFailure(hop, error);
      }),
    return: () => body.return(),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}
