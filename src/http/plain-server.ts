import { once } from "node:events";
import { STATUS_CODES } from "node:http";
import { createServer, type Server, type Socket } from "node:net";
import { PlainRequestError, parseHead, type PlainHead } from "./plain-head.ts";

export interface PlainServerOptions {
  /** How long the head of a request may take to arrive. */
  readonly headTimeoutMs: number;
  /** How long a connection may be idle between requests. */
  readonly idleTimeoutMs: number;
  /** Bytes of a request's head. Default 16 KiB. */
  readonly maxHeadBytes?: number;
  /** Must not throw; answers through `reply`, now or later. */
  readonly onRequest: (head: PlainHead, reply: PlainReply) => void;
}

const MAX_HEAD_BYTES = 16 << 10;
/** Up to this size head and body are copied into one piece: one write costs less than two. */
const ONE_WRITE_BYTES = 64 << 10;
const FIELD_VALUE = /^[\t\u0020-\u007e\u0080-\u00ff]*$/;
const END_OF_HEAD = Buffer.from("\r\n\r\n");

/**
 * HTTP/1.1 for requests without a body, straight on sockets: the other end of `PlainPool`. What `node:http` does beyond
 * that costs several times what passing a small body on does.
 *
 *     reading a head ──whole──► answering ──reply sent──► reading a head …     one request at a time on a connection
 *           └── broken, too large, too slow: 4xx, closed      └── told to close: closed
 */
export class PlainServer {
  readonly #server: Server;
  readonly #connections = new Set<Connection>();

  constructor(options: PlainServerOptions) {
    this.#server = createServer({ noDelay: true }, (socket) => {
      const connection = new Connection(socket, options);
      this.#connections.add(connection);
      socket.once("close", () => this.#connections.delete(connection));
    });
  }

  /** Rejects with the system's error when it cannot listen. */
  async listen(where: { readonly host: string; readonly port: number }): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#server.once("error", reject).listen(where, resolve);
    await promise;
    this.#server.off("error", reject);
  }

  /** Ends at once, with all connections. */
  async close(): Promise<void> {
    if (!this.#server.listening) return;
    const closed = once(this.#server, "close");
    this.#server.close();
    for (const connection of this.#connections) connection.destroy();
    await closed;
  }

  address(): { host: string; port: number } {
    const address = this.#server.address();
    if (address === null || typeof address === "string")
      throw new Error("BUG: a server's address is asked for before it listens");
    return { host: address.address, port: address.port };
  }
}

/** The answer to one request. */
export interface PlainReply {
  /** Whether the asker has gone away. */
  readonly isClosed: boolean;
  /** Runs `callback` if the asker goes away before it has been answered. */
  onGone(callback: () => void): void;
  /**
   * Sends the whole answer; only the first one counts. `body` is lent until the promise resolves, which it does when the
   * bytes have left or cannot leave any more. `headers` are names and values in turn, without Content-Length.
   */
  send(answer: PlainAnswer): Promise<void>;
}

export interface PlainAnswer {
  readonly status: number;
  readonly headers: readonly string[];
  readonly body: Uint8Array;
  /** Whether the connection ends with it. */
  readonly closes?: boolean;
}

class Connection {
  readonly #socket: Socket;
  readonly #options: PlainServerOptions;
  /** What has arrived of the next request's head. */
  #pending: Buffer | undefined;
  #isAnswering = false;
  #onGone: (() => void) | undefined;

  constructor(socket: Socket, options: PlainServerOptions) {
    this.#socket = socket;
    this.#options = options;
    socket.setTimeout(options.headTimeoutMs);
    socket.on("data", (piece) => this.#read(piece));
    socket.on("timeout", () => this.#timedOut());
    // What follows is "close", which is where it ends.
    socket.on("error", () => {});
    socket.on("close", () => this.#gone());
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #read(piece: Buffer): void {
    if (this.#pending === undefined && !this.#isAnswering)
      this.#socket.setTimeout(this.#options.headTimeoutMs);
    this.#pending = this.#pending === undefined ? piece : Buffer.concat([this.#pending, piece]);
    if (!this.#isAnswering) this.#next();
    // Requests that came ahead of their turn wait in the socket.
    else if (this.#pending.length > this.#maxHeadBytes) this.#socket.pause();
  }

  get #maxHeadBytes(): number {
    return this.#options.maxHeadBytes ?? MAX_HEAD_BYTES;
  }

  /** Takes the next request if its head is here. */
  #next(): void {
    const pending = this.#pending;
    if (pending === undefined) return;
    const end = pending.indexOf(END_OF_HEAD);
    if ((end < 0 ? pending.length : end) > this.#maxHeadBytes) {
      this.#refuse(431, `the request's head is larger than ${this.#maxHeadBytes} bytes`);
      return;
    }
    if (end < 0) return;
    const rest = end + END_OF_HEAD.length;
    this.#pending = rest === pending.length ? undefined : pending.subarray(rest);
    let head: PlainHead;
    try {
      head = parseHead(pending.toString("latin1", 0, end));
    } catch (error) {
      if (!(error instanceof PlainRequestError)) throw error;
      this.#refuse(400, error.message);
      return;
    }
    this.#isAnswering = true;
    this.#socket.setTimeout(0);
    this.#options.onRequest(head, this.#reply(head));
  }

  #reply(head: PlainHead): PlainReply {
    const socket = this.#socket;
    let isSent = false;
    return {
      get isClosed() {
        return socket.destroyed;
      },
      onGone: (callback) => {
        if (socket.destroyed) callback();
        else this.#onGone = callback;
      },
      send: async (answer) => {
        if (isSent) return;
        isSent = true;
        this.#onGone = undefined;
        const closes = answer.closes === true || !head.keepsAlive;
        await this.#write({ ...answer, closes }, head.method === "HEAD");
        if (closes) socket.end();
        else this.#answered();
      },
    };
  }

  #answered(): void {
    this.#isAnswering = false;
    const socket = this.#socket;
    if (socket.destroyed) return;
    if (this.#pending === undefined) {
      socket.setTimeout(this.#options.idleTimeoutMs);
      return;
    }
    socket.setTimeout(this.#options.headTimeoutMs);
    socket.resume();
    this.#next();
  }

  /** Resolves when the bytes have left, or the connection is gone. */
  #write(answer: PlainAnswer, isHead: boolean): Promise<void> | undefined {
    const socket = this.#socket;
    if (socket.destroyed) return undefined;
    const { body } = answer;
    const head = headText(answer);
    if (isHead || head.length + body.length <= ONE_WRITE_BYTES) {
      const piece = Buffer.allocUnsafe(head.length + (isHead ? 0 : body.length));
      piece.write(head, "latin1");
      if (!isHead) piece.set(body, head.length);
      socket.write(piece);
      return undefined;
    }
    return new Promise((resolve) => {
      // "close" comes for a peer that goes away, where the write's own callback may not.
      socket.once("close", resolve);
      socket.cork();
      socket.write(head, "latin1");
      socket.write(body, () => {
        socket.off("close", resolve);
        resolve();
      });
      socket.uncork();
    });
  }

  /** Answers what is no request, and ends the connection: where the next one begins is not known. */
  #refuse(status: number, reason: string): void {
    this.#pending = undefined;
    this.#isAnswering = true;
    const body = Buffer.from(`${reason}\n`);
    const headers = ["Content-Type", "text/plain; charset=utf-8"];
    void this.#write({ status, headers, body, closes: true }, false);
    // What else it has to say is not read.
    this.#socket.destroySoon();
  }

  #timedOut(): void {
    if (this.#pending === undefined) this.#socket.destroy();
    else this.#refuse(408, "the request's head did not arrive in time");
  }

  #gone(): void {
    const callback = this.#onGone;
    this.#onGone = undefined;
    callback?.();
  }
}

function headText({ status, headers, body, closes }: PlainAnswer): string {
  let text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Unknown"}\r\n`;
  for (let i = 0; i < headers.length; i += 2)
    // A value that could end its line, or become something that does, is left out.
    if (FIELD_VALUE.test(headers[i + 1]!)) text += `${headers[i]}: ${headers[i + 1]}\r\n`;
  return `${text}Content-Length: ${body.length}\r\n${closes === true ? "Connection: close\r\n" : ""}\r\n`;
}
