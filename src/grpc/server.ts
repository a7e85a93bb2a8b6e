import {
  constants,
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import { systemClock, type Clock } from "../base/clock.ts";
import { AppError, messageOf, systemCode } from "../base/errors.ts";
import { silentLogger, type Logger } from "../base/logger.ts";
import type { Service } from "../base/service.ts";
import type { Compression } from "./codec.ts";
import { DEFAULT_MAX_MESSAGE_BYTES } from "./framing.ts";
import { ServerCall } from "./server-call.ts";
import type { GrpcMethod, GrpcService } from "./service.ts";
import {
  MAX_SESSION_MEMORY_MB,
  SETTINGS,
  WINDOW_BYTES,
  startKeepalive,
  type KeepaliveOptions,
} from "./session.ts";
import { GRPC_STATUS, encodeStatusMessage } from "./status.ts";
import { DEFAULT_MIN_TLS_VERSION, type ServerTls } from "./tls.ts";

export interface GrpcServerOptions {
  /** Default 127.0.0.1. */
  readonly host?: string;
  /** 0 takes a free one; `address()` tells which. */
  readonly port: number;
  readonly services: readonly GrpcService[];
  readonly tls?: ServerTls;
  readonly logger?: Logger;
  readonly clock?: Clock;
  /** Largest request message. Default 64 MiB. */
  readonly maxMessageBytes?: number;
  /** Calls in progress per connection. Default 1,000. */
  readonly maxConcurrentStreams?: number;
  /** Connections; more are closed at once. Default 512. */
  readonly maxConnections?: number;
  /** Compresses responses for clients that accept it. Default: as the request was. */
  readonly compression?: Compression;
  /** Default: every 10 s, given up after 5 s. */
  readonly keepalive?: KeepaliveOptions;
  /** A connection is told to leave (GOAWAY) at this age, so that clients re-balance. Default 0: never. */
  readonly maxConnectionAgeMs?: number;
  /** How long `stop` waits for calls in progress before it cancels them. Default 5,000. */
  readonly graceMs?: number;
}

export interface GrpcServer extends Service {
  /** Where it listens, once started. */
  address(): { readonly host: string; readonly port: number };
  /** Serves new connections with other certificates; existing ones go on. */
  setTls(tls: ServerTls): void;
}

const DEFAULT_MAX_STREAMS = 1000;
const DEFAULT_MAX_CONNECTIONS = 512;
const DEFAULT_GRACE_MS = 5000;

/** A gRPC server over HTTP/2, in plaintext (prior knowledge) or TLS. */
export function createGrpcServer(options: GrpcServerOptions): GrpcServer {
  return new Http2GrpcServer(options);
}

class Http2GrpcServer implements GrpcServer {
  readonly name = "grpc";
  readonly #options: GrpcServerOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #methods = new Map<string, GrpcMethod>();
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #sockets = new Set<Socket>();
  readonly #calls = new Set<ServerCall>();
  #server: Http2Server | Http2SecureServer | undefined;
  #draining = false;

  constructor(options: GrpcServerOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger ?? silentLogger;
    for (const service of options.services)
      for (const [name, method] of Object.entries(service.methods))
        this.#methods.set(`/${service.name}/${name}`, method);
  }

  async start(): Promise<void> {
    const { host = "127.0.0.1", port, tls } = this.#options;
    const common = {
      settings: {
        ...SETTINGS,
        maxConcurrentStreams: this.#options.maxConcurrentStreams ?? DEFAULT_MAX_STREAMS,
      },
      maxSessionMemory: MAX_SESSION_MEMORY_MB,
    };
    const server =
      tls === undefined
        ? createServer(common)
        : createSecureServer({ ...common, ...secureOptions(tls) });
    this.#server = server;
    server.maxConnections = this.#options.maxConnections ?? DEFAULT_MAX_CONNECTIONS;
    server.on("connection", (socket: Socket) => {
      socket.setNoDelay(true);
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
    server.on("session", (session: ServerHttp2Session) => this.#onSession(session));
    server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) =>
      this.#onStream(stream, headers),
    );
    server.on("tlsClientError", (error: Error) =>
      this.#logger.debug("TLS handshake refused", { error }),
    );
    server.on("sessionError", (error: Error) => this.#logger.debug("connection lost", { error }));
    await new Promise<void>((resolve, reject) => {
      server.once("error", (error) => reject(listenError(error, `${host}:${port}`)));
      server.listen(port, host, () => {
        server.removeAllListeners("error");
        server.on("error", (error) => this.#logger.warn("gRPC server error", { error }));
        resolve();
      });
    });
  }

  address(): { host: string; port: number } {
    const address = this.#server?.address();
    if (address === null || address === undefined || typeof address === "string")
      throw new Error("BUG: the gRPC server does not listen");
    const { address: host, port }: AddressInfo = address;
    return { host, port };
  }

  setTls(tls: ServerTls): void {
    const server = this.#server;
    if (server !== undefined && "setSecureContext" in server)
      server.setSecureContext(secureOptions(tls));
  }

  async stop(): Promise<void> {
    const server = this.#server;
    if (server === undefined || this.#draining) return;
    this.#draining = true;
    const closed = new Promise<void>((resolve) => server.close(() => resolve()));
    for (const session of this.#sessions) session.close();
    const cancelTimer = this.#clock.after(this.#options.graceMs ?? DEFAULT_GRACE_MS, () => {
      const reason = new AppError("unavailable", "the server is shutting down");
      for (const call of this.#calls) call.abort(reason);
      // One turn for the calls' trailers to leave. Then the sockets themselves: a session that was closed waits for
      // its peer's end, and a dead peer never sends one.
      setImmediate(() => {
        for (const session of this.#sessions) session.destroy();
        setImmediate(() => {
          for (const socket of this.#sockets) socket.destroy();
        });
      });
    });
    await closed;
    cancelTimer();
    this.#server = undefined;
    this.#draining = false;
  }

  #onSession(session: ServerHttp2Session): void {
    this.#sessions.add(session);
    session.setLocalWindowSize(WINDOW_BYTES);
    session.on("error", (error) => this.#logger.debug("connection lost", { error }));
    let cancelAge = (): void => {};
    session.once("close", () => {
      cancelAge();
      this.#sessions.delete(session);
    });
    startKeepalive(session, {
      ...this.#options.keepalive,
      clock: this.#clock,
      onDead: () => session.destroy(),
    });
    const ageMs = this.#options.maxConnectionAgeMs ?? 0;
    if (ageMs > 0) cancelAge = this.#clock.after(ageMs, () => session.close());
    if (this.#draining) session.close();
  }

  #onStream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    stream.on("error", (error) => this.#logger.debug("stream lost", { error: messageOf(error) }));
    if (headers[":method"] !== "POST") return refuse(stream, 405);
    if (!/^application\/grpc(?:[+;]|$)/.test(headers["content-type"] ?? ""))
      return refuse(stream, 415);
    const path = headers[":path"] ?? "";
    const method = this.#methods.get(path);
    if (method === undefined) {
      respondStatus(stream, GRPC_STATUS.unimplemented, `unknown method ${path}`);
      return;
    }
    const call = new ServerCall({
      stream,
      headers,
      method,
      path,
      clock: this.#clock,
      logger: this.#logger,
      maxMessageBytes: this.#options.maxMessageBytes ?? DEFAULT_MAX_MESSAGE_BYTES,
      compression: this.#options.compression,
    });
    this.#calls.add(call);
    stream.once("close", () => this.#calls.delete(call));
    call.start();
  }
}

function secureOptions(tls: ServerTls) {
  return {
    cert: tls.cert,
    key: tls.key,
    minVersion: tls.minVersion ?? DEFAULT_MIN_TLS_VERSION,
    ALPNProtocols: ["h2"],
    ...(tls.clientCa === undefined
      ? {}
      : { ca: tls.clientCa, requestCert: true, rejectUnauthorized: true }),
  };
}

function listenError(error: Error, address: string): AppError {
  const code = systemCode(error);
  if (code === "EADDRINUSE")
    return new AppError("already-exists", `cannot listen on ${address}: the port is in use`, {
      cause: error,
    });
  return new AppError("unavailable", `cannot listen on ${address}: ${error.message}`, {
    cause: error,
  });
}

function refuse(stream: ServerHttp2Stream, httpStatus: number): void {
  stream.respond({ ":status": httpStatus }, { endStream: true });
  stream.close(constants.NGHTTP2_NO_ERROR);
}

/** A response that is only a status. */
export function respondStatus(stream: ServerHttp2Stream, status: number, message: string): void {
  stream.respond(
    {
      ":status": 200,
      "content-type": "application/grpc",
      "grpc-status": String(status),
      ...(message === "" ? {} : { "grpc-message": encodeStatusMessage(message) }),
    },
    { endStream: true },
  );
}
