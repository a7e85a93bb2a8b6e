import type { Clock } from "../base/clock.ts";
import { AppError, messageOf } from "../base/errors.ts";
import type { HttpClientConfig } from "../config/types.ts";
import type { HttpClient, HttpResponse } from "../http/client.ts";
import { drain, readText } from "../http/read-body.ts";
import type { KubeConnection } from "./connection.ts";
import { describe, KubeError, type Asked, type Status } from "./kube-error.ts";

/** One answer beyond this is refused. A page of 500 large pods is 10 MiB. */
const ANSWER_MAX_BYTES = 256 << 20;
const ERROR_MAX_BYTES = 1 << 20;
/** How often a request that the server was too busy for is sent again, and the longest wait it can ask for. */
const BUSY_RETRIES = 5;
const RETRY_AFTER_MAX_MS = 30_000;

/** One request, and in what words to speak of it. */
export interface Call extends Asked {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  readonly path: string;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly signal?: AbortSignal | undefined;
  readonly timeoutMs?: number;
}

interface TransportOptions {
  readonly connection: KubeConnection;
  readonly createHttpClient: (config: HttpClientConfig) => HttpClient;
  readonly clock: Clock;
  readonly requestTimeoutMs: number;
}

/** Sends calls to one API server with its credentials, and turns what is not a success into a `KubeError`. */
export class KubeTransport {
  readonly #options: TransportOptions;
  #http: HttpClient;
  /** The client certificate that `#http` presents, when it comes from a credential source. */
  #certificate = "";

  constructor(options: TransportOptions) {
    this.#options = options;
    this.#http = options.createHttpClient(options.connection.httpClient);
  }

  /** Ends all connections; requests under way fail. */
  async close(): Promise<void> {
    await this.#http.close();
  }

  /** The answer's body, parsed. */
  async json<T>(call: Call): Promise<T> {
    const response = await this.send(call);
    const text = await readText(response.body, ANSWER_MAX_BYTES);
    try {
      return JSON.parse(text) as T;
    } catch (error) {
      throw new AppError(
        "unavailable",
        `cannot ${describe(call)}: the answer is not JSON: ${messageOf(error)}`,
        { cause: error },
      );
    }
  }

  /** The answer, once it is a success. */
  async send(call: Call): Promise<HttpResponse> {
    for (let attempt = 0; ; attempt++) {
      let response = await this.#once(call);
      if (response.status === 401 && this.#options.connection.credentials !== undefined) {
        await drain(response.body, ERROR_MAX_BYTES);
        this.#options.connection.credentials.invalidate();
        response = await this.#once(call);
      }
      if (response.status < 300) return response;
      const error = await readError(call, response);
      const isBusy =
        error.status === 429 || (error.status === 503 && error.retryAfterMs !== undefined);
      if (!isBusy || attempt >= BUSY_RETRIES) throw error;
      await this.#options.clock.sleep(
        Math.min(error.retryAfterMs ?? 1000 * 2 ** attempt, RETRY_AFTER_MAX_MS),
        call.signal,
      );
    }
  }

  async #once(call: Call): Promise<HttpResponse> {
    const { connection, requestTimeoutMs } = this.#options;
    const { credentials, server } = connection;
    const headers: Record<string, string> = { accept: "application/json" };
    if (credentials !== undefined) {
      const { token, certificate, key } = await credentials.get(call.signal);
      if (!token.isEmpty) headers["authorization"] = `Bearer ${token.reveal()}`;
      if (certificate !== this.#certificate) this.#present(certificate, key);
    }
    if (call.body !== undefined) headers["content-type"] = call.contentType ?? "application/json";
    return this.#http.request({
      url: `${server.replace(/\/+$/, "")}${call.path}${queryText(call.query)}`,
      method: call.method,
      headers,
      ...(call.body !== undefined && { body: JSON.stringify(call.body) }),
      ...(call.signal !== undefined && { signal: call.signal }),
      timeoutMs: call.timeoutMs ?? requestTimeoutMs,
    });
  }

  /** From here on connections show another client certificate. */
  #present(certificate: string, key: HttpClientConfig["tls"]["key"]): void {
    const { httpClient } = this.#options.connection;
    const replaced = this.#http;
    this.#certificate = certificate;
    this.#http = this.#options.createHttpClient({
      ...httpClient,
      tls: { ...httpClient.tls, cert: certificate, key },
    });
    // What is under way over the old connections (a watch) is asked for again by whoever asked.
    void replaced.close();
  }
}

function queryText(query: Call["query"]): string {
  if (query === undefined) return "";
  const pairs = Object.entries(query).filter(
    (pair): pair is [string, string] => pair[1] !== undefined,
  );
  return pairs.length === 0 ? "" : `?${new URLSearchParams(pairs).toString()}`;
}

async function readError(call: Call, response: HttpResponse): Promise<KubeError> {
  const text = await readText(response.body, ERROR_MAX_BYTES);
  const status = parseStatus(text);
  const header = Number(response.headers.get("retry-after"));
  const seconds =
    Number.isFinite(header) && header > 0 ? header : status?.details?.retryAfterSeconds;
  return new KubeError(call, {
    status: response.status,
    reason: status?.reason ?? "",
    message: status?.message ?? text.trim().slice(0, 300),
    retryAfterMs: seconds === undefined ? undefined : seconds * 1000,
  });
}

function parseStatus(text: string): Status | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && "message" in value
      ? (value as Status)
      : undefined;
  } catch {
    return undefined;
  }
}
