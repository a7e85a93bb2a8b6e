import type { Series } from "../storage/queryable.ts";

/** A frame is closed at this size; a series larger than it continues in the next frame. Thanos has the same limit. */
export const MAX_FRAME_BYTES = 1024 * 1024;

/** Most series a client may ask for in one frame. */
export const MAX_BATCH_SERIES = 10_000;

/** The content of a frame: some series, or a warning. */
export type FramePart = readonly Series[] | string;

/** Cuts a series stream into frames of up to `batchSize` series (0 or 1: one series per frame) and about 1 MiB. */
export class SeriesFramer {
  readonly #batchSize: number;
  #pending: Series[] = [];
  #pendingBytes = 0;
  #frames: FramePart[] = [];

  constructor(batchSize: number) {
    this.#batchSize = Math.min(Math.max(batchSize, 1), MAX_BATCH_SERIES);
  }

  /** Whether `take` has something to give. */
  get hasFrames(): boolean {
    return this.#frames.length > 0;
  }

  /** The finished frames, in order. */
  take(): readonly FramePart[] {
    const frames = this.#frames;
    this.#frames = [];
    return frames;
  }

  add(series: Series): void {
    let size = labelBytes(series);
    let from = 0;
    for (let i = 0; i < series.chunks.length; i++) {
      const chunkBytes = series.chunks[i]!.data.length + CHUNK_OVERHEAD_BYTES;
      if (this.#pendingBytes + size + chunkBytes > MAX_FRAME_BYTES && i > from) {
        this.#pending.push({ labels: series.labels, chunks: series.chunks.slice(from, i) });
        this.flush();
        from = i;
        size = labelBytes(series);
      }
      size += chunkBytes;
    }
    this.#pending.push(from === 0 ? series : { ...series, chunks: series.chunks.slice(from) });
    this.#pendingBytes += size;
    if (this.#pending.length >= this.#batchSize || this.#pendingBytes >= MAX_FRAME_BYTES)
      this.flush();
  }

  /** Finishes the frame of what is pending, if anything is. */
  flush(): void {
    if (this.#pending.length === 0) return;
    this.#frames.push(this.#pending);
    this.#pending = [];
    this.#pendingBytes = 0;
  }

  /** A warning keeps its place between the series. */
  warning(text: string): void {
    this.flush();
    this.#frames.push(text);
  }
}

/** Times, type, lengths and keys around a chunk's data. */
const CHUNK_OVERHEAD_BYTES = 32;

function labelBytes({ labels }: Series): number {
  const { packed } = labels;
  let size = 16;
  if (packed !== undefined) return size + packed.to - packed.from;
  for (let i = 0; i < labels.count; i++)
    size += labels.nameAt(i).length + labels.valueAt(i).length + 8;
  return size;
}
