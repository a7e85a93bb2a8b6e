import { decodeXor, xorSampleCount } from "../chunk/xor.ts";
import type { FloatHistogram } from "../model/histogram.ts";
import { type Chunk, ENCODING_XOR } from "./queryable.ts";
import { decodeHistogramChunk, encodeHistogramRun } from "./chunk-encodings.ts";
import { pushXorChunks } from "./xor-chunks.ts";

/** Samples in columns: values as pairs of words, because a NaN's bits do not survive as numbers. */
class Run {
  times = new Float64Array(512);
  values = new Float64Array(512);
  words = new Int32Array(this.values.buffer);
  count = 0;

  /** Makes room for `count` samples; what is there is lost. */
  reserve(count: number): void {
    if (count <= this.times.length) return;
    this.times = new Float64Array(count * 2);
    this.values = new Float64Array(count * 2);
    this.words = new Int32Array(this.values.buffer);
  }

  read(chunk: Chunk): void {
    this.count = xorSampleCount(chunk.data);
    this.reserve(this.count);
    decodeXor(chunk.data, { times: this.times, values: this.values, offset: 0 });
  }

  /** Becomes all samples of `a` and `b`; of two at the same time that of `a`. */
  merge(a: Run, b: Run): void {
    this.reserve(a.count + b.count);
    const { times, words } = this;
    let i = 0;
    let j = 0;
    let k = 0;
    while (i < a.count || j < b.count) {
      const ta = i < a.count ? a.times[i]! : Infinity;
      const tb = j < b.count ? b.times[j]! : Infinity;
      if (ta <= tb) {
        times[k] = ta;
        words[2 * k] = a.words[2 * i]!;
        words[2 * k + 1] = a.words[2 * i + 1]!;
        i++;
        if (ta === tb) j++;
      } else {
        times[k] = tb;
        words[2 * k] = b.words[2 * j]!;
        words[2 * k + 1] = b.words[2 * j + 1]!;
        j++;
      }
      k++;
    }
    this.count = k;
  }
}

const spare = { a: new Run(), b: new Run(), next: new Run() };

/**
 * The chunks of one series from several blocks as one list in order of time without overlap. Chunks that overlap none
 * are passed on as they are, and so is one of several equal ones; chunks that overlap are decoded and made anew, and of
 * samples at the same time the one of the first list stays. Throws `execution` for overlapping chunks of an encoding
 * that cannot be written.
 */
export function mergeChunkLists(lists: readonly (readonly Chunk[])[]): readonly Chunk[] {
  const filled = lists.filter((list) => list.length > 0);
  if (filled.length <= 1) return filled[0] ?? [];
  // Fast path: adjacent blocks have nothing to sort or join.
  if (filled.every((list, i) => i === 0 || list[0]!.minTimeMs > filled[i - 1]!.at(-1)!.maxTimeMs))
    return filled.flat();
  const all = filled
    .flatMap((list, order) => list.map((chunk) => ({ chunk, order })))
    .sort((a, b) => a.chunk.minTimeMs - b.chunk.minTimeMs || a.order - b.order);
  const merged: Chunk[] = [];
  for (let from = 0; from < all.length;) {
    let maxTimeMs = all[from]!.chunk.maxTimeMs;
    let to = from + 1;
    while (to < all.length && all[to]!.chunk.minTimeMs <= maxTimeMs)
      maxTimeMs = Math.max(maxTimeMs, all[to++]!.chunk.maxTimeMs);
    if (to === from + 1) merged.push(all[from]!.chunk);
    else {
      const group = all.slice(from, to).sort((a, b) => a.order - b.order);
      mergeGroup(
        group.map(({ chunk }) => chunk),
        merged,
      );
    }
    from = to;
  }
  return merged;
}

/** Joins chunks that overlap; those that come first win. */
function mergeGroup(chunks: readonly Chunk[], out: Chunk[]): void {
  const unique = chunks.filter(
    (chunk, i) => !chunks.slice(0, i).some((earlier) => sameChunk(earlier, chunk)),
  );
  if (unique.length === 1) {
    out.push(unique[0]!);
    return;
  }
  if (unique.some(({ encoding }) => encoding !== ENCODING_XOR)) {
    mergeMixed(unique, out);
    return;
  }
  let { a: merged, next } = spare;
  merged.read(unique[0]!);
  for (const chunk of unique.slice(1)) {
    spare.b.read(chunk);
    next.merge(merged, spare.b);
    [merged, next] = [next, merged];
  }
  pushXorChunks(out, merged);
}

interface Sample {
  readonly timeMs: number;
  readonly encoding: Chunk["encoding"];
  /** Where the value is: the run and the place in it for a float. */
  readonly run: Run | undefined;
  readonly index: number;
  readonly histogram: FloatHistogram | undefined;
}

/** As `mergeGroup` with histograms among them: rare, so plain objects do. */
function mergeMixed(chunks: readonly Chunk[], out: Chunk[]): void {
  const byTime = new Map<number, Sample>();
  for (const chunk of chunks) {
    const { encoding } = chunk;
    if (encoding === ENCODING_XOR) {
      const run = new Run();
      run.read(chunk);
      for (let index = 0; index < run.count; index++) {
        const timeMs = run.times[index]!;
        if (!byTime.has(timeMs))
          byTime.set(timeMs, { timeMs, encoding, run, index, histogram: undefined });
      }
    } else {
      const { times, histograms } = decodeHistogramChunk(chunk);
      for (const [index, histogram] of histograms.entries()) {
        const timeMs = times[index]!;
        if (!byTime.has(timeMs))
          byTime.set(timeMs, { timeMs, encoding, run: undefined, index, histogram });
      }
    }
  }
  const samples = [...byTime.values()].sort((a, b) => a.timeMs - b.timeMs);
  for (let from = 0; from < samples.length;) {
    const { encoding } = samples[from]!;
    let to = from + 1;
    while (to < samples.length && samples[to]!.encoding === encoding) to++;
    encodeRun(samples.slice(from, to), encoding, out);
    from = to;
  }
}

function encodeRun(samples: readonly Sample[], encoding: Chunk["encoding"], out: Chunk[]): void {
  const times = Float64Array.from(samples, ({ timeMs }) => timeMs);
  if (encoding !== ENCODING_XOR) {
    const histograms = samples.map(({ histogram }) => histogram!);
    out.push(...encodeHistogramRun(encoding, { times, histograms }));
    return;
  }
  const values = new Float64Array(samples.length);
  const words = new Int32Array(values.buffer);
  for (const [i, { run, index }] of samples.entries()) {
    words[2 * i] = run!.words[2 * index]!;
    words[2 * i + 1] = run!.words[2 * index + 1]!;
  }
  pushXorChunks(out, { times, values });
}

function sameChunk(a: Chunk, b: Chunk): boolean {
  return a.encoding === b.encoding && Buffer.compare(a.data, b.data) === 0;
}
