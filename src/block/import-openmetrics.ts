import { type FileHandle, open } from "node:fs/promises";
import type { Clock } from "../base/clock.ts";
import { AppError, messageOf } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { ParsedColumns } from "../exposition/columns.ts";
import { ExpositionParser } from "../exposition/parse.ts";
import { decodeSeries } from "../exposition/series.ts";
import { formatSeries, Labels } from "../model/labels.ts";
import { type FloatSeries, writeFloatBlock } from "./float-block.ts";
import { newUlid } from "./ulid.ts";

const HOUR_MS = 3_600_000;
/** Blocks are cut at multiples of this, or of it times a power of three when longer ones are asked for. */
const BLOCK_MS = 2 * HOUR_MS;

export interface ImportOptions {
  /** The OpenMetrics file; every sample needs a time. */
  readonly input: string;
  /** The data folder the blocks will be in. */
  readonly parent: string;
  /** Set on every series. */
  readonly labels?: Readonly<Record<string, string>>;
  /** The longest range of a block, ms; two hours or more. Default two hours. */
  readonly maxBlockMs?: number;
  /** So many samples are held in memory, or those of one block if that has more. Default ten million. */
  readonly bufferedSamples?: number;
  /** Bytes read at once; for tests. */
  readonly pieceBytes?: number;
  readonly clock: Clock;
  readonly random: Random;
  /** The share of the work that is done, 0 to 1. */
  readonly onProgress?: (share: number) => void;
  /** Called with the folder of each block when it is there. */
  readonly onBlock?: (folder: string) => Promise<void>;
}

/** Times so far from 1970, past the year 140000, are refused: twice as much, as chunks hold it, is no exact number. */
const TIME_MAX_MS = 2 ** 52;

const BUFFERED_SAMPLES = 10_000_000;
const PIECE_BYTES = 64 << 20;

/**
 * Makes blocks of an OpenMetrics file, however large: it is read once to count the samples of each block, and then once for
 * each run of blocks whose samples fit into memory together. Returns the blocks' folders, oldest first.
 */
export async function importOpenMetrics(options: ImportOptions): Promise<string[]> {
  const { input, onProgress = (): void => {} } = options;
  const rangeMs = blockRange(options.maxBlockMs ?? BLOCK_MS);
  const file = await open(input).catch((error: unknown) => {
    throw new AppError("not-found", `cannot read ${input}: ${messageOf(error)}`, { cause: error });
  });
  try {
    const counts = new Map<number, number>();
    await readSamples(file, options, ({ columns, at }) => {
      const start = Math.floor(columns.timestamps[at]! / rangeMs) * rangeMs;
      counts.set(start, (counts.get(start) ?? 0) + 1);
    });
    const runs = runsOf(counts, options.bufferedSamples ?? BUFFERED_SAMPLES);
    const folders: string[] = [];
    for (const [i, run] of runs.entries()) {
      onProgress((i + 1) / (runs.length + 1));
      for (const block of await collect(file, options, { starts: run, rangeMs })) {
        const folder = await writeFloatBlock(block, {
          parent: options.parent,
          ulid: newUlid(options),
        });
        folders.push(folder);
        await options.onBlock?.(folder);
      }
    }
    onProgress(1);
    return folders;
  } finally {
    await file.close();
  }
}

/** Two hours, or the longest of six, eighteen, … hours that is not longer than `maxMs`. */
export function blockRange(maxMs: number): number {
  if (!(maxMs >= BLOCK_MS))
    throw new AppError("bad-data", "cannot make blocks shorter than two hours");
  let rangeMs = BLOCK_MS;
  while (rangeMs * 3 <= maxMs) rangeMs *= 3;
  return rangeMs;
}

/** Starts of blocks, oldest first, in runs whose samples fit into memory together. */
function runsOf(counts: ReadonlyMap<number, number>, limit: number): Set<number>[] {
  const runs: Set<number>[] = [];
  let room = 0;
  for (const [start, count] of [...counts].sort(([a], [b]) => a - b)) {
    if (count > room) {
      runs.push(new Set());
      room = Math.max(count, limit);
    }
    runs.at(-1)!.add(start);
    room -= count;
  }
  return runs;
}

/** The series of each block of a run. */
async function collect(
  file: FileHandle,
  options: ImportOptions,
  { starts, rangeMs }: { starts: ReadonlySet<number>; rangeMs: number },
): Promise<FloatSeries[][]> {
  const blocks = new Map<number, Map<string, GrowingSeries>>();
  for (const start of [...starts].sort((a, b) => a - b)) blocks.set(start, new Map());
  await readSamples(file, options, (sample) => {
    const { columns, at, text } = sample;
    const timeMs = columns.timestamps[at]!;
    const block = blocks.get(Math.floor(timeMs / rangeMs) * rangeMs);
    if (block === undefined) return;
    const key = text.toString("latin1", columns.seriesStart[at], columns.seriesEnd[at]);
    let series = block.get(key);
    if (series === undefined) {
      const labels = labelsOf(sample, options.labels);
      // The same labels in another order are the same series.
      const own = labels.key();
      series = block.get(own) ?? new GrowingSeries(labels);
      block.set(key, series).set(own, series);
    }
    series.add(timeMs, columns.values[at]!);
  });
  return Array.from(blocks.values(), (block) =>
    Array.from(new Set(block.values()), (series) => series.finish()),
  );
}

/** A sample as it is read: the place `at` in the columns. */
interface ReadSample {
  readonly columns: ParsedColumns;
  readonly at: number;
  readonly text: Buffer;
}

function labelsOf(
  { columns, at, text }: ReadSample,
  extra: Readonly<Record<string, string>> = {},
): Labels {
  const labels = decodeSeries(text, {
    start: columns.seriesStart[at]!,
    end: columns.seriesEnd[at]!,
    kind: columns.kinds[at]!,
  });
  return Labels.fromPairs([...labels, ...Object.entries(extra)]);
}

class GrowingSeries {
  readonly #labels: Labels;
  #times = new Float64Array(16);
  #values = new Float64Array(16);
  #count = 0;
  #isSorted = true;

  constructor(labels: Labels) {
    this.#labels = labels;
  }

  add(timeMs: number, value: number): void {
    const i = this.#count++;
    if (i === this.#times.length) {
      this.#times = enlarged(this.#times);
      this.#values = enlarged(this.#values);
    }
    if (i > 0 && timeMs <= this.#times[i - 1]!) this.#isSorted = false;
    this.#times[i] = timeMs;
    this.#values[i] = value;
  }

  /** Its samples in order; the same sample twice is one, two values at one time are an error. */
  finish(): FloatSeries {
    const labels = this.#labels;
    const times = this.#times.subarray(0, this.#count);
    const values = this.#values.subarray(0, this.#count);
    if (this.#isSorted) return { labels, times, values };
    const order = Array.from(times.keys()).sort((a, b) => times[a]! - times[b]! || a - b);
    const kept = order.filter((at, i) => {
      const before = order[i - 1];
      if (before === undefined || times[before] !== times[at]) return true;
      if (Object.is(values[before], values[at])) return false;
      throw new AppError(
        "bad-data",
        `cannot import ${formatSeries(labels)}: it has both ${values[before]} and ${values[at]} at ${new Date(times[at]!).toISOString()}`,
      );
    });
    return {
      labels,
      times: Float64Array.from(kept, (at) => times[at]!),
      values: Float64Array.from(kept, (at) => values[at]!),
    };
  }
}

function enlarged(column: Float64Array): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(2 * column.length);
  larger.set(column);
  return larger;
}

const END = "# EOF\n";

/** Reads the file piece by piece, cut at line ends, and hands every sample to `take`. */
async function readSamples(
  file: FileHandle,
  options: ImportOptions,
  take: (sample: ReadSample) => void,
): Promise<void> {
  const { input, pieceBytes = PIECE_BYTES } = options;
  const { size } = await file.stat();
  const parser = new ExpositionParser("openmetrics");
  const columns = new ParsedColumns();
  let bytes = Buffer.allocUnsafe(pieceBytes + END.length + 1);
  let position = 0;
  let linesBefore = 0;
  let kind = 0;
  while (position < size || position === 0) {
    const { bytesRead } = await file.read(bytes, 0, bytes.length - END.length - 1, position);
    const isLast = position + bytesRead >= size;
    let length = isLast ? bytesRead : bytes.lastIndexOf(10, bytesRead - 1) + 1;
    if (length === 0 && !isLast) {
      // A line longer than a piece.
      bytes = Buffer.allocUnsafe(2 * bytes.length);
      continue;
    }
    const lines = countLines(bytes, length);
    position += length;
    // The format ends with a line of its own; a piece that is not the last one gets it lent.
    const isCut = !isLast && !endsHere(bytes, length);
    if (isCut) length += bytes.write(END, length, "latin1");
    try {
      parser.reset(bytes, length);
      if (kind !== 0) parser.seek(0, kind);
      for (let isMore = true; isMore;) {
        columns.clear();
        isMore = parser.parse(columns, 65_536);
        for (let at = 0; at < columns.count; at++) {
          if (columns.hasTimestamp[at] === 0) throw noTime({ columns, at, text: parser.text });
          if (!(Math.abs(columns.timestamps[at]!) < TIME_MAX_MS))
            throw farTime({ columns, at, text: parser.text });
          take({ columns, at, text: parser.text });
        }
      }
    } catch (error) {
      throw new AppError("bad-data", `cannot read ${inLine(input, error, linesBefore)}`, {
        cause: error,
      });
    }
    if (!isLast && !isCut)
      throw new AppError("bad-data", `cannot read ${input}: there is more after # EOF`);
    linesBefore += lines;
    kind = parser.kind;
    if (isLast) return;
  }
}

/** Whether the bytes end with the line that ends the format. */
function endsHere(bytes: Buffer, length: number): boolean {
  const start = length - END.length;
  return (
    start >= 0 &&
    bytes.toString("latin1", start, length) === END &&
    (start === 0 || bytes[start - 1] === 10)
  );
}

function countLines(bytes: Buffer, length: number): number {
  let lines = 0;
  for (let i = bytes.indexOf(10); i >= 0 && i < length; i = bytes.indexOf(10, i + 1)) lines++;
  return lines;
}

function noTime(sample: ReadSample): AppError {
  return new AppError(
    "bad-data",
    `expected timestamp for series ${textOf(sample)}, got none; give every sample its time in seconds (line ${lineOf(sample)})`,
  );
}

function farTime(sample: ReadSample): AppError {
  const seconds = sample.columns.timestamps[sample.at]! / 1000;
  const unit = UNITS.find(({ perSecond }) => Math.abs(seconds) < PLAUSIBLE_SECONDS * perSecond);
  const hint =
    unit === undefined || Number.isNaN(seconds)
      ? ""
      : `; it looks like ${unit.name}: divide it by ${unit.perSecond}`;
  return new AppError(
    "bad-data",
    `time ${seconds} of series ${textOf(sample)} is not within 4.5e12 s of 1970, and times are in seconds${hint} (line ${lineOf(sample)})`,
  );
}

/** Further away no date is meant: the year 5138. */
const PLAUSIBLE_SECONDS = 1e11;
const UNITS = [
  { name: "milliseconds", perSecond: 1e3 },
  { name: "microseconds", perSecond: 1e6 },
  { name: "nanoseconds", perSecond: 1e9 },
] as const;

function textOf({ columns, at, text }: ReadSample): string {
  return text.toString("utf8", columns.seriesStart[at], columns.seriesEnd[at]);
}

function lineOf({ columns, at, text }: ReadSample): number {
  return countLines(text, columns.seriesStart[at]!) + 1;
}

/** The file and what is wrong, with the line counted from the start of the file where it is known. */
function inLine(input: string, error: unknown, linesBefore: number): string {
  const message = messageOf(error);
  const [end, line] = / \(line (\d+)\)$/.exec(message) ?? [];
  return end === undefined
    ? `${input}: ${message}`
    : `${input}:${Number(line) + linesBefore}: ${message.slice(0, -end.length)}`;
}
