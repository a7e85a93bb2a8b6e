import { systemClock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import { loadHttpClient } from "../config/http-client-file.ts";
import { plainHttpClient } from "../config/plain-http-client.ts";
import { createHttpClient } from "../http/client.ts";
import { readText } from "../http/read-body.ts";
import { VERSION } from "../base/version.ts";

const TIMEOUT_MS = 5 * 60_000;
/** The largest answer that is read. */
const ANSWER_MAX_BYTES = 1 << 30;

export interface ServerOptions {
  /** Such as http://127.0.0.1:9090, with or without a path in front of /api. */
  readonly server: string;
  /** A file with the HTTP client's settings; "" for none. */
  readonly httpConfigFile: string;
  /** Sent with the question: names and values in turn. */
  readonly headers: readonly (readonly [name: string, value: string])[];
}

/** What a server answered. */
export interface ServerAnswer {
  readonly data: unknown;
  readonly warnings: readonly string[];
  readonly infos: readonly string[];
}

/** Asks a server of Prometheus's HTTP API. Rejects with its own words when it answers with an error. */
export async function askServer(
  options: ServerOptions,
  path: string,
  parameters: URLSearchParams,
  method: "GET" | "POST" = "GET",
): Promise<ServerAnswer> {
  const url = apiUrl(options.server, path);
  const config =
    options.httpConfigFile === ""
      ? plainHttpClient()
      : await loadHttpClient(options.httpConfigFile);
  const client = createHttpClient(config, {
    userAgent: `shoal-query/${VERSION}`,
    clock: systemClock,
  });
  try {
    const headers: Record<string, string> = { accept: "application/json" };
    for (const [name, value] of options.headers) headers[name] = value;
    if (method === "GET") url.search = parameters.toString();
    else headers["content-type"] = "application/x-www-form-urlencoded";
    const response = await client.request({
      url: url.href,
      method,
      headers,
      timeoutMs: TIMEOUT_MS,
      ...(method === "POST" ? { body: parameters.toString() } : {}),
    });
    const text = await readText(response.body, ANSWER_MAX_BYTES);
    return toAnswer(text, { url: url.origin + url.pathname, status: response.status });
  } finally {
    await client.close();
  }
}

function apiUrl(server: string, path: string): URL {
  const text = /^https?:\/\//.test(server) ? server : `http://${server}`;
  const url = URL.parse(text);
  if (url === null || url.hostname === "")
    throw new AppError(
      "bad-data",
      `cannot ask ${JSON.stringify(server)}: give a server like http://127.0.0.1:9090`,
    );
  url.pathname = `${url.pathname.replace(/\/+$/, "")}${path}`;
  return url;
}

function toAnswer(text: string, from: { url: string; status: number }): ServerAnswer {
  let body: unknown;
  try {
    body = JSON.parse(text);
  } catch {
    body = undefined;
  }
  if (typeof body !== "object" || body === null || !("status" in body))
    throw new AppError(
      "unavailable",
      `cannot read the answer of ${from.url}: HTTP ${from.status}, and no JSON of Prometheus's API`,
    );
  const { status, data, error, errorType, warnings, infos } = body as Record<string, unknown>;
  if (status !== "success")
    throw new AppError("unavailable", `query error: ${String(errorType)}: ${String(error)}`);
  return { data, warnings: texts(warnings), infos: texts(infos) };
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
