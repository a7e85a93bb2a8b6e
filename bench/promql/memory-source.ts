import { compareText } from "../../src/base/text.ts";
import { compareLabels, type Labels } from "../../src/model/labels.ts";
import {
  type Chunk,
  type LabelRequest,
  type LabelResult,
  type Queryable,
  type SelectRequest,
  type Series,
  type SeriesBatch,
  type SeriesCount,
} from "../../src/storage/queryable.ts";
import { sampled, samplePositions, wantsSample } from "../../src/storage/series-sample.ts";
import { pushXorChunks } from "../../src/storage/xor-chunks.ts";

/** Series held as XOR chunks in memory: the storage of benches and of the engine's own tests. */
export class MemorySource implements Queryable {
  readonly #series: Series[] = [];
  #isSorted = true;
  readonly #batchSize: number;
  readonly #samples: boolean;
  /** How often `select` was called. */
  selectCount = 0;
  /** How many batches it has given. */
  batchCount = 0;

  /** `samples`: whether the first batch has a sample for who asks. Default: no. */
  constructor(options: { batchSize?: number; samples?: boolean } = {}) {
    this.#samples = options.samples ?? false;
    this.#batchSize = options.batchSize ?? 1000;
  }

  /** Adds a series; columns in time order, at most once per label set. */
  add(labels: Labels, times: Float64Array, values: Float64Array): void {
    this.addChunks(labels, pushXorChunks([], { times, values }));
  }

  addChunks(labels: Labels, chunks: readonly Chunk[]): void {
    this.#series.push({ labels, chunks });
    this.#isSorted = false;
  }

  async *select(request: SelectRequest): AsyncGenerator<SeriesBatch> {
    this.selectCount++;
    const { minTimeMs, maxTimeMs } = request;
    const matching = [...this.#matching(request)];
    let told: Pick<SeriesBatch, "expected"> = {
      expected: {
        atLeast: 0,
        atMost: matching.length,
        ...(this.#samples && sampleOf(matching, request)),
      },
    };
    let batch: Series[] = [];
    for (const { labels, chunks } of matching) {
      const inRange = chunks.filter(
        (chunk) => chunk.maxTimeMs >= minTimeMs && chunk.minTimeMs <= maxTimeMs,
      );
      if (inRange.length === 0) continue;
      batch.push({ labels, chunks: request.skipChunks === true ? [] : inRange });
      if (batch.length < this.#batchSize) continue;
      this.batchCount++;
      yield { series: batch, ...told };
      batch = [];
      told = {};
    }
    if (batch.length === 0) return;
    this.batchCount++;
    yield { series: batch, ...told };
  }

  async labelNames(request: LabelRequest): Promise<LabelResult> {
    const names = new Set<string>();
    for (const { labels } of this.#matching(request)) for (const [name] of labels) names.add(name);
    return { values: [...names].sort(compareText), warnings: [] };
  }

  async labelValues(name: string, request: LabelRequest): Promise<LabelResult> {
    const values = new Set<string>();
    for (const { labels } of this.#matching(request))
      if (labels.has(name)) values.add(labels.get(name));
    return { values: [...values].sort(compareText), warnings: [] };
  }

  *#matching({ matchers }: { matchers: SelectRequest["matchers"] }): Generator<Series> {
    if (!this.#isSorted) this.#series.sort((a, b) => compareLabels(a.labels, b.labels));
    this.#isSorted = true;
    for (const series of this.#series)
      if (matchers.every((matcher) => matcher.matches(series.labels.get(matcher.name))))
        yield series;
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
