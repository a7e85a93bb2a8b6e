import { AppError, messageOf } from "../base/errors.ts";
import { quote } from "../base/text.ts";
import type { ConsulDiscovery, HttpClientConfig } from "../config/types.ts";
import { Secret } from "../config/secret.ts";
import type { HttpClient } from "../http/client.ts";
import type { Environment } from "../http/proxy.ts";
import { readBytes } from "../http/read-body.ts";

/** How long Consul may hold a question back when there is nothing new. */
const WAIT_MS = 120_000;
/** Consul adds up to a sixteenth to the wait, so that not all questions end at once. */
const ANSWER_TIMEOUT_MS = WAIT_MS + 15_000;
/** A service of a hundred thousand instances is about 100 MiB. */
const ANSWER_MAX_BYTES = 256 * 1024 * 1024;
const ERROR_BODY_MAX_BYTES = 1 << 12;

/** What Consul says, and as of which change of its state. */
export interface ConsulAnswer<T> {
  readonly value: T;
  /** 0 when the answer does not say: it cannot be waited upon then. */
  readonly index: number;
}

/** One instance of a service, with its node and checks. Consul leaves lists and maps out, or writes null. */
export interface ServiceInstance {
  readonly Node: {
    readonly Node?: string;
    readonly Address?: string;
    readonly Meta?: Readonly<Record<string, string>> | null;
    readonly TaggedAddresses?: Readonly<Record<string, string>> | null;
  };
  readonly Service: {
    readonly ID?: string;
    readonly Address?: string;
    readonly Port?: number;
    readonly Tags?: readonly string[] | null;
    readonly Meta?: Readonly<Record<string, string>> | null;
    readonly Namespace?: string;
    readonly Partition?: string;
  };
  readonly Checks?: readonly { readonly CheckID?: string; readonly Status?: string }[] | null;
}

type Parameters = readonly (readonly [name: string, value: string])[];

/** The three questions of discovery to Consul's HTTP API. */
export class ConsulApi {
  readonly #client: HttpClient;
  readonly #base: string;
  readonly #config: ConsulDiscovery;
  readonly #scope: Parameters;

  /** `client` is of `consulHttpClient`. */
  constructor(config: ConsulDiscovery, client: HttpClient, environment: Environment) {
    this.#client = client;
    this.#config = config;
    this.#base = baseUrl(config);
    const { datacenter } = config;
    const namespace = config.namespace || environment["CONSUL_NAMESPACE"];
    const partition = config.partition || environment["CONSUL_PARTITION"];
    this.#scope = [
      ...(datacenter === "" ? [] : [["dc", datacenter] as const]),
      ...(namespace ? [["ns", namespace] as const] : []),
      ...(partition ? [["partition", partition] as const] : []),
    ];
  }

  /** The datacenter of the agent itself. */
  async datacenter(signal: AbortSignal): Promise<string> {
    const { value } = await this.#ask("/v1/agent/self", this.#scope, signal);
    const found = memberOf(memberOf(value, "Config"), "Datacenter");
    if (typeof found !== "string")
      throw new AppError("bad-data", `invalid value ${quote(String(found))} for Config.Datacenter`);
    return found;
  }

  /** All services with their tags; waits for a change after `index`. */
  async services(
    index: number,
    signal: AbortSignal,
  ): Promise<ConsulAnswer<ReadonlyMap<string, readonly string[]>>> {
    const answer = await this.#ask(
      "/v1/catalog/services",
      this.#blocking(index, this.#config.filter),
      signal,
    );
    const { value } = answer;
    if (typeof value !== "object" || value === null || Array.isArray(value))
      throw new AppError("bad-data", "cannot read Consul's services: not an object");
    const services = Object.entries(value).map(([name, tags]: [string, unknown]) => [
      name,
      Array.isArray(tags) ? tags.map(String) : [],
    ]);
    return { value: new Map(services as [string, string[]][]), index: answer.index };
  }

  /** The instances of `service` that have all the configured tags; waits for a change after `index`. */
  async instances(
    service: string,
    index: number,
    signal: AbortSignal,
  ): Promise<ConsulAnswer<readonly ServiceInstance[]>> {
    const { tags, healthFilter } = this.#config;
    const answer = await this.#ask(
      `/v1/health/service/${encodeURIComponent(service)}`,
      [...this.#blocking(index, healthFilter), ...tags.map((tag) => ["tag", tag] as const)],
      signal,
    );
    return { value: readInstances(answer.value), index: answer.index };
  }

  #blocking(index: number, filter: string): Parameters {
    const { allowStale, nodeMeta } = this.#config;
    return [
      ...this.#scope,
      ...(allowStale ? [["stale", ""] as const] : []),
      ...(index === 0 ? [] : [["index", String(index)] as const]),
      ["wait", `${WAIT_MS}ms`],
      ...(filter === "" ? [] : [["filter", filter] as const]),
      ...Object.entries(nodeMeta).map(([key, value]) => ["node-meta", `${key}:${value}`] as const),
    ];
  }

  async #ask(
    path: string,
    parameters: Parameters,
    signal: AbortSignal,
  ): Promise<ConsulAnswer<unknown>> {
    const query = new URLSearchParams(parameters as [string, string][]).toString();
    const response = await this.#client.request({
      url: `${this.#base}${path}${query === "" ? "" : `?${query}`}`,
      headers: { accept: "application/json" },
      signal,
      timeoutMs: ANSWER_TIMEOUT_MS,
    });
    if (response.status !== 200) {
      const said = await readBytes(response.body, ERROR_BODY_MAX_BYTES).catch(() => undefined);
      const text = said === undefined ? "" : Buffer.from(said).toString("utf8").trim();
      throw new AppError("unavailable", `Unexpected response code: ${response.status} (${text})`);
    }
    const body = await readBytes(response.body, ANSWER_MAX_BYTES);
    try {
      const value: unknown = JSON.parse(Buffer.from(body).toString("utf8"));
      return { value, index: Number(response.headers.get("x-consul-index") ?? 0) || 0 };
    } catch (error) {
      throw new AppError("bad-data", `cannot read Consul's answer: ${messageOf(error)}`, {
        cause: error,
      });
    }
  }
}

/**
 * The HTTP client's configuration with the token, which travels as a header and stays with the configured host. Like
 * Consul's own clients it falls back to CONSUL_HTTP_TOKEN; CONSUL_HTTP_TOKEN_FILE wins over all.
 */
export function consulHttpClient(
  config: ConsulDiscovery,
  environment: Environment,
): HttpClientConfig {
  const file = environment["CONSUL_HTTP_TOKEN_FILE"] ?? "";
  const token = config.token.isEmpty
    ? new Secret(environment["CONSUL_HTTP_TOKEN"] ?? "")
    : config.token;
  if (file === "" && token.isEmpty) return config.httpClient;
  const header = {
    values: [],
    secrets: file === "" ? [token] : [],
    files: file === "" ? [] : [file],
  };
  return {
    ...config.httpClient,
    headers: { ...config.httpClient.headers, "X-Consul-Token": header },
  };
}

/** `server` may be a URL: its https wins over `scheme`, its path over `path_prefix`. */
function baseUrl(config: ConsulDiscovery): string {
  const written = /^([^:/]*):\/\/([^/]*)(\/.*)?$/.exec(config.server);
  if (written === null) return `${config.scheme}://${config.server}${prefix(config.pathPrefix)}`;
  const [, scheme, host, path] = written;
  if (scheme !== "http" && scheme !== "https")
    throw new AppError(
      "bad-data",
      `cannot reach Consul at ${quote(config.server)}: it must be host:port, or a URL with http or https`,
    );
  const chosen = scheme === "https" ? "https" : config.scheme;
  return `${chosen}://${host}${prefix(path ?? config.pathPrefix)}`;
}

function prefix(path: string): string {
  const trimmed = path.replace(/\/+$/, "");
  return trimmed === "" || trimmed.startsWith("/") ? trimmed : `/${trimmed}`;
}

function readInstances(value: unknown): readonly ServiceInstance[] {
  if (!Array.isArray(value))
    throw new AppError("bad-data", "cannot read Consul's instances: not a list");
  for (const one of value as unknown[])
    if (!isObject(memberOf(one, "Node")) || !isObject(memberOf(one, "Service")))
      throw new AppError("bad-data", "cannot read Consul's instances: one has no node or service");
  return value as readonly ServiceInstance[];
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}

function memberOf(value: unknown, name: string): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, name) : undefined;
}
