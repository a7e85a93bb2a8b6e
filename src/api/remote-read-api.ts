import { Readable } from "node:stream";
import type { FastifyInstance, FastifyReply } from "fastify";
import { AppError } from "../base/errors.ts";
import type { Registry } from "../base/metrics.ts";
import { decompressSnappy } from "../base/snappy.ts";
import { LabelBuilder } from "../model/label-builder.ts";
import { STREAMED_TYPE } from "../remote/read-answer.ts";
import {
  decodeReadRequest,
  type ReadQuery,
  type ReadRequest,
  withoutExternalLabels,
} from "../remote/read-request.ts";
import { encodeSeriesFrames, SamplesResponse } from "../remote/read-response.ts";
import type { Queryable, SeriesBatch } from "../storage/queryable.ts";
import { relabelSeries } from "../storage/relabel-series.ts";

/** Where other Prometheus servers read from: `POST /api/v1/read` (docs/remote.md). */
export interface RemoteReadApiOptions {
  readonly queryable: () => Queryable;
  /** Put on series that lack them. */
  readonly externalLabels: () => Readonly<Record<string, string>>;
  readonly registry: Registry;
  /** Most samples in an answer that is not streamed; 0: no limit. */
  readonly sampleLimit: number;
  /** Requests answered at the same time; further ones wait. */
  readonly concurrentLimit: number;
  /** About so large are the frames of a streamed answer. */
  readonly maxFrameBytes: number;
}

/** A request unpacked: queries and their matchers, never more than a few KB. */
export const READ_REQUEST_MAX_BYTES = 32 * 1024 * 1024;
/** Frames go out in pieces of about this size. */
const PIECE_BYTES = 64 * 1024;

export function registerRemoteReadApi(app: FastifyInstance, options: RemoteReadApiOptions): void {
  const gate = new Gate(options.concurrentLimit);
  options.registry.collect(
    {
      name: "prometheus_api_remote_read_queries",
      help: "The current number of remote read queries being executed or waiting.",
      type: "gauge",
    },
    {},
    () => gate.size,
  );
  app.post("/api/v1/read", { bodyLimit: READ_REQUEST_MAX_BYTES }, async (request, reply) => {
    const read = decode(request.body);
    const abort = new AbortController();
    const { raw } = reply;
    raw.once("close", () => abort.abort());
    await gate.enter(abort.signal);
    if (raw.closed) gate.leave();
    else raw.once("close", () => gate.leave());
    if (!read.isStreamed)
      return reply
        .header("Content-Type", "application/x-protobuf")
        .header("Content-Encoding", "snappy")
        .send(await collectSamples(read, options, abort.signal));
    const frames = streamFrames(read, options, abort.signal);
    // Errors before the first frame are answered as errors; later ones cut the connection.
    return sendStream(reply, await frames.next(), frames);
  });
}

function decode(body: unknown): ReadRequest {
  try {
    return decodeReadRequest(
      decompressSnappy(Buffer.isBuffer(body) ? body : new Uint8Array(0), READ_REQUEST_MAX_BYTES),
    );
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw new AppError("bad-data", error.message, { cause: error });
  }
}

/** The series of one query, with the external labels. */
function select(
  query: ReadQuery,
  options: RemoteReadApiOptions,
  signal: AbortSignal,
): AsyncIterable<SeriesBatch> {
  const external = options.externalLabels();
  const names = Object.keys(external);
  const { minTimeMs, maxTimeMs, hints } = query;
  const batches = options.queryable().select({
    matchers: withoutExternalLabels(query.matchers, external),
    minTimeMs,
    maxTimeMs,
    signal,
    ...(hints !== undefined && { hints }),
  });
  if (names.length === 0) return batches;
  const builder = new LabelBuilder();
  return relabelSeries(batches, {
    names,
    change({ labels, chunks }) {
      builder.reset(labels);
      for (const name of names) if (builder.get(name) === "") builder.set(name, external[name]!);
      return { labels: builder.labels(), chunks };
    },
  });
}

async function* streamFrames(
  read: ReadRequest,
  options: RemoteReadApiOptions,
  signal: AbortSignal,
): AsyncGenerator<Buffer, void, undefined> {
  const { maxFrameBytes } = options;
  let held: Buffer[] = [];
  let size = 0;
  for (const [queryIndex, query] of read.queries.entries())
    for await (const { series } of select(query, options, signal))
      for (const one of series)
        for (const frame of encodeSeriesFrames(one, { queryIndex, maxFrameBytes })) {
          held.push(frame);
          size += frame.length;
          if (size < PIECE_BYTES) continue;
          yield Buffer.concat(held);
          held = [];
          size = 0;
        }
  if (size > 0) yield Buffer.concat(held);
}

function sendStream(
  reply: FastifyReply,
  first: IteratorResult<Buffer, void>,
  rest: AsyncGenerator<Buffer, void, undefined>,
): FastifyReply {
  async function* all(): AsyncGenerator<Buffer> {
    if (first.done !== true) {
      yield first.value;
      yield* rest;
    }
  }
  return reply
    .header("Content-Type", `${STREAMED_TYPE}; proto=prometheus.ChunkedReadResponse`)
    .send(Readable.from(all(), { objectMode: false }));
}

async function collectSamples(
  read: ReadRequest,
  options: RemoteReadApiOptions,
  signal: AbortSignal,
): Promise<Buffer> {
  const response = new SamplesResponse(options.sampleLimit);
  for (const query of read.queries) {
    for await (const { series } of select(query, options, signal))
      for (const one of series) response.add(one, query);
    response.endQuery();
  }
  return response.finish();
}

/** Lets so many in at a time; the others wait in order. */
class Gate {
  readonly #limit: number;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(limit: number) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#running + this.#waiting.length;
  }

  /** Rejects with `canceled` when `signal` ends the wait. */
  async enter(signal: AbortSignal): Promise<void> {
    if (this.#running < this.#limit) {
      this.#running++;
      return;
    }
    await new Promise<void>((resolve, reject) => {
      const enter = (): void => {
        signal.removeEventListener("abort", leave);
        resolve();
      };
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(enter), 1);
        reject(new AppError("canceled", "the reader has gone away"));
      };
      signal.addEventListener("abort", leave, { once: true });
      this.#waiting.push(enter);
    });
  }

  leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running--;
    else next();
  }
}
