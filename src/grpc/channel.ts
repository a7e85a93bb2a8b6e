import { connect as connectHttp2, type ClientHttp2Session } from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import { systemClock, type Clock } from "../base/clock.ts";
import { AppError, messageOf } from "../base/errors.ts";
import { systemRandom, type Random } from "../base/random.ts";
import { parseAddress, type Address } from "./address.ts";
import { ClientCall, type CallOptions } from "./client-call.ts";
import type { Compression } from "./codec.ts";
import { DEFAULT_MAX_MESSAGE_BYTES } from "./framing.ts";
import {
  MAX_SESSION_MEMORY_MB,
  SETTINGS,
  WINDOW_BYTES,
  startKeepalive,
  type KeepaliveOptions,
} from "./session.ts";
import { DEFAULT_MIN_TLS_VERSION, type ClientTls } from "./tls.ts";

export type { CallOptions } from "./client-call.ts";

export interface ChannelOptions {
  /** `host:port` */
  readonly address: string;
  /** Plaintext when absent. */
  readonly tls?: ClientTls;
  /** Compresses request messages. Default: none. */
  readonly compression?: Compression;
  /** Largest response message. Default 64 MiB. */
  readonly maxMessageBytes?: number;
  /** Default: every 10 s, given up after 5 s. */
  readonly keepalive?: KeepaliveOptions;
  /** Default 5,000. */
  readonly connectTimeoutMs?: number;
  /** Waits between attempts to connect; calls meanwhile fail at once. Default 250 ms, growing 1.6× to 10 s. */
  readonly backoff?: { readonly initialMs: number; readonly maxMs: number };
  /** Headers of every call. */
  readonly metadata?: Readonly<Record<string, string>>;
  readonly clock?: Clock;
  readonly random?: Random;
}

/** A connection to one gRPC server, opened by the first call and re-opened after a loss. */
export interface Channel {
  readonly address: string;
  /** `method` is the full path: `/thanos.info.Info/Info`. Rejects with a GrpcError or another AppError. */
  unary(method: string, request: Uint8Array, options?: CallOptions): Promise<Uint8Array>;
  /** Messages as they arrive, views that stay valid. Leaving the loop early cancels the call. */
  serverStream(
    method: string,
    request: Uint8Array,
    options?: CallOptions,
  ): AsyncIterableIterator<Uint8Array, undefined, undefined>;
  /** Cancels calls in progress and closes the connection. */
  close(): Promise<void>;
}

const DEFAULT_CONNECT_TIMEOUT_MS = 5000;
const DEFAULT_BACKOFF = { initialMs: 250, maxMs: 10_000 };
const BACKOFF_FACTOR = 1.6;
const BACKOFF_JITTER = 0.2;

export function createChannel(options: ChannelOptions): Channel {
  return new Http2Channel(options);
}

class Http2Channel implements Channel {
  readonly address: string;
  readonly #options: ChannelOptions;
  readonly #target: Address;
  readonly #clock: Clock;
  readonly #calls = new Set<ClientCall>();
  readonly #sessions = new Map<ClientHttp2Session, Socket>();
  #session: ClientHttp2Session | undefined;
  #connecting: Promise<ClientHttp2Session> | undefined;
  #failures = 0;
  #retryAt = 0;
  #lastFailure = "";
  #closed = false;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.address = options.address;
    this.#target = parseAddress(options.address);
    this.#clock = options.clock ?? systemClock;
  }

  unary(method: string, request: Uint8Array, options: CallOptions = {}): Promise<Uint8Array> {
    return this.#call(method, request, options).single();
  }

  serverStream(
    method: string,
    request: Uint8Array,
    options: CallOptions = {},
  ): AsyncIterableIterator<Uint8Array, undefined, undefined> {
    return this.#call(method, request, options).messages;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    for (const call of this.#calls)
      call.cancel(new AppError("canceled", `the channel to ${this.address} was closed`));
    const sessions = [...this.#sessions];
    // A session that is closing already waits for its peer; the socket does not.
    await Promise.all(
      sessions.map(
        ([session, socket]) =>
          new Promise<void>((resolve) => {
            if (session.destroyed) return resolve();
            session.once("close", resolve);
            session.destroy();
            setImmediate(() => socket.destroy());
          }),
      ),
    );
  }

  #call(path: string, request: Uint8Array, options: CallOptions): ClientCall {
    const call = new ClientCall({
      ...options,
      address: this.address,
      scheme: this.#options.tls === undefined ? "http" : "https",
      path,
      request,
      clock: this.#clock,
      compression: this.#options.compression,
      maxMessageBytes: this.#options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES,
      metadata: { ...this.#options.metadata, ...options.metadata },
      session: () => this.#connected(),
      onDone: () => this.#calls.delete(call),
    });
    this.#calls.add(call);
    call.start();
    return call;
  }

  #connected(): ClientHttp2Session | Promise<ClientHttp2Session> {
    const session = this.#session;
    if (session !== undefined && !session.closed && !session.destroyed) return session;
    if (this.#closed)
      return Promise.reject(new AppError("canceled", `the channel to ${this.address} was closed`));
    if (this.#connecting !== undefined) return this.#connecting;
    const waitMs = this.#retryAt - this.#clock.monotonic();
    if (waitMs > 0)
      return Promise.reject(
        new AppError(
          "unavailable",
          `cannot connect to ${this.address}: ${this.#lastFailure} (next attempt in ${Math.ceil(waitMs)} ms)`,
        ),
      );
    this.#connecting = this.#connect().finally(() => {
      this.#connecting = undefined;
    });
    return this.#connecting;
  }

  async #connect(): Promise<ClientHttp2Session> {
    try {
      const session = await this.#open();
      this.#failures = 0;
      this.#retryAt = 0;
      if (this.#closed) {
        session.destroy();
        throw new AppError("canceled", `the channel to ${this.address} was closed`);
      }
      this.#session = session;
      return session;
    } catch (error) {
      this.#lastFailure = reasonOf(error);
      this.#retryAt = this.#clock.monotonic() + this.#nextWaitMs();
      throw new AppError("unavailable", `cannot connect to ${this.address}: ${this.#lastFailure}`, {
        cause: error,
      });
    }
  }

  #nextWaitMs(): number {
    const { initialMs, maxMs } = this.#options.backoff ?? DEFAULT_BACKOFF;
    const waitMs = Math.min(initialMs * BACKOFF_FACTOR ** this.#failures++, maxMs);
    const jitter = 1 + BACKOFF_JITTER * (2 * (this.#options.random ?? systemRandom).next() - 1);
    return waitMs * jitter;
  }

  /** Resolves when the peer's settings have arrived: until then it may not be an HTTP/2 server at all. */
  #open(): Promise<ClientHttp2Session> {
    return new Promise((resolve, reject) => {
      const scheme = this.#options.tls === undefined ? "http" : "https";
      const socket = this.#socket();
      const session = connectHttp2(`${scheme}://${this.address}`, {
        settings: SETTINGS,
        maxSessionMemory: MAX_SESSION_MEMORY_MB,
        createConnection: () => socket,
      });
      this.#sessions.set(session, socket);
      const timeoutMs = this.#options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS;
      const cancelTimeout = this.#clock.after(timeoutMs, () =>
        session.destroy(new Error(`no answer within ${timeoutMs} ms`)),
      );
      let failure: Error | undefined;
      session.on("error", (error: Error) => {
        failure = error;
        reject(error);
      });
      // A TLS alert after the handshake (a refused client certificate) leaves the socket open and the session mute.
      socket.once("error", (error: Error) => {
        failure = error;
        reject(error);
        setImmediate(() => socket.destroy());
      });
      session.once("connect", () => session.setLocalWindowSize(WINDOW_BYTES));
      session.once("remoteSettings", () => {
        cancelTimeout();
        startKeepalive(session, {
          ...this.#options.keepalive,
          clock: this.#clock,
          onDead: () => {
            session.destroy(new Error("the peer does not answer pings"));
            socket.destroy();
          },
        });
        resolve(session);
      });
      session.once("close", () => {
        cancelTimeout();
        this.#sessions.delete(session);
        if (this.#session === session) this.#session = undefined;
        reject(failure ?? new Error("the peer closed the connection"));
      });
    });
  }

  #socket(): Socket {
    const { host, port } = this.#target;
    const { tls } = this.#options;
    if (tls === undefined) return connectTcp({ host, port, noDelay: true });
    const servername = tls.serverName ?? (/^[\d.]+$|:/.test(host) ? undefined : host);
    const socket = connectTls({
      host,
      port,
      ALPNProtocols: ["h2"],
      minVersion: tls.minVersion ?? DEFAULT_MIN_TLS_VERSION,
      rejectUnauthorized: tls.insecureSkipVerify !== true,
      ...(servername === undefined ? {} : { servername }),
      ...(tls.ca === undefined ? {} : { ca: tls.ca }),
      ...(tls.cert === undefined ? {} : { cert: tls.cert }),
      ...(tls.key === undefined ? {} : { key: tls.key }),
    });
    socket.setNoDelay(true);
    return socket;
  }
}

/** OpenSSL puts the reason into a property and source lines into the message. */
function reasonOf(error: unknown): string {
  return error instanceof Error && "reason" in error && typeof error.reason === "string"
    ? error.reason
    : messageOf(error);
}
