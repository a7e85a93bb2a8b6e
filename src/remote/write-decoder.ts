import { AppError } from "../base/errors.ts";
import { compareText } from "../base/text.ts";
import { formatSeries, isValidLabelName, Labels, METRIC_NAME } from "../model/labels.ts";
import { corrupt, ProtoReader } from "../proto/wire.ts";
import { readHistogram } from "./histogram-message.ts";
import type { SeriesRefs } from "./series-refs.ts";
import type { WriteColumns } from "./write-columns.ts";
import {
  ENTRY_AT,
  ENTRY_FIRST,
  ENTRY_HAS_KEY,
  ENTRY_KEY,
  ENTRY_MARK,
  ENTRY_WORDS,
  type KernelOptions,
  MARK_TO_READ,
  MARK_ZERO_FIRST,
  type WriteKernel,
} from "./write-kernel.ts";

/** What decoding a write request stands on. */
export interface DecodeContext {
  /** Others may use it between the calls. */
  readonly kernel: WriteKernel;
  readonly table: SeriesRefs;
  readonly columns: WriteColumns;
  /** The storage's ref of a series that the table does not know. */
  readonly resolve: (labels: Labels) => number;
  readonly options: KernelOptions;
}

/** The fields of a sample or exemplar that is being read. */
interface Point {
  timeMs: number;
  low: number;
  high: number;
  /** When its series started; 0 when it does not say. */
  startMs: number;
}

/**
 * What both versions of remote write have in common: each sample goes from the bytes to the columns without an object in
 * between. The kernel has found the series and hashed their labels; those that are more than labels and samples are read
 * here.
 */
export abstract class WriteDecoder {
  protected readonly context: DecodeContext;
  protected reader = new ProtoReader(new Uint8Array(0));
  /** The number of the series that is being read, and where it begins in the columns. */
  protected readonly marks = { series: 0, sample: 0, histogram: 0, exemplar: 0 };
  /** When each sample, and each histogram, of that series says that it started; 0 when it does not. */
  protected readonly starts: { samples: number[]; histograms: number[] } = {
    samples: [],
    histograms: [],
  };
  /** What was wrong with the labels that `refOf` was asked for. */
  protected problem = "";
  readonly #body: Uint8Array;
  readonly #version: 1 | 2;
  #view = new DataView(new ArrayBuffer(0));
  readonly #point: Point = { timeMs: 0, low: 0, high: 0, startMs: 0 };
  readonly #value = new Float64Array(1);
  readonly #valueWords = new Int32Array(this.#value.buffer);

  /** `body` is compressed. */
  constructor(body: Uint8Array, version: 1 | 2, context: DecodeContext) {
    this.#body = body;
    this.#version = version;
    this.context = context;
  }

  /** Reads the whole request. Throws `corrupt`, or `resource-exhausted` beyond a limit. */
  decode(): void {
    this.context.columns.clear();
    this.#unpacked(() => this.#readAll());
  }

  #readAll(): void {
    const { columns, kernel, table } = this.context;
    const { words, seriesCount, entriesAt, timesAt, valuesAt, floats } = kernel;
    const sampleCount = words[entriesAt + seriesCount * ENTRY_WORDS + ENTRY_FIRST]!;
    let isMoved = true;
    for (let series = 0; series < seriesCount; series++) {
      const entry = entriesAt + series * ENTRY_WORDS;
      const mark = words[entry + ENTRY_MARK]!;
      const ref = mark === MARK_TO_READ ? -1 : table.find(words, entry + ENTRY_KEY);
      if (ref < 0) {
        this.#readSeries(series);
        isMoved = true;
        continue;
      }
      // Fast path: a series that is known, and nothing but samples.
      const first = words[entry + ENTRY_FIRST]!;
      if (isMoved) {
        columns.reserveSamples(sampleCount - first);
        isMoved = false;
      }
      const { refs, times, words: values, seriesOf } = columns;
      const end = words[entry + ENTRY_WORDS + ENTRY_FIRST]!;
      let i = columns.count;
      if (mark === MARK_ZERO_FIRST) columns.zeros.push(i);
      for (let k = first; k < end; k++, i++) {
        refs[i] = ref;
        times[i] = floats[timesAt + k]!;
        values[2 * i] = words[valuesAt + 2 * k]!;
        values[2 * i + 1] = words[valuesAt + 2 * k + 1]!;
        seriesOf[i] = series;
      }
      columns.count = i;
    }
  }

  /** Calls `use` while the kernel holds this request. */
  #unpacked<T>(use: () => T): T {
    const { kernel, options } = this.context;
    try {
      kernel.read(this.#body, this.#version, options);
      const { bytes } = kernel;
      this.reader = new ProtoReader(bytes);
      this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      return use();
    } finally {
      kernel.trim();
    }
  }

  #readSeries(series: number): void {
    const { columns } = this.context;
    const { marks } = this;
    marks.series = series;
    marks.sample = columns.count;
    marks.histogram = columns.histograms.length;
    marks.exemplar = columns.exemplars.length;
    this.starts.samples.length = this.starts.histograms.length = 0;
    this.reader.at = this.#entryWord(series, ENTRY_AT);
    this.readSeries();
  }

  #entryWord(series: number, word: number): number {
    const { words, entriesAt } = this.context.kernel;
    return words[entriesAt + series * ENTRY_WORDS + word]!;
  }

  /** Reads the series whose size comes next. */
  protected abstract readSeries(): void;

  /** The labels in the message of a series, in the order they were sent. */
  protected abstract readPairs(message: ProtoReader): [string, string][];

  /** The labels of each of these series of the request, in any order. Unpacks the request once more. */
  labelsOf(series: readonly number[]): Labels[] {
    return this.#unpacked(() => series.map((one) => Labels.fromPairs(this.#pairsOf(one))));
  }

  #pairsOf(series: number): [string, string][] {
    const { bytes } = this.context.kernel;
    return this.readPairs(new ProtoReader(bytes, this.#entryWord(series, ENTRY_AT)).nested());
  }

  /** The end of the nested message whose size comes next in a message that ends at `end`. */
  protected nestedEnd(end: number): number {
    const size = this.reader.size();
    const nested = this.reader.at + size;
    if (nested > end) throw corrupt("a field reaches beyond the end");
    return nested;
  }

  /** Must be called when a nested message that ends at `end` was read. */
  protected finish(end: number): void {
    if (this.reader.at !== end) throw corrupt("a field reaches beyond the end");
  }

  /** A Sample: both versions have 1 value and 2 timestamp, 2.0 also 3 start timestamp. */
  protected readSample(end: number): void {
    const { series } = this.marks;
    const { columns } = this.context;
    const { reader } = this;
    const i = columns.nextSample();
    const { at } = reader;
    // Fast path: a value, then a time, and nothing else.
    if (end - at > 10 && reader.bytes[at] === 0x09 && reader.bytes[at + 9] === 0x10) {
      reader.at = at + 10;
      const timeMs = reader.int64();
      if (reader.at === end) {
        columns.times[i] = timeMs;
        columns.words[2 * i] = this.#view.getInt32(at + 1, true);
        columns.words[2 * i + 1] = this.#view.getInt32(at + 5, true);
        columns.seriesOf[i] = series;
        this.starts.samples.push(0);
        return;
      }
      reader.at = at;
    }
    const point = this.#readPoint(end);
    columns.times[i] = point.timeMs;
    columns.words[2 * i] = point.low;
    columns.words[2 * i + 1] = point.high;
    columns.seriesOf[i] = series;
    this.starts.samples.push(point.startMs);
  }

  #readPoint(end: number): Point {
    const { reader } = this;
    const point = this.#point;
    point.timeMs = point.low = point.high = point.startMs = 0;
    while (reader.at < end) {
      const key = reader.key();
      if (key === 0x09) this.readDouble(end, point);
      else if (key === 0x10) point.timeMs = reader.int64();
      else if (key === 0x18) point.startMs = reader.int64();
      else reader.skip(key);
    }
    this.finish(end);
    return point;
  }

  protected readDouble(end: number, into: Pick<Point, "low" | "high">): void {
    const { reader } = this;
    const { at } = reader;
    if (end - at < 8) throw corrupt("it is cut off");
    into.low = this.#view.getInt32(at, true);
    into.high = this.#view.getInt32(at + 4, true);
    reader.at = at + 8;
  }

  protected valueOf(point: Pick<Point, "low" | "high">): number {
    this.#valueWords[0] = point.low;
    this.#valueWords[1] = point.high;
    return this.#value[0]!;
  }

  protected readHistogramField(end: number): void {
    const { series } = this.marks;
    const { columns } = this.context;
    const { bytes, at } = this.reader;
    const { timeMs, startMs, histogram, isFloat } = readHistogram(new ProtoReader(bytes, at, end));
    this.reader.at = end;
    columns.histograms.push(histogram);
    columns.histogramTimes.push(timeMs);
    columns.histogramIsFloat.push(isFloat);
    columns.histogramSeriesOf.push(series);
    columns.histogramRefs.push(-1);
    this.starts.histograms.push(startMs);
  }

  /** The ref of the series that is being read when it came before, or -1. */
  protected knownRef(): number {
    const { kernel, table } = this.context;
    const { series } = this.marks;
    if (this.#entryWord(series, ENTRY_HAS_KEY) === 0) return -1;
    return table.find(kernel.words, kernel.entriesAt + series * ENTRY_WORDS + ENTRY_KEY);
  }

  /** The ref of the series that is being read; -1, and `problem`, when its labels name none. */
  protected refOf(): number {
    const { series } = this.marks;
    const { kernel, table, resolve } = this.context;
    const known = this.knownRef();
    // Fast path: the same labels came before and were good.
    if (known >= 0) return known;
    let pairs: [string, string][];
    try {
      pairs = this.#pairsOf(series);
    } catch (error) {
      this.problem = AppError.from(error).message;
      return -1;
    }
    this.problem = labelsProblem(pairs);
    if (this.problem !== "") return -1;
    const ref = resolve(Labels.fromPairs(pairs));
    if (this.#entryWord(series, ENTRY_HAS_KEY) !== 0)
      table.add(kernel.words, kernel.entriesAt + series * ENTRY_WORDS + ENTRY_KEY, ref);
    return ref;
  }

  /** Gives all samples of the series their ref. */
  protected assign(ref: number): void {
    const { marks } = this;
    const { columns } = this.context;
    const { refs, count } = columns;
    for (let i = marks.sample; i < count; i++) refs[i] = ref;
    for (let i = marks.histogram; i < columns.histograms.length; i++)
      columns.histogramRefs[i] = ref;
  }

  /** Takes back what was read of the series, because of `problem`. */
  protected refuse(problem: string): void {
    const { marks } = this;
    const { columns } = this.context;
    const samples = columns.count - marks.sample + columns.histograms.length - marks.histogram;
    columns.problem(problem, samples);
    columns.count = marks.sample;
    columns.truncateHistograms(marks.histogram);
    columns.exemplars.length = marks.exemplar;
  }
}

/** What keeps labels, in any order, from naming a series; "" when nothing does. As Prometheus, empty values count. */
function labelsProblem(pairs: readonly (readonly [string, string])[]): string {
  const names = pairs.map(([name]) => name).sort(compareText);
  const repeated = names.find((name, i) => i > 0 && names[i - 1] === name);
  const shown = (): string => formatSeries(Labels.fromPairs(pairs));
  if (!names.includes(METRIC_NAME)) return `invalid metric name or labels: ${shown()} has no name`;
  for (const [name, value] of pairs) {
    if (!isValidLabelName(name))
      return `invalid metric name or labels: ${shown()} has a label without a name`;
    if (name === METRIC_NAME && value === "")
      return `invalid metric name or labels: ${shown()} has an empty name`;
  }
  if (repeated !== undefined)
    return `invalid labels for series: ${shown()} has the label ${JSON.stringify(repeated)} twice`;
  return "";
}
