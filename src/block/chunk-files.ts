import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { AppError } from "../base/errors.ts";
import { uint32At } from "../index/byte-cursor.ts";
import {
  type ByteSource,
  openFileSource,
  planWindows,
  readGroups,
  type Window,
} from "../index/byte-source.ts";
import { FileWriter } from "../index/file-writer.ts";
import { corruptAt } from "../index/section.ts";
import { withRead, withRoom } from "../index/spare-memory.ts";
import type { Chunk } from "../storage/queryable.ts";
import { ChunkFrames, type ChunkPlaces } from "./chunk-frames.ts";

/** Chunk segment files, `chunks/000001` and so on. Format: docs/format/block.md. */
export const CHUNKS_FOLDER = "chunks";
const MAGIC = 0x85bd40dd;
const VERSION = 1;
const HEADER_BYTES = 8;
/** A segment is closed before it grows beyond this; Prometheus's figure. */
export const SEGMENT_MAX_BYTES = 512 * 1024 * 1024;
const TWO_32 = 4294967296;
/** No chunk is larger: what says otherwise is damage, and nothing is allocated for it. */
const CHUNK_MAX_BYTES = 64 * 1024 * 1024;
/** Chunks nearer than this are read together. */
const GAP_BYTES = 16 * 1024;
const READ_MAX_BYTES = 1024 * 1024;
/** Read behind the last chunk of a piece: most chunks are below 1 KiB. */
const TAIL_BYTES = 1280;

/** Where a chunk is and what the index says about it. */
export interface ChunkPlace {
  /** Segment number × 2^32 + offset, segments counted from 0. */
  readonly ref: number;
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
}

/** Reads chunks by their refs. */
export class ChunkFiles {
  readonly #segments: readonly ByteSource[];

  private constructor(segments: readonly ByteSource[]) {
    this.#segments = segments;
  }

  /** Opens the segments, which it then owns. Throws `corrupt` when one has a wrong header. */
  static async open(segments: readonly ByteSource[]): Promise<ChunkFiles> {
    for (const segment of segments) {
      if (segment.size < HEADER_BYTES) throw corruptAt(segment, 0, "the segment has no header");
      const header = await segment.read(0, HEADER_BYTES);
      if (uint32At(header, 0) !== MAGIC)
        throw corruptAt(segment, 0, "this is no chunk segment: the magic number is wrong");
      if (header[4] !== VERSION) throw corruptAt(segment, 4, `unknown version ${header[4]}`);
    }
    return new ChunkFiles(segments);
  }

  static async openFolder(folder: string): Promise<ChunkFiles> {
    const segments: ByteSource[] = [];
    try {
      for (const name of await segmentNames(folder))
        segments.push(await openFileSource(join(folder, CHUNKS_FOLDER, name)));
      return await ChunkFiles.open(segments);
    } catch (error) {
      for (const segment of segments) await segment.close();
      throw error;
    }
  }

  /** Bytes of all segments. */
  get size(): number {
    return this.#segments.reduce((total, { size }) => total + size, 0);
  }

  async close(): Promise<void> {
    for (const segment of this.#segments) await segment.close();
  }

  /**
   * The chunks at `places` in that order, each checked against its checksum. Places in ascending order, as a block's
   * series have them, are read in few pieces; `data` of those of one piece shares a buffer that holds little else.
   */
  read(places: readonly ChunkPlace[]): Promise<Chunk[]> {
    const chunks = {
      refs: Float64Array.from(places, ({ ref }) => ref),
      minTimes: Float64Array.from(places, ({ minTimeMs }) => minTimeMs),
      maxTimes: Float64Array.from(places, ({ maxTimeMs }) => maxTimeMs),
    };
    return this.readChunks(chunks, { from: 0, to: places.length });
  }

  /** As `read` for the chunks `from` (inclusive) to `to` (exclusive) of `places`. */
  async readChunks(
    places: ChunkPlaces,
    { from, to }: { from: number; to: number },
  ): Promise<Chunk[]> {
    const refs = places.refs.subarray(from, to);
    const offsets = offsetsOf(refs);
    const frames = new ChunkFrames();
    const chunks: Chunk[] = [];
    for (const { windows, size } of readGroups(this.#windows(refs, offsets))) {
      const first = windows[0]!.from;
      const count = windows.at(-1)!.to - first;
      const readTo = async (room: Uint8Array<ArrayBuffer>): Promise<void> => {
        frames.bytes = room;
        frames.reset(places, { from: from + first, to: from + first + count, size });
        await readWindows(windows, { offsets, start: 0, first }, frames);
      };
      // Far apart: what lies between them is not kept.
      if (size > count * TAIL_BYTES)
        await withRoom(size, async (room) => {
          await readTo(room);
          frames.pack(count);
        });
      else await readTo(new Uint8Array(size));
      checkFrames(windows, { offsets, first }, frames);
      for (let i = 0; i < count; i++) chunks.push(frames.chunk(i));
    }
    return chunks;
  }

  /** The chunks `from` (inclusive) to `to` (exclusive) of `chunks`, checked as by `read`, into `frames` from 0 on. */
  async readFrames(
    chunks: ChunkPlaces,
    range: { from: number; to: number },
    frames: ChunkFrames,
  ): Promise<void> {
    const refs = chunks.refs.subarray(range.from, range.to);
    const offsets = offsetsOf(refs);
    const windows = [...this.#windows(refs, offsets)];
    const size = windows.reduce((total, { start, end }) => total + end - start, 0);
    frames.reset(chunks, { ...range, size });
    let start = 0;
    for (const group of readGroups(windows)) {
      await readWindows(group.windows, { offsets, start, first: 0 }, frames);
      checkFrames(group.windows, { offsets, first: 0 }, frames);
      start += group.size;
    }
  }

  /** Calls `use` with the bytes of chunks at `refs` as they are, piece by piece: nothing is checked. */
  async forEachPiece(
    refs: Float64Array,
    use: (piece: ChunkPiece) => void | Promise<void>,
  ): Promise<void> {
    const offsets = offsetsOf(refs);
    for (const window of this.#windows(refs, offsets))
      await withRead(window.segment, window, (bytes) =>
        use({
          bytes,
          from: window.from,
          starts: offsets.subarray(window.from, window.to).map((offset) => offset - window.start),
        }),
      );
  }

  /** What is to be read together of the chunks at `refs`, which lie at `offsets` in their segments. */
  *#windows(refs: Float64Array, offsets: Float64Array): Generator<SegmentWindow> {
    for (let from = 0; from < refs.length;) {
      const segmentNumber = Math.floor(refs[from]! / TWO_32);
      let to = from + 1;
      while (
        to < refs.length &&
        refs[to]! > refs[to - 1]! &&
        Math.floor(refs[to]! / TWO_32) === segmentNumber
      )
        to++;
      const segment = this.#segments[segmentNumber];
      if (segment === undefined)
        throw new AppError(
          "corrupt",
          `cannot read ${this.#segments[0]?.name ?? "chunks"}: the index names segment ${segmentNumber + 1}, and there are ${this.#segments.length}`,
        );
      for (let i = from; i < to; i++)
        if (offsets[i]! < HEADER_BYTES || offsets[i]! + 6 > segment.size)
          throw corruptAt(segment, offsets[i]!, "the index names a chunk outside the segment");
      const options = { from, to, gap: GAP_BYTES, tail: TAIL_BYTES, limit: segment.size };
      for (const window of planWindows(offsets, { ...options, maxBytes: READ_MAX_BYTES }))
        yield { ...window, segment };
      from = to;
    }
  }
}

/** Where the chunks at `refs` are in their segments. */
function offsetsOf(refs: Float64Array): Float64Array<ArrayBuffer> {
  const offsets = new Float64Array(refs.length);
  // Division and rounding are instructions, the remainder of large numbers is a call.
  for (let i = 0; i < refs.length; i++)
    offsets[i] = refs[i]! - Math.floor(refs[i]! / TWO_32) * TWO_32;
  return offsets;
}

/** Chunks of a segment that are read at once. */
interface SegmentWindow extends Window {
  readonly segment: ByteSource;
}

/** Reads `windows` into the bytes of the frames from `start` on, one behind the other; chunk `first` becomes frame 0. */
async function readWindows(
  windows: readonly SegmentWindow[],
  { offsets, start, first }: { offsets: Float64Array; start: number; first: number },
  frames: ChunkFrames,
): Promise<void> {
  const starts: number[] = [];
  let at = start;
  for (const window of windows) {
    starts.push(at);
    at += window.end - window.start;
  }
  const { bytes } = frames;
  await Promise.all(
    windows.map((window, k) => {
      const room = bytes.subarray(starts[k]!, starts[k]! + window.end - window.start);
      return window.segment.readInto(room, window.start);
    }),
  );
  for (const [k, window] of windows.entries())
    await placeFrames(window, { offsets, start: starts[k]!, first }, frames);
}

/** Finds the frames of `window`, whose bytes are at `start`, and reads what is missing of its last ones. */
async function placeFrames(
  { segment, from, to, start: windowStart, end: windowEnd }: SegmentWindow,
  { offsets, start, first }: { offsets: Float64Array; start: number; first: number },
  frames: ChunkFrames,
): Promise<void> {
  const end = start + (windowEnd - windowStart);
  for (let i = from; i < to; i++) {
    const offset = offsets[i]!;
    const frame = i - first;
    const at = start + (offset - windowStart);
    const frameSize = frames.measure(frame, at, end);
    if (frameSize === 0 || frameSize > CHUNK_MAX_BYTES || offset + frameSize > segment.size)
      throw corruptAt(segment, offset, "a chunk has an impossible length");
    if (at + frameSize <= end) continue;
    const held = frames.append(frameSize);
    await segment.readInto(frames.bytes.subarray(held, held + frameSize), offset);
    frames.measure(frame, held, held + frameSize);
  }
}

function checkFrames(
  windows: readonly SegmentWindow[],
  { offsets, first }: { offsets: Float64Array; first: number },
  frames: ChunkFrames,
): void {
  for (const { segment, from, to } of windows) {
    const wrong = first + frames.firstWrong({ from: from - first, to: to - first });
    if (wrong < to) throw corruptAt(segment, offsets[wrong]!, "a chunk has a wrong checksum");
  }
}

/** Chunks that were read together. */
export interface ChunkPiece {
  /** Lent. */
  readonly bytes: Uint8Array;
  /** The place of the first of them among those asked for. */
  readonly from: number;
  /** Where each starts in `bytes`; the last one may reach beyond their end. */
  readonly starts: Float64Array;
}

/** The names of the segments in a block's folder, in order: `000001`, `000002`, … without a gap. */
export async function segmentNames(folder: string): Promise<string[]> {
  const names = (await readdir(join(folder, CHUNKS_FOLDER)))
    .filter((name) => /^\d{6,}$/.test(name))
    .sort((a, b) => Number(a) - Number(b));
  for (const [i, name] of names.entries())
    if (Number(name) !== i + 1)
      throw new AppError(
        "corrupt",
        `cannot open ${join(folder, CHUNKS_FOLDER)}: segment ${segmentName(i + 1)} is missing`,
      );
  return names;
}

function segmentName(number: number): string {
  return String(number).padStart(6, "0");
}

/** Writes chunks one behind the other into new segments. */
export class ChunkFilesWriter {
  readonly #folder: string;
  readonly #maxBytes: number;
  #out: FileWriter | undefined;
  #segment = 0;
  chunkCount = 0;

  private constructor(folder: string, maxBytes: number) {
    this.#folder = folder;
    this.#maxBytes = maxBytes;
  }

  /** Makes `chunks/` in `folder` with its first segment. */
  static async create(
    folder: string,
    options: { segmentMaxBytes?: number } = {},
  ): Promise<ChunkFilesWriter> {
    await mkdir(join(folder, CHUNKS_FOLDER));
    const writer = new ChunkFilesWriter(
      join(folder, CHUNKS_FOLDER),
      options.segmentMaxBytes ?? SEGMENT_MAX_BYTES,
    );
    await writer.#open();
    return writer;
  }

  /** Writes a chunk and gives its ref, unless `makeRoom` is needed first: then undefined. */
  add(encoding: number, data: Uint8Array): number | undefined {
    const out = this.#out!;
    const offset = out.position;
    if (offset > HEADER_BYTES && offset + data.length + 16 > this.#maxBytes) return undefined;
    out.putUvarint(data.length);
    const from = out.position;
    out.putU8(encoding);
    out.putBytes(data);
    out.putU32(out.checksumFrom(from));
    this.chunkCount++;
    return (this.#segment - 1) * TWO_32 + offset;
  }

  /**
   * Writes the frames `from` (inclusive) to `to` (exclusive), which lie one behind the other and have been checked: their bytes
   * and checksums are taken as they are. Gives the ref of the first, unless `makeRoom` is needed first: then undefined.
   */
  addFrames(
    { bytes, starts, ends }: ChunkFrames,
    { from, to }: { from: number; to: number },
  ): number | undefined {
    const out = this.#out!;
    const offset = out.position;
    const start = starts[from]!;
    const end = ends[to - 1]!;
    if (offset > HEADER_BYTES && offset + end - start > this.#maxBytes) return undefined;
    out.putRange(bytes, start, end);
    this.chunkCount += to - from;
    return (this.#segment - 1) * TWO_32 + offset;
  }

  /** Goes on in the next segment. */
  async makeRoom(): Promise<void> {
    const full = this.#out!;
    await full.sync();
    await full.close();
    await this.#open();
  }

  get isFull(): boolean {
    return this.#out!.isFull;
  }

  drain(): Promise<void> {
    return this.#out!.drain();
  }

  async flush(): Promise<void> {
    await this.#out!.flush();
  }

  /** Waits until the disk has everything. */
  async sync(): Promise<void> {
    await this.#out!.sync();
  }

  async close(): Promise<void> {
    const out = this.#out;
    this.#out = undefined;
    await out?.close();
  }

  async #open(): Promise<void> {
    this.#out = await FileWriter.create(join(this.#folder, segmentName(++this.#segment)));
    this.#out.putU32(MAGIC);
    this.#out.putU8(VERSION);
    this.#out.putU8(0);
    this.#out.putU8(0);
    this.#out.putU8(0);
  }
}
