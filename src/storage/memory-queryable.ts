import { compareText } from "../base/text.ts";
import type { Matcher } from "../model/matcher.ts";
import { mergeTexts, sortSeries } from "./merge.ts";
import type {
  LabelRequest,
  LabelResult,
  Queryable,
  SelectRequest,
  Series,
  SeriesBatch,
  SeriesCount,
} from "./queryable.ts";
import { sampled, samplePositions, wantsSample } from "./series-sample.ts";

/** Fixed series as a Queryable: the plainest source there is, for tests, benches and small derived data. */
export class MemoryQueryable implements Queryable {
  readonly #series: readonly Series[];
  readonly #batchSize: number;

  /** `series` in any order; equal labels are joined. Default batch size 1,000. */
  constructor(series: readonly Series[], options: { batchSize?: number } = {}) {
    this.#series = sortSeries([...series]);
    this.#batchSize = options.batchSize ?? 1000;
  }

  async *select(request: SelectRequest): AsyncGenerator<SeriesBatch> {
    const without = new Set(request.withoutReplicaLabels);
    const found = this.#find(request).map((series) => this.#inRange(series, request));
    const sorted =
      without.size === 0
        ? found
        : sortSeries(
            found.map(({ labels, chunks }) => ({ labels: labels.without(without), chunks })),
          );
    const end = Math.min(sorted.length, request.limit || Infinity);
    const expected = { atLeast: end, atMost: end, ...sampleOf(sorted, request) };
    for (let i = 0; i < end; i += this.#batchSize) {
      request.signal?.throwIfAborted();
      const series = sorted.slice(i, Math.min(i + this.#batchSize, end));
      yield { series, ...(i === 0 && { expected }) };
    }
  }

  labelNames(request: LabelRequest): Promise<LabelResult> {
    const names = this.#find(request).flatMap(({ labels }) => [...labels].map(([name]) => name));
    return Promise.resolve(labelResult(names, request));
  }

  labelValues(name: string, request: LabelRequest): Promise<LabelResult> {
    const values = this.#find(request).map(({ labels }) => labels.get(name));
    return Promise.resolve(labelResult(values, request));
  }

  #inRange(series: Series, request: SelectRequest): Series {
    if (request.skipChunks === true) return { labels: series.labels, chunks: [] };
    if (series.chunks.every((chunk) => overlaps(chunk, request))) return series;
    return {
      labels: series.labels,
      chunks: series.chunks.filter((chunk) => overlaps(chunk, request)),
    };
  }

  #find(request: LabelRequest): readonly Series[] {
    const matches = ({ labels }: Series): boolean =>
      request.matchers.every((matcher: Matcher) => matcher.matches(labels.get(matcher.name)));
    return this.#series.filter(
      (series) => series.chunks.some((chunk) => overlaps(chunk, request)) && matches(series),
    );
  }
}

function sampleOf(series: readonly Series[], request: SelectRequest): Pick<SeriesCount, "samples"> {
  const of = series.length;
  if (!wantsSample(request, of)) return {};
  const chunkLists = Array.from(samplePositions(of, request), (i) => sampled(series[i]!.chunks));
  return {
    samples: [
      { chunkLists, size: chunkLists.length, of, minTimeMs: -Infinity, maxTimeMs: Infinity },
    ],
  };
}

function overlaps(
  chunk: { minTimeMs: number; maxTimeMs: number },
  range: { minTimeMs: number; maxTimeMs: number },
): boolean {
  return chunk.minTimeMs <= range.maxTimeMs && chunk.maxTimeMs >= range.minTimeMs;
}

function labelResult(texts: readonly string[], { limit }: LabelRequest): LabelResult {
  const unique = [...new Set(texts)].filter((text) => text !== "").sort(compareText);
  return { values: mergeTexts([unique], limit), warnings: [] };
}
