import { connect, type Socket } from "node:net";
import type { Exchange, ResponseHead } from "./exchange.ts";
import { ResponseParser } from "./plain-response.ts";

/**
 * All plain connections read into this one buffer: what a read brings is parsed and handed on before the next read
 * starts. Without it Node makes a new 64 KiB buffer for every read, and collecting those costs more than scraping.
 */
const READ_BYTES = 128 << 10;
const READ_BUFFER = Buffer.allocUnsafeSlow(READ_BYTES);

const TCP_KEEP_ALIVE_MS = 60_000;
/** A server that tells when it closes an idle connection is believed, and we are earlier by so much. */
const KEEP_ALIVE_MARGIN_MS = 1_000;

/** Headers that change how a request or its answer is framed: such requests are not for the plain pool. */
const FRAMING_HEADERS = new Set([
  "connection",
  "content-length",
  "expect",
  "host",
  "keep-alive",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);
const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const FIELD_VALUE = /^[\t\u0020-\u007e]*$/;
const PATH = /^\/[\u0021-\u007e]*$/;

export interface PlainRequest {
  readonly origin: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | readonly string[]>>;
}

export interface PlainPoolOptions {
  readonly connectTimeoutMs: number;
  readonly idleTimeoutMs: number;
}

/**
 * The text of a GET request, or undefined when it holds anything out of the ordinary. `host` as in a URL.
 */
export function requestText(
  host: string,
  request: Pick<PlainRequest, "path" | "headers">,
): string | undefined {
  if (!PATH.test(request.path)) return undefined;
  let text = `GET ${request.path} HTTP/1.1\r\nhost: ${host}\r\nconnection: keep-alive\r\n`;
  for (const [name, value] of Object.entries(request.headers)) {
    if (!FIELD_NAME.test(name) || FRAMING_HEADERS.has(name.toLowerCase())) return undefined;
    for (const one of typeof value === "string" ? [value] : value) {
      if (!FIELD_VALUE.test(one)) return undefined;
      text += `${name}: ${one}\r\n`;
    }
  }
  return `${text}\r\n`;
}

/**
 * Keep-alive connections for GET requests over plain HTTP/1.1, any number to one host, straight on sockets: this is
 * what scrapes go through.
 */
export class PlainPool {
  readonly #options: PlainPoolOptions;
  /** By origin, the connection used last at the end. */
  readonly #idle = new Map<string, PlainConnection[]>();
  readonly #open = new Set<PlainConnection>();
  #isClosing = false;
  #onEmpty: (() => void)[] = [];

  constructor(options: PlainPoolOptions) {
    this.#options = options;
  }

  /** Whether it took the request; if not, nothing has happened. */
  dispatch(request: PlainRequest, exchange: Exchange): boolean {
    if (this.#isClosing) return false;
    const url = new URL(request.origin);
    const text = requestText(url.host, request);
    if (text === undefined) return false;
    const { origin } = request;
    const connection = this.#idle.get(origin)?.pop() ?? this.#connect(url, origin);
    connection.send(text, exchange);
    return true;
  }

  /** Ends when what is under way has ended. */
  async close(): Promise<void> {
    this.#isClosing = true;
    for (const connections of this.#idle.values())
      for (const connection of connections) connection.destroy();
    if (this.#open.size > 0) await new Promise<void>((resolve) => this.#onEmpty.push(resolve));
  }

  /** Ends at once. */
  async destroy(): Promise<void> {
    this.#isClosing = true;
    for (const connection of this.#open) connection.destroy();
    await this.close();
  }

  #connect(url: URL, origin: string): PlainConnection {
    const connection = new PlainConnection(url, {
      ...this.#options,
      onIdle: () => {
        if (this.#isClosing) connection.destroy();
        else {
          const idle = this.#idle.get(origin);
          if (idle === undefined) this.#idle.set(origin, [connection]);
          else idle.push(connection);
        }
      },
      onClose: () => this.#forget(origin, connection),
    });
    this.#open.add(connection);
    return connection;
  }

  #forget(origin: string, connection: PlainConnection): void {
    this.#open.delete(connection);
    const idle = this.#idle.get(origin);
    const at = idle?.indexOf(connection) ?? -1;
    if (at >= 0) idle!.splice(at, 1);
    if (idle?.length === 0) this.#idle.delete(origin);
    if (this.#open.size > 0) return;
    for (const resolve of this.#onEmpty) resolve();
    this.#onEmpty = [];
  }
}

/** One connection, which serves one exchange at a time. */
class PlainConnection {
  readonly #options: PlainPoolOptions & { onIdle: () => void; onClose: () => void };
  readonly #socket: Socket;
  #exchange: Exchange | undefined;
  #parser: ResponseParser | undefined;
  #isConnected = false;
  #isPaused = false;
  #idleTimeoutMs: number;

  constructor(url: URL, options: PlainPoolOptions & { onIdle: () => void; onClose: () => void }) {
    this.#options = options;
    this.#idleTimeoutMs = options.idleTimeoutMs;
    const socket = connect({
      host: url.hostname.replace(/^\[|\]$/g, ""),
      port: url.port === "" ? 80 : Number(url.port),
      noDelay: true,
      keepAlive: true,
      keepAliveInitialDelay: TCP_KEEP_ALIVE_MS,
      onread: { buffer: READ_BUFFER, callback: (length) => this.#read(length) },
    });
    this.#socket = socket;
    socket.setTimeout(options.connectTimeoutMs);
    socket.on("connect", () => {
      this.#isConnected = true;
      socket.setTimeout(0);
    });
    socket.on("timeout", () => {
      if (!this.#isConnected) this.#fail(coded("connect timed out", "ETIMEDOUT"));
      else if (this.#exchange === undefined) socket.destroy();
    });
    socket.on("end", () => this.#ended());
    socket.on("error", (error) => this.#fail(error));
    socket.on("close", () => {
      this.#fail(lost());
      options.onClose();
    });
  }

  send(text: string, exchange: Exchange): void {
    const socket = this.#socket;
    this.#exchange = exchange;
    const parser = new ResponseParser({
      onHead: (head) => this.#head(head, exchange),
      onData: (bytes, start, end) => exchange.onBody(this.#flow, bytes, { start, end }),
      onEnd: () => {},
    });
    this.#parser = parser;
    if (this.#isConnected) {
      socket.ref();
      socket.setTimeout(0);
    }
    exchange.onRequestStart(this.#flow);
    if (this.#exchange === exchange) socket.write(text, "latin1");
  }

  destroy(): void {
    this.#socket.destroy();
  }

  /** What the exchange may do with the connection. */
  readonly #flow = {
    abort: (): void => {
      this.#exchange = undefined;
      this.#socket.destroy();
    },
    pause: (): void => {
      this.#isPaused = true;
      this.#socket.pause();
    },
    resume: (): void => {
      if (!this.#isPaused) return;
      this.#isPaused = false;
      this.#socket.resume();
    },
  };

  #head(head: ResponseHead, exchange: Exchange): void {
    const hint = head.headers["keep-alive"];
    const seconds = /timeout=(\d{1,6})/.exec(typeof hint === "string" ? hint : "")?.[1];
    this.#idleTimeoutMs = Math.min(
      this.#options.idleTimeoutMs,
      seconds === undefined ? Infinity : Number(seconds) * 1000 - KEEP_ALIVE_MARGIN_MS,
    );
    exchange.onResponseStart(this.#flow, head.status, head.headers, head.statusText);
  }

  #read(length: number): boolean {
    const parser = this.#parser;
    // Bytes nobody asked for.
    if (this.#exchange === undefined || parser === undefined) {
      this.#socket.destroy();
      return true;
    }
    try {
      const used = parser.push(READ_BUFFER, length);
      if (parser.isDone) this.#done(parser.isReusable && used === length);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
    return true;
  }

  #ended(): void {
    const parser = this.#parser;
    if (this.#exchange === undefined || parser === undefined) {
      this.#socket.destroy();
      return;
    }
    try {
      if (!parser.hasBegun) throw lost();
      parser.finish();
      this.#done(false);
    } catch (error) {
      this.#fail(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #done(isReusable: boolean): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.#parser = undefined;
    const socket = this.#socket;
    if (!isReusable || this.#idleTimeoutMs <= 0 || socket.destroyed) socket.destroy();
    else {
      socket.setTimeout(this.#idleTimeoutMs);
      // A paused connection would not notice that its peer closes it.
      this.#flow.resume();
      // An idle connection keeps no program alive.
      socket.unref();
      this.#options.onIdle();
    }
    exchange?.onResponseEnd();
  }

  #fail(error: Error): void {
    const exchange = this.#exchange;
    this.#exchange = undefined;
    this.#parser = undefined;
    this.#socket.destroy();
    exchange?.onResponseError(this.#flow, error);
  }
}

/** The peer closed the connection before it answered. */
function lost(): Error {
  return coded("EOF", "ECONNLOST");
}

function coded(message: string, code: string): Error {
  return Object.assign(new Error(message), { code });
}
