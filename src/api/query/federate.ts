import { Readable } from "node:stream";
import type { FastifyInstance } from "fastify";
import { isStaleWords } from "../../base/float.ts";
import { compareText } from "../../base/text.ts";
import { decodeXor, xorSampleCount } from "../../chunk/xor.ts";
import { TEXT_CONTENT_TYPE, TextWriter } from "../../exposition/write.ts";
import { compareLabels, type Labels, METRIC_NAME } from "../../model/labels.ts";
import { ENCODING_XOR, type Series } from "../../storage/queryable.ts";
import { parametersOf } from "../server.ts";
import type { ReadApiDependencies } from "./dependencies.ts";
import { readOptions } from "./parameters.ts";
import { clientSignal } from "./send.ts";
import { selectorsOf } from "./series-routes.ts";

/** Text that is collected before a piece of the answer goes out. */
const PIECE_CHARS = 64 * 1024;

interface Newest {
  readonly labels: Labels;
  readonly timeMs: number;
  readonly value: number;
}

/**
 * `/federate`: the newest sample within the lookback of every series that a match[] selects, as text exposition, so
 * that another Prometheus can scrape it with honor_labels. Series whose newest sample is a staleness marker are left out.
 */
export function registerFederate(
  app: FastifyInstance,
  { queryable, clock, lookbackMs, externalLabels }: ReadApiDependencies,
): void {
  app.get("/federate", async (request, reply) => {
    const parameters = parametersOf(request);
    const selectors = selectorsOf(parameters);
    // As in Prometheus: what others hold, they federate themselves.
    const series = queryable({ ...readOptions(parameters), localOnly: true });
    const signal = clientSignal(request, reply);
    const maxTimeMs = clock.now();
    // Left-open window, as every lookback: a sample exactly one lookback old is too old.
    const minTimeMs = maxTimeMs - lookbackMs + 1;
    const found = new Map<string, Newest>();
    const reader = new NewestSample(minTimeMs, maxTimeMs);
    for (const matchers of selectors) {
      for await (const batch of series.select({ matchers, minTimeMs, maxTimeMs, signal })) {
        for (const one of batch.series) {
          const newest = reader.read(one);
          if (newest !== undefined) found.set(one.labels.key(), newest);
        }
      }
    }
    const samples = [...found.values()].sort(
      (a, b) =>
        compareText(a.labels.get(METRIC_NAME), b.labels.get(METRIC_NAME)) ||
        compareLabels(a.labels, b.labels),
    );
    const external = Object.entries(externalLabels()).sort(([a], [b]) => compareText(a, b));
    return reply
      .type(TEXT_CONTENT_TYPE)
      .send(Readable.from(render(samples, external), { objectMode: false }));
  });
}

function* render(
  samples: readonly Newest[],
  external: readonly (readonly [string, string])[],
): Generator<Buffer> {
  const writer = new TextWriter();
  for (const { labels, timeMs, value } of samples) {
    const extraLabels = external.filter(([name]) => !labels.has(name));
    // Without an instance of its own a series would get the federating server's: the empty one prevents that.
    if (!labels.has("instance") && !extraLabels.some(([name]) => name === "instance"))
      extraLabels.unshift(["instance", ""]);
    writer.write({ labels, value, timestampMs: timeMs, extraLabels });
    if (writer.pendingSize > PIECE_CHARS) yield Buffer.from(writer.take());
  }
  yield Buffer.from(writer.take());
}

/** Finds the newest sample of a series within a time range, with one pair of columns for all series. */
class NewestSample {
  readonly #minTimeMs: number;
  readonly #maxTimeMs: number;
  #times = new Float64Array(256);
  #values = new Float64Array(256);
  #words = new Uint32Array(this.#values.buffer);

  constructor(minTimeMs: number, maxTimeMs: number) {
    this.#minTimeMs = minTimeMs;
    this.#maxTimeMs = maxTimeMs;
  }

  /** Undefined when there is none, or it is a staleness marker. */
  read(series: Series): Newest | undefined {
    let newest: Newest | undefined;
    let isStale = false;
    for (const chunk of series.chunks) {
      if (
        chunk.encoding !== ENCODING_XOR ||
        chunk.maxTimeMs < this.#minTimeMs ||
        chunk.minTimeMs > this.#maxTimeMs
      )
        continue;
      this.#reserve(xorSampleCount(chunk.data));
      const count = decodeXor(chunk.data, { times: this.#times, values: this.#values, offset: 0 });
      let i = count - 1;
      while (i >= 0 && this.#times[i]! > this.#maxTimeMs) i--;
      if (
        i < 0 ||
        this.#times[i]! < this.#minTimeMs ||
        (newest !== undefined && this.#times[i]! <= newest.timeMs)
      )
        continue;
      newest = { labels: series.labels, timeMs: this.#times[i]!, value: this.#values[i]! };
      isStale = isStaleWords(this.#words, i);
    }
    return isStale ? undefined : newest;
  }

  #reserve(count: number): void {
    if (count <= this.#times.length) return;
    this.#times = new Float64Array(2 * count);
    this.#values = new Float64Array(2 * count);
    this.#words = new Uint32Array(this.#values.buffer);
  }
}
