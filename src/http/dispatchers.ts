import { Agent, buildConnector, type Dispatcher, ProxyAgent } from "undici";
import type { HttpClientConfig, TlsConfig, TlsVersion } from "../config/types.ts";
import { createProxyChooser, type Environment, type ProxyChooser } from "./proxy.ts";
import type { OutgoingHeaders } from "./credentials.ts";
import type { Exchange } from "./exchange.ts";
import { PlainPool } from "./plain-pool.ts";
import type { SecretFiles } from "./secret-files.ts";

/** As Go's transport in Prometheus: idle connections outlive most scrape intervals. */
const IDLE_TIMEOUT_MS = 300_000;
const CONNECT_TIMEOUT_MS = 30_000;

const TLS_VERSIONS = {
  TLS10: "TLSv1",
  TLS11: "TLSv1.1",
  TLS12: "TLSv1.2",
  TLS13: "TLSv1.3",
} as const satisfies Record<TlsVersion, string>;

interface TlsMaterial {
  readonly ca: string;
  readonly cert: string;
  readonly key: string;
}

export interface DispatchOptions {
  readonly origin: string;
  readonly path: string;
  readonly method: Dispatcher.HttpMethod;
  readonly headers: OutgoingHeaders;
  readonly body: string | Uint8Array | null;
}

/** Connections to any number of hosts. */
export interface RequestPool {
  dispatch(options: DispatchOptions, exchange: Exchange): unknown;
  /** Ends when what is under way has ended. */
  close(): Promise<void>;
  /** Ends at once. */
  destroy(): Promise<void>;
}

/**
 * The keep-alive pools of one client: direct, and through each proxy. When a certificate file changes, new pools replace
 * the old ones, which finish what they have under way.
 */
export class Dispatchers {
  readonly #config: Pick<HttpClientConfig, "tls" | "enableHttp2" | "proxy">;
  readonly #files: SecretFiles;
  readonly #maxConnections: number | undefined;
  readonly #keepAlive: boolean;
  readonly #chooseProxy: ProxyChooser;
  readonly #hasTlsFiles: boolean;
  #material: TlsMaterial;
  #pools = new Map<string, RequestPool>();

  constructor(
    config: Pick<HttpClientConfig, "tls" | "enableHttp2" | "proxy">,
    options: {
      files: SecretFiles;
      maxConnections: number | undefined;
      keepAlive: boolean;
      environment: Environment;
    },
  ) {
    this.#config = config;
    this.#files = options.files;
    this.#maxConnections = options.maxConnections;
    this.#keepAlive = options.keepAlive;
    this.#chooseProxy = createProxyChooser(config.proxy, options.environment);
    const { tls } = config;
    this.#material = { ca: tls.ca, cert: tls.cert, key: tls.key.reveal() };
    this.#hasTlsFiles = tls.caFile !== "" || tls.certFile !== "" || tls.keyFile !== "";
  }

  /** The pool that reaches `url`; a promise only when certificate files have to be looked at. */
  select(url: URL): RequestPool | Promise<RequestPool> {
    const proxy = this.#chooseProxy(url);
    const encrypted = url.protocol === "https:" || proxy?.startsWith("https:") === true;
    return encrypted && this.#hasTlsFiles
      ? this.#refresh().then(() => this.#pool(url, proxy))
      : this.#pool(url, proxy);
  }

  /** Ends all connections; requests under way fail. */
  async close(): Promise<void> {
    const pools = [...this.#pools.values()];
    this.#pools = new Map();
    await Promise.all(pools.map((pool) => pool.destroy()));
  }

  #pool(url: URL, proxy: string | undefined): RequestPool {
    const key = proxy === undefined ? "" : `${url.protocol} ${proxy}`;
    let pool = this.#pools.get(key);
    if (pool === undefined) this.#pools.set(key, (pool = this.#create(url, proxy)));
    return pool;
  }

  #create(url: URL, proxy: string | undefined): RequestPool {
    const { tls } = this.#config;
    // HTTP/2 lives on connections that stay.
    const enableHttp2 = this.#config.enableHttp2 && this.#keepAlive;
    const connect = { ...tlsOptions(tls, this.#material), timeout: CONNECT_TIMEOUT_MS };
    const options = {
      connections: this.#maxConnections ?? null,
      allowH2: enableHttp2,
      // In undici 0 means a connection for each request.
      pipelining: this.#keepAlive ? 1 : 0,
      keepAliveTimeout: IDLE_TIMEOUT_MS,
      keepAliveMaxTimeout: IDLE_TIMEOUT_MS,
      // The deadline covers the whole request, so undici's own timers for its parts are off.
      headersTimeout: 0,
      bodyTimeout: 0,
    };
    // Like Go's client, prefer HTTP/2 where the server speaks it.
    const requestTls = { ...connect, allowH2: enableHttp2, preferH2: enableHttp2 };
    // One connector for all hosts: a pool would otherwise make its own, with a session cache each.
    if (proxy === undefined)
      return new DirectPool({ ...options, connect: buildConnector(requestTls) });
    const { servername: _, ...proxyTls } = connect;
    return new ProxyAgent({
      ...options,
      uri: proxy,
      requestTls,
      proxyTls: { ...proxyTls, allowH2: false },
      headers: url.protocol === "https:" ? this.#connectHeaders() : {},
    });
  }

  /** `proxy_connect_header` goes with CONNECT only, never with a request that the proxy forwards. */
  #connectHeaders(): Record<string, string[]> {
    return Object.fromEntries(
      Object.entries(this.#config.proxy.connectHeader).map(([name, values]) => [
        name,
        values.map((value) => value.reveal()),
      ]),
    );
  }

  async #refresh(): Promise<void> {
    const { tls } = this.#config;
    const [ca, cert, key] = await Promise.all([
      tls.caFile === "" ? tls.ca : this.#files.read(tls.caFile, "ca_file"),
      tls.certFile === "" ? tls.cert : this.#files.read(tls.certFile, "cert_file"),
      tls.keyFile === "" ? tls.key.reveal() : this.#files.read(tls.keyFile, "key_file"),
    ]);
    const known = this.#material;
    if (ca === known.ca && cert === known.cert && key === known.key) return;
    this.#material = { ca, cert, key };
    const replaced = [...this.#pools.values()];
    this.#pools = new Map();
    // Graceful: resolves when the last request under way is done, which nobody needs to wait for.
    for (const pool of replaced) void pool.close();
  }
}

/**
 * Hosts reached directly: ordinary GET requests over plain HTTP, which is what most scrapes are, by connections of our
 * own, all others by undici. A scrape asks each host one thing at a time, so there a host has a single connection without
 * a queue of its own, which in undici takes 16 kB; only while that one is busy, or once it has failed, a true pool helps
 * out.
 */
class DirectPool implements RequestPool {
  /** None where connections are bounded, for requests would have to queue, or are not to be kept. */
  readonly #plain: PlainPool | undefined;
  readonly #single: Agent;
  readonly #more: Agent | undefined;
  readonly #busy = new Set<string>();

  constructor(
    options: Agent.Options & { readonly connections: number | null; readonly pipelining: number },
  ) {
    const { connections, pipelining } = options;
    if (connections === null && pipelining > 0)
      this.#plain = new PlainPool({
        connectTimeoutMs: CONNECT_TIMEOUT_MS,
        idleTimeoutMs: IDLE_TIMEOUT_MS,
      });
    this.#single = new Agent({ ...options, connections: 1 });
    if (connections !== 1)
      this.#more = new Agent({
        ...options,
        connections: connections === null ? null : connections - 1,
      });
  }

  dispatch(options: DispatchOptions, exchange: Exchange): void {
    const { origin, path, method, headers, body } = options;
    if (
      this.#plain !== undefined &&
      method === "GET" &&
      body === null &&
      origin.startsWith("http:") &&
      this.#plain.dispatch({ origin, path, headers }, exchange)
    )
      return;
    if (this.#more !== undefined && this.#busy.has(origin)) {
      this.#more.dispatch(options, exchange);
      return;
    }
    this.#busy.add(origin);
    // After a failure the connection may be half-way up for long; nobody shall wait behind it.
    exchange.onDone((failed) => {
      if (!failed) this.#busy.delete(origin);
    });
    this.#single.dispatch(options, exchange);
  }

  async close(): Promise<void> {
    await Promise.all([this.#plain?.close(), this.#single.close(), this.#more?.close()]);
  }

  async destroy(): Promise<void> {
    await Promise.all([this.#plain?.destroy(), this.#single.destroy(), this.#more?.destroy()]);
  }
}

function tlsOptions(
  tls: TlsConfig,
  material: TlsMaterial,
): {
  ca?: string;
  cert?: string;
  key?: string;
  servername?: string;
  rejectUnauthorized: boolean;
  minVersion?: (typeof TLS_VERSIONS)[TlsVersion];
  maxVersion?: (typeof TLS_VERSIONS)[TlsVersion];
} {
  return {
    rejectUnauthorized: !tls.insecureSkipVerify,
    ...(material.ca === "" ? {} : { ca: material.ca }),
    ...(material.cert === "" ? {} : { cert: material.cert }),
    ...(material.key === "" ? {} : { key: material.key }),
    ...(tls.serverName === "" ? {} : { servername: tls.serverName }),
    ...(tls.minVersion === "" ? {} : { minVersion: TLS_VERSIONS[tls.minVersion] }),
    ...(tls.maxVersion === "" ? {} : { maxVersion: TLS_VERSIONS[tls.maxVersion] }),
  };
}
