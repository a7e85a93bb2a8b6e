import type { Clock } from "../base/clock.ts";
import { AppError, isAbort, messageOf } from "../base/errors.ts";
import { compressSnappy } from "../base/snappy.ts";
import type { HttpClient } from "../http/client.ts";
import { readText } from "../http/read-body.ts";
import { WRITE_V1, type WriteMessage } from "./write-receiver.ts";

export interface WriteClientOptions {
  readonly client: HttpClient;
  readonly url: string;
  readonly timeoutMs: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly message: WriteMessage;
  readonly retryOn429: boolean;
  readonly clock: Clock;
}

/** What became of one request. */
export type WriteOutcome =
  | { readonly kind: "done"; readonly bytes: number }
  /** Try again, after `afterMs` at the earliest when the receiver says so. */
  | { readonly kind: "retry"; readonly afterMs: number | undefined; readonly reason: string }
  /** Never again. */
  | { readonly kind: "refused"; readonly status: number; readonly reason: string };

const ANSWER_MAX_BYTES = 64 * 1024;
const REASON_MAX_LENGTH = 512;

/** Sends write requests, and tells which may be sent again: those that met no answer, a 5xx, or a 429 if so configured. */
export class WriteClient {
  readonly #options: WriteClientOptions;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(options: WriteClientOptions) {
    this.#options = options;
    const isV1 = options.message === WRITE_V1;
    this.#headers = {
      ...options.headers,
      "content-encoding": "snappy",
      "content-type": isV1
        ? "application/x-protobuf"
        : `application/x-protobuf;proto=${options.message}`,
      "x-prometheus-remote-write-version": isV1 ? "0.1.0" : "2.0.0",
    };
  }

  /** Rejects only when `signal` ends it. */
  async send(
    request: { message: Uint8Array; expectsCounts: boolean; attempt: number },
    signal: AbortSignal,
  ): Promise<WriteOutcome> {
    const { client, url, timeoutMs, message, retryOn429, clock } = this.#options;
    const body = compressSnappy(request.message);
    try {
      const response = await client.request({
        url,
        method: "POST",
        headers:
          request.attempt > 0
            ? { ...this.#headers, "retry-attempt": String(request.attempt) }
            : this.#headers,
        body,
        timeoutMs,
        signal,
      });
      const text = (await readText(response.body, ANSWER_MAX_BYTES))
        .trim()
        .slice(0, REASON_MAX_LENGTH);
      const { status } = response;
      const reason = `server returned HTTP status ${status} ${response.statusText}: ${text}`;
      if (status >= 200 && status < 300) {
        const isUnderstood =
          message === WRITE_V1 ||
          !request.expectsCounts ||
          response.headers.get("x-prometheus-remote-write-samples-written") !== undefined;
        return isUnderstood
          ? { kind: "done", bytes: body.length }
          : {
              kind: "refused",
              status,
              reason:
                "the receiver does not know remote write 2.0: it answered well and stored nothing; use protobuf_message: prometheus.WriteRequest",
            };
      }
      if (status >= 500 || (status === 429 && retryOn429))
        return {
          kind: "retry",
          afterMs: retryAfter(response.headers.get("retry-after"), clock),
          reason,
        };
      return { kind: "refused", status, reason };
    } catch (error) {
      if (signal.aborted || isAbort(error)) throw error;
      if (error instanceof AppError && error.code === "bad-data")
        return { kind: "refused", status: 0, reason: error.message };
      return { kind: "retry", afterMs: undefined, reason: messageOf(error) };
    }
  }

  close(): Promise<void> {
    return this.#options.client.close();
  }
}

/** Seconds or a date, as ms from now; undefined when it is neither. */
function retryAfter(header: string | undefined, clock: Clock): number | undefined {
  if (header === undefined) return undefined;
  if (/^\d+$/.test(header)) return Number(header) * 1000;
  const dateMs = Date.parse(header);
  return Number.isNaN(dateMs) ? undefined : Math.max(0, dateMs - clock.now());
}
