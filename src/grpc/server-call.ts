import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import { TLSSocket } from "node:tls";
import type { Clock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import { ACCEPTED_ENCODINGS, codecOf, type Codec, type Compression } from "./codec.ts";
import { FrameReader, FrameWriter } from "./framing.ts";
import { MessageQueue } from "./message-queue.ts";
import type { CallContext, GrpcMethod } from "./service.ts";
import { GRPC_STATUS, encodeStatusMessage, statusOf } from "./status.ts";
import { parseGrpcTimeout } from "./timeout.ts";

export interface ServerCallOptions {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly method: GrpcMethod;
  readonly path: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly maxMessageBytes: number;
  readonly compression: Compression | undefined;
}

/**
 * One call on the server's side:
 *
 *     reading ──request──► handling ──result──► responded (headers) ──► ended (trailers with the status)
 *        └───────────────── any error, deadline or abort ──────────────────▲
 */
export class ServerCall {
  readonly #options: ServerCallOptions;
  readonly #stream: ServerHttp2Stream;
  readonly #abort = new AbortController();
  readonly #requests: MessageQueue;
  readonly #responseCodec: Codec | undefined;
  readonly #timeoutMs: number | undefined;
  #writer: FrameWriter | undefined;
  #cancelDeadline: () => void = () => {};
  #responded = false;
  #ended = false;

  constructor(options: ServerCallOptions) {
    this.#options = options;
    const { stream, headers, compression } = options;
    this.#stream = stream;
    this.#requests = new MessageQueue({
      pause: () => stream.pause(),
      resume: () => stream.resume(),
      leave: () => stream.resume(),
    });
    this.#timeoutMs = parseGrpcTimeout(header(headers, "grpc-timeout"));
    const requested = header(headers, "grpc-encoding");
    const accepted = header(headers, "grpc-accept-encoding").split(/\s*,\s*/);
    // Answers in kind; a configured compression is used with clients that say they accept it.
    const name =
      compression !== undefined && accepted.includes(compression) ? compression : requested;
    this.#responseCodec = codecOf(name);
  }

  start(): void {
    const { headers, clock, maxMessageBytes } = this.#options;
    const encoding = header(headers, "grpc-encoding");
    const codec = codecOf(encoding);
    if (encoding !== "" && encoding !== "identity" && codec === undefined) {
      this.#end(GRPC_STATUS.unimplemented, `grpc-encoding ${encoding} is not supported`);
      return;
    }
    if (this.#timeoutMs !== undefined)
      this.#cancelDeadline = clock.after(this.#timeoutMs, () =>
        this.abort(new AppError("timeout", "the call's deadline has passed")),
      );
    const stream = this.#stream;
    const reader = new FrameReader({
      codec,
      maxMessageBytes,
      onMessage: (message) => this.#requests.push(message),
    });
    stream.on("data", (bytes: Buffer) => {
      if (this.#ended) return;
      try {
        reader.push(bytes);
      } catch (error) {
        this.#requests.fail(AppError.from(error));
        this.#fail(error);
      }
    });
    stream.on("end", () =>
      this.#requests.finish(
        reader.idle ? undefined : new AppError("corrupt", "the request ends within a message"),
      ),
    );
    stream.once("close", () => this.#onClose());
    this.#run().catch((error: unknown) => this.#fail(error));
  }

  /** Ends the call with `reason`, whatever its handler does. */
  abort(reason: AppError): void {
    this.#abort.abort(reason);
    this.#fail(reason);
  }

  async #run(): Promise<void> {
    const { method } = this.#options;
    const context = this.#context();
    if (method.kind === "unary") {
      const response = await method.handle(await this.#request(), context);
      if (this.#ended) return;
      this.#respond();
      void this.#writer!.push(response);
      this.#end(GRPC_STATUS.ok, "");
      return;
    }
    const responses =
      method.kind === "server-stream"
        ? method.handle(await this.#request(), context)
        : method.handle(this.#requests, context);
    // Leaving the loop early returns the handler's iterator, so its resources are released.
    for await (const response of responses) {
      if (this.#ended) return;
      this.#respond();
      const full = this.#writer!.push(response);
      if (full !== undefined) await full;
      if (this.#ended) return;
    }
    this.#end(GRPC_STATUS.ok, "");
  }

  async #request(): Promise<Uint8Array> {
    const { value } = await this.#requests.next();
    if (value === undefined) throw new AppError("bad-data", "the call has no request message");
    return value;
  }

  #context(): CallContext {
    const { headers, path } = this.#options;
    const metadata = new Map<string, string>();
    for (const [name, value] of Object.entries(headers))
      if (!name.startsWith(":") && value !== undefined)
        metadata.set(name, Array.isArray(value) ? value.join(", ") : value);
    const socket = this.#stream.session?.socket;
    return {
      path,
      metadata,
      signal: this.#abort.signal,
      timeoutMs: this.#timeoutMs,
      peer: `${socket?.remoteAddress ?? "unknown"}:${socket?.remotePort ?? 0}`,
      clientName: socket === undefined ? undefined : verifiedName(socket),
    };
  }

  #respond(): void {
    if (this.#responded) return;
    this.#responded = true;
    const codec = this.#responseCodec;
    this.#stream.respond(
      {
        ":status": 200,
        "content-type": "application/grpc",
        "grpc-accept-encoding": ACCEPTED_ENCODINGS,
        ...(codec === undefined ? {} : { "grpc-encoding": codec.name }),
      },
      { waitForTrailers: true },
    );
    this.#writer = new FrameWriter(this.#stream, codec);
  }

  #fail(thrown: unknown): void {
    const error = AppError.from(thrown);
    if (error.code === "internal")
      this.#options.logger.error("gRPC call failed", { path: this.#options.path, error: thrown });
    this.#end(statusOf(error), error.message);
  }

  #end(status: number, message: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#cancelDeadline();
    const stream = this.#stream;
    if (stream.destroyed || stream.closed) return;
    const trailers = {
      "grpc-status": String(status),
      ...(message === "" ? {} : { "grpc-message": encodeStatusMessage(message) }),
    };
    if (this.#responded) {
      this.#writer!.flush();
      stream.once("wantTrailers", () => stream.sendTrailers(trailers));
      stream.end();
    } else
      stream.respond(
        { ":status": 200, "content-type": "application/grpc", ...trailers },
        { endStream: true },
      );
    if (status === GRPC_STATUS.ok) return;
    this.#writer?.close();
    this.#abort.abort(new AppError("canceled", "the call has ended"));
    // The request's remaining bytes are read and dropped, so that the stream can close.
    stream.resume();
  }

  #onClose(): void {
    this.#cancelDeadline();
    const { rstCode, writableFinished, readableEnded } = this.#stream;
    const isAnswered = rstCode === constants.NGHTTP2_NO_ERROR && writableFinished;
    // Fast path: an error takes its stack along, and after a whole call nobody waits for one.
    if (isAnswered && readableEnded && this.#ended) return;
    this.#ended = true;
    this.#writer?.close();
    const left = new AppError("canceled", "the client has left");
    this.#requests.fail(left);
    if (!isAnswered) this.#abort.abort(left);
  }
}

function header(headers: IncomingHttpHeaders, name: string): string {
  const value = headers[name];
  return value === undefined ? "" : Array.isArray(value) ? value.join(",") : value;
}

function verifiedName(socket: object): string | undefined {
  // HTTP/2 gives a proxy of the socket: `instanceof` sees through it, `in` does not.
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  const name: unknown = socket.getPeerCertificate().subject?.CN;
  return typeof name === "string" ? name : undefined;
}
