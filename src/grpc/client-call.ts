import {
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
} from "node:http2";
import type { Clock } from "../base/clock.ts";
import { AppError, messageOf } from "../base/errors.ts";
import { ACCEPTED_ENCODINGS, codecOf, type Compression } from "./codec.ts";
import { FrameReader, frameMessage } from "./framing.ts";
import { MessageQueue } from "./message-queue.ts";
import { GRPC_STATUS, GrpcError, decodeStatusMessage, statusOfHttp } from "./status.ts";
import { formatGrpcTimeout } from "./timeout.ts";

export interface CallOptions {
  /** The call fails with `timeout` after so long. Default: none. */
  readonly deadlineMs?: number;
  /** Request headers; names in lower case. */
  readonly metadata?: Readonly<Record<string, string>>;
  /** Cancels the call. */
  readonly signal?: AbortSignal;
}

export interface ClientCallOptions extends CallOptions {
  readonly address: string;
  readonly scheme: "http" | "https";
  readonly path: string;
  readonly request: Uint8Array;
  readonly clock: Clock;
  readonly compression: Compression | undefined;
  readonly maxMessageBytes: number;
  readonly session: () => ClientHttp2Session | Promise<ClientHttp2Session>;
  readonly onDone: () => void;
}

/** One call with a single request message, on the client's side. */
export class ClientCall {
  readonly messages: MessageQueue;
  readonly #options: ClientCallOptions;
  #stream: ClientHttp2Stream | undefined;
  #trailers: IncomingHttpHeaders | undefined;
  #httpStatus: number | undefined;
  #reader: FrameReader | undefined;
  #done = false;
  #retried = false;
  #cancelDeadline: () => void = () => {};
  readonly #onAbort = (): void => {
    const reason: unknown = this.#options.signal?.reason;
    // A reason of ours (a query's timeout) says more than that the call was canceled.
    this.cancel(
      reason instanceof AppError
        ? reason
        : new AppError("canceled", "the call was canceled", { cause: reason }),
    );
  };

  constructor(options: ClientCallOptions) {
    this.#options = options;
    this.messages = new MessageQueue({
      pause: () => this.#stream?.pause(),
      resume: () => this.#stream?.resume(),
      leave: () => this.cancel(new AppError("canceled", "the reader has left")),
    });
  }

  start(): void {
    const { signal, deadlineMs, clock } = this.#options;
    if (signal?.aborted) return this.#onAbort();
    signal?.addEventListener("abort", this.#onAbort, { once: true });
    if (deadlineMs !== undefined)
      this.#cancelDeadline = clock.after(deadlineMs, () =>
        this.cancel(
          new GrpcError(
            GRPC_STATUS.deadlineExceeded,
            `no complete answer from ${this.#options.address} within ${deadlineMs} ms`,
          ),
        ),
      );
    this.#send();
  }

  /** The response of a unary call. */
  async single(): Promise<Uint8Array> {
    const first = await this.messages.next();
    if (first.done === true)
      throw new GrpcError(GRPC_STATUS.internal, "the server sent no response message");
    const second = await this.messages.next();
    if (second.done === true) return first.value;
    await this.messages.return();
    throw new GrpcError(GRPC_STATUS.internal, "the server sent more than one response message");
  }

  /** Ends the call with `error`; received messages that were not read yet are dropped. */
  cancel(error: AppError): void {
    if (this.#done) return;
    this.messages.fail(error);
    this.#finish();
    const stream = this.#stream;
    if (stream !== undefined && !stream.closed) stream.close(constants.NGHTTP2_CANCEL);
  }

  #send(): void {
    const session = this.#options.session();
    if (session instanceof Promise)
      session.then(
        (connected) => this.#open(connected),
        (error: unknown) => this.#complete(AppError.from(error, "unavailable")),
      );
    else this.#open(session);
  }

  #open(session: ClientHttp2Session): void {
    if (this.#done) return;
    const { address, scheme, path, request, compression, deadlineMs } = this.#options;
    const codec = compression === undefined ? undefined : codecOf(compression);
    let stream: ClientHttp2Stream;
    try {
      stream = session.request({
        ...this.#options.metadata,
        ":method": "POST",
        ":scheme": scheme,
        ":authority": address,
        ":path": path,
        te: "trailers",
        "content-type": "application/grpc",
        "user-agent": "shoal",
        "grpc-accept-encoding": ACCEPTED_ENCODINGS,
        ...(codec === undefined ? {} : { "grpc-encoding": codec.name }),
        ...(deadlineMs === undefined ? {} : { "grpc-timeout": formatGrpcTimeout(deadlineMs) }),
      });
    } catch (error) {
      this.#complete(this.#lost(error));
      return;
    }
    this.#stream = stream;
    stream.on("response", (headers) => this.#onHeaders(headers));
    stream.on("trailers", (trailers) => {
      this.#trailers = trailers;
    });
    stream.on("data", (bytes: Buffer) => this.#onData(bytes));
    stream.on("error", () => {
      // "close" follows and knows the reason.
    });
    stream.once("close", () => this.#onClose(stream));
    stream.end(frameMessage(request, codec));
  }

  #onHeaders(headers: IncomingHttpHeaders & { ":status"?: number | undefined }): void {
    this.#httpStatus = headers[":status"];
    // A response without messages has its status in its only headers.
    if (headers["grpc-status"] !== undefined) this.#trailers = headers;
    const encoding = text(headers["grpc-encoding"]);
    const codec = codecOf(encoding);
    if (encoding !== "" && encoding !== "identity" && codec === undefined) {
      this.cancel(
        new GrpcError(GRPC_STATUS.internal, `the server answers in grpc-encoding ${encoding}`),
      );
      return;
    }
    this.#reader = new FrameReader({
      codec,
      maxMessageBytes: this.#options.maxMessageBytes,
      onMessage: (message) => this.messages.push(message),
    });
  }

  #onData(bytes: Buffer): void {
    if (this.#done || this.#httpStatus !== 200) return;
    try {
      this.#reader?.push(bytes);
    } catch (error) {
      this.cancel(AppError.from(error));
    }
  }

  #onClose(stream: ClientHttp2Stream): void {
    if (this.#done) return;
    const status = text(this.#trailers?.["grpc-status"]);
    if (/^\d+$/.test(status)) {
      const message = decodeStatusMessage(text(this.#trailers?.["grpc-message"]));
      if (Number(status) !== GRPC_STATUS.ok) {
        this.#complete(new GrpcError(Number(status), message || `the server answered ${status}`));
        return;
      }
      this.#complete(
        this.#reader === undefined || this.#reader.idle
          ? undefined
          : new GrpcError(GRPC_STATUS.dataLoss, "the response ends within a message"),
      );
      return;
    }
    if (this.#httpStatus !== undefined && this.#httpStatus !== 200) {
      this.#complete(
        new GrpcError(
          statusOfHttp(this.#httpStatus),
          `${this.#options.address} answered with HTTP status ${this.#httpStatus}`,
        ),
      );
      return;
    }
    if (stream.rstCode === constants.NGHTTP2_REFUSED_STREAM && !this.#retried) {
      // The server has not looked at the call: once more, on a new connection if this one is leaving.
      this.#retried = true;
      this.#stream = undefined;
      this.#send();
      return;
    }
    this.#complete(resetError(stream.rstCode, this.#options.address));
  }

  #lost(error: unknown): AppError {
    return new GrpcError(
      GRPC_STATUS.unavailable,
      `cannot call ${this.#options.address}: ${messageOf(error)}`,
      { cause: error },
    );
  }

  #complete(error: AppError | undefined): void {
    if (this.#done) return;
    this.messages.finish(error);
    this.#finish();
  }

  #finish(): void {
    this.#done = true;
    this.#cancelDeadline();
    this.#options.signal?.removeEventListener("abort", this.#onAbort);
    this.#options.onDone();
  }
}

function resetError(code: number | undefined, address: string): GrpcError {
  switch (code) {
    case constants.NGHTTP2_CANCEL:
      return new GrpcError(GRPC_STATUS.canceled, `${address} canceled the call`);
    case constants.NGHTTP2_ENHANCE_YOUR_CALM:
      return new GrpcError(GRPC_STATUS.resourceExhausted, `${address} refuses so many calls`);
    case constants.NGHTTP2_NO_ERROR:
    case undefined:
      return new GrpcError(
        GRPC_STATUS.unavailable,
        `the connection to ${address} was lost before the answer was complete`,
      );
    default:
      return new GrpcError(
        GRPC_STATUS.unavailable,
        `${address} reset the call (HTTP/2 error ${code})`,
      );
  }
}

function text(value: string | string[] | undefined): string {
  return value === undefined ? "" : Array.isArray(value) ? value.join(",") : value;
}
