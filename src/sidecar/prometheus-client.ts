import { AppError, messageOf } from "../base/errors.ts";
import { plainHttpClient } from "../config/plain-http-client.ts";
import { createHttpClient, type HttpClient, type HttpResponse } from "../http/client.ts";
import { readText } from "../http/read-body.ts";

/** Deadlines of calls to the neighbour, ms. A neighbour that hangs must not hang the sidecar. */
export const ASK_TIMEOUT_MS = 4_000;
/** Prometheus answers a reload when it is done; a large configuration takes a while. */
export const RELOAD_TIMEOUT_MS = 60_000;
export const READ_TIMEOUT_MS = 120_000;

/** `/api/v1/targets` of 100,000 targets is about 200 MB. */
const ANSWER_MAX_BYTES = 512 * 1024 * 1024;
const ERROR_MAX_BYTES = 4_096;

const PLAIN = plainHttpClient({ followRedirects: false, enableHttp2: false });

export interface AskOptions {
  readonly parameters?: URLSearchParams;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal | undefined;
}

export interface RawRequest {
  readonly method: "GET" | "HEAD" | "POST";
  /** With the query. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

/** Where the neighbour is: a URL, or a function for one that comes and goes (undefined while it does not run). */
export type PrometheusUrl = string | (() => string | undefined);

/** Whose API it is, in messages. */
export interface Peer {
  readonly name: string;
  /** The flag that says where it is. */
  readonly flag: string;
}

const PROMETHEUS: Peer = { name: "Prometheus", flag: "--prometheus.url" };

/** The neighbour Prometheus, or one with an API like its, over HTTP. Every call rejects with AppError within its deadline. */
export class PrometheusClient {
  readonly #http: HttpClient;
  readonly #peer: Peer;
  readonly #url: () => string | undefined;

  constructor(url: PrometheusUrl, userAgent: string, peer = PROMETHEUS) {
    this.#peer = peer;
    if (typeof url === "string" && !/^https?:$/.test(URL.parse(url)?.protocol ?? ""))
      throw new AppError("bad-data", `cannot use ${peer.flag}: it must be an http or https URL`);
    const fixed = typeof url === "string" ? url.replace(/\/+$/, "") : undefined;
    this.#url = typeof url === "string" ? () => fixed : url;
    this.#http = createHttpClient(PLAIN, { userAgent });
  }

  /** `host:port`; undefined while it does not run. */
  get host(): string | undefined {
    return URL.parse(this.#url() ?? "")?.host;
  }

  /** Any status resolves. */
  async request({ path, signal, ...rest }: RawRequest): Promise<HttpResponse> {
    const base = this.#url();
    if (base === undefined)
      throw new AppError("unavailable", `cannot reach ${this.#peer.name}: it does not run`);
    try {
      return await this.#http.request({
        ...rest,
        url: `${base}${path}`,
        ...(signal !== undefined && { signal }),
      });
    } catch (error) {
      const { code } = AppError.from(error, "unavailable");
      const reason = messageOf(error).replaceAll(base, this.#shown);
      throw new AppError(code, `cannot reach ${this.#peer.name} at ${this.#shown}: ${reason}`);
    }
  }

  /** The `data` of an API answer; `bad-data` and `execution` errors of Prometheus keep their code. */
  async ask(path: string, options: AskOptions = {}): Promise<unknown> {
    const { parameters, timeoutMs = ASK_TIMEOUT_MS, signal } = options;
    const query = parameters === undefined ? "" : `?${parameters.toString()}`;
    const response = await this.request({
      method: "GET",
      path: `${path}${query}`,
      timeoutMs,
      signal,
    });
    const text = await readText(response.body, ANSWER_MAX_BYTES);
    return dataOf(text, response.status, `${this.#shown}${path}`);
  }

  /** Rejects with what Prometheus says when it refuses its configuration. */
  async reload(): Promise<void> {
    const response = await this.request({
      method: "POST",
      path: "/-/reload",
      timeoutMs: RELOAD_TIMEOUT_MS,
    });
    const text = (await readText(response.body, ANSWER_MAX_BYTES)).slice(0, ERROR_MAX_BYTES).trim();
    if (response.status === 200) return;
    if (response.status === 403)
      throw new AppError(
        "unavailable",
        "cannot reload Prometheus: start it with --web.enable-lifecycle",
      );
    const code = response.status === 500 ? "bad-data" : "unavailable";
    throw new AppError(code, `cannot reload Prometheus: HTTP ${response.status}: ${text}`);
  }

  async text(path: string): Promise<string> {
    const response = await this.request({ method: "GET", path, timeoutMs: ASK_TIMEOUT_MS });
    const text = await readText(response.body, ANSWER_MAX_BYTES);
    if (response.status === 200) return text;
    throw new AppError("unavailable", `cannot read ${this.#shown}${path}: HTTP ${response.status}`);
  }

  close(): Promise<void> {
    return this.#http.close();
  }

  /** The base URL as messages show it, without user information. */
  get #shown(): string {
    const parsed = URL.parse(this.#url() ?? "");
    if (parsed === null) return this.#peer.name;
    parsed.username = parsed.password = "";
    return parsed.href.replace(/\/+$/, "");
  }
}

function dataOf(text: string, status: number, what: string): unknown {
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    // While it replays its write-ahead log, Prometheus answers in plain text.
    throw new AppError("unavailable", `cannot ask ${what}: HTTP ${status}: ${text.slice(0, 200)}`);
  }
  const get = (name: string): unknown =>
    typeof answer === "object" && answer !== null ? Reflect.get(answer, name) : undefined;
  if (status === 200 && get("status") === "success") return get("data");
  const type = get("errorType");
  const code =
    type === "bad_data" ? "bad-data" : type === "execution" ? "execution" : "unavailable";
  const message = get("error");
  const reason = typeof message === "string" ? message : `HTTP ${status}`;
  throw new AppError(code, `cannot ask ${what}: ${reason}`);
}
