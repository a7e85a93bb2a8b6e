import { AppError } from "../base/errors.ts";
import type { Counter, Registry } from "../base/metrics.ts";
import type { RemoteReadConfig } from "../config/types.ts";
import type { HttpClient, HttpResponse } from "../http/client.ts";
import { readBytes, readText } from "../http/read-body.ts";
import type { Matcher } from "../model/matcher.ts";
import { sortSeries } from "../storage/merge.ts";
import type { SelectHints, Series } from "../storage/queryable.ts";
import {
  decodeFrames,
  decodeReadResponse,
  encodeReadRequest,
  READ_HEADERS,
  STREAMED_TYPE,
} from "./read-answer.ts";

/** A whole answer of one remote, as sent: it is held until its last byte is there. */
export const READ_ANSWER_MAX_BYTES = 512 * 1024 * 1024;
const ERROR_MAX_BYTES = 1024;
const SAMPLES_TYPE = "application/x-protobuf";

export interface ReadClientOptions {
  readonly client: HttpClient;
  readonly registry: Registry;
  /** Default `READ_ANSWER_MAX_BYTES`. */
  readonly answerMaxBytes?: number;
}

export interface RemoteQuery {
  readonly matchers: readonly Matcher[];
  /** Inclusive, ms. */
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
  readonly hints?: SelectHints;
  readonly signal?: AbortSignal;
}

/** Asks one endpoint of `remote_read`. */
export class ReadClient {
  readonly config: RemoteReadConfig;
  readonly #options: ReadClientOptions;
  readonly #labels: Readonly<Record<string, string>>;
  #underWay = 0;
  #isRetired = false;

  constructor(config: RemoteReadConfig, options: ReadClientOptions) {
    this.config = config;
    this.#options = options;
    const name = config.name === "" ? config.fingerprint.slice(0, 6) : config.name;
    this.#labels = { remote_name: name, url: config.shownUrl };
    options.registry.collect(
      {
        name: "prometheus_remote_read_client_queries",
        help: "The number of in-flight remote read queries.",
        type: "gauge",
      },
      this.#labels,
      () => this.#underWay,
    );
  }

  /** The series in order, all of them or none; rejects with why there are none. */
  async read(query: RemoteQuery): Promise<Series[]> {
    this.#underWay++;
    try {
      return sortSeries(await this.#read(query));
    } finally {
      this.#underWay--;
      await this.#closeIdle();
    }
  }

  /** Closes it once the queries under way have ended. */
  async retire(): Promise<void> {
    this.#isRetired = true;
    await this.#closeIdle();
  }

  async #closeIdle(): Promise<void> {
    if (this.#isRetired && this.#underWay === 0) await this.#options.client.close();
  }

  async #read({ signal, ...query }: RemoteQuery): Promise<Series[]> {
    const { url, headers, remoteTimeoutMs, chunkedReadLimitBytes } = this.config;
    const response = await this.#options.client.request({
      url,
      method: "POST",
      headers: { ...headers, ...READ_HEADERS },
      body: encodeReadRequest(query),
      timeoutMs: remoteTimeoutMs,
      ...(signal !== undefined && { signal }),
    });
    const maxBytes = this.#options.answerMaxBytes ?? READ_ANSWER_MAX_BYTES;
    const type = response.headers.get("content-type") ?? "";
    const kind = kindOf(type);
    const count = this.#counter(kind, String(response.status));
    if (Math.floor(response.status / 100) !== 2) {
      count.inc();
      throw await refusal(response);
    }
    if (kind === "chunked") {
      try {
        const series: Series[] = [];
        const body = limited(response.body, maxBytes);
        for await (const frame of decodeFrames(body, chunkedReadLimitBytes)) series.push(...frame);
        count.inc();
        return series;
      } catch (error) {
        this.#counter(kind, "aborted_stream").inc();
        throw error;
      }
    }
    count.inc();
    if (kind === "sampled") return decodeReadResponse(await readBytes(response.body, maxBytes));
    throw new AppError("unavailable", `unsupported content type: ${type}`);
  }

  #counter(kind: string, code: string): Counter {
    return this.#options.registry.counter(
      "prometheus_remote_read_client_queries_total",
      "The total number of remote read queries.",
      { ...this.#labels, response_type: kind, code },
    );
  }
}

function kindOf(contentType: string): "chunked" | "sampled" | "unsupported" {
  if (contentType.startsWith(STREAMED_TYPE)) return "chunked";
  return contentType.startsWith(SAMPLES_TYPE) ? "sampled" : "unsupported";
}

async function refusal({ status, statusText, body }: HttpResponse): Promise<AppError> {
  const text = await readText(body, ERROR_MAX_BYTES).catch(() => "");
  const reason = `server returned HTTP status ${status} ${statusText}`.trim();
  return new AppError("unavailable", `${reason}: ${text.trim()}`);
}

async function* limited(
  body: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Uint8Array> {
  let size = 0;
  for await (const piece of body) {
    size += piece.length;
    if (size > maxBytes)
      throw new AppError("resource-exhausted", `cannot read body: more than ${maxBytes} bytes`);
    yield piece;
  }
}
