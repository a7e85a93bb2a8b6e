import { AppError } from "../base/errors.ts";
import { compareText } from "../base/text.ts";
import { formatSeries, isValidLabelName, Labels, METRIC_NAME } from "../model/labels.ts";
import { corrupt, ProtoReader } from "../proto/wire.ts";
import { readHistogram } from "./histogram-message.ts";
import { SeriesHash, type SeriesRefs } from "./series-refs.ts";
import type { WriteColumns } from "./write-columns.ts";

/** What decoding a write request stands on. */
export interface DecodeContext {
  readonly table: SeriesRefs;
  readonly columns: WriteColumns;
  /** The storage's ref of a series that the table does not know. */
  readonly resolve: (labels: Labels) => number;
  /** A request with more series is refused. */
  readonly maxSeries: number;
}

/** The fields of a sample or exemplar that is being read. */
interface Point {
  timeMs: number;
  low: number;
  high: number;
}

/**
 * What both versions of remote write have in common: a walk over the series of one message, each sample going from the
 * bytes to the columns without an object in between.
 */
export abstract class WriteDecoder {
  protected readonly context: DecodeContext;
  protected readonly reader: ProtoReader;
  protected readonly view: DataView;
  protected readonly hash = new SeriesHash();
  /** The number of the series that is being read, and where it begins in the columns. */
  protected readonly marks = { series: 0, sample: 0, histogram: 0, exemplar: 0 };
  /** What was wrong with the labels that `refOf` was asked for. */
  protected problem = "";
  readonly #point: Point = { timeMs: 0, low: 0, high: 0 };
  readonly #value = new Float64Array(1);
  readonly #valueWords = new Int32Array(this.#value.buffer);

  constructor(bytes: Uint8Array, context: DecodeContext) {
    this.context = context;
    this.reader = new ProtoReader(bytes);
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
    context.columns.clear();
  }

  /** Begins a series of the request; its size comes next. */
  protected begin(): void {
    const { columns, maxSeries } = this.context;
    const series = columns.beginSeries(this.reader.at);
    if (series >= maxSeries)
      throw new AppError(
        "resource-exhausted",
        `cannot take a write request of more than ${maxSeries} series: send fewer in one request, or raise --web.remote-write-receiver.max-series`,
      );
    const { marks } = this;
    marks.series = series;
    marks.sample = columns.count;
    marks.histogram = columns.histograms.length;
    marks.exemplar = columns.exemplars.length;
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

  /** A Sample: both versions have 1 value and 2 timestamp; what 2.0 has beyond is passed over. */
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
        columns.words[2 * i] = this.view.getInt32(at + 1, true);
        columns.words[2 * i + 1] = this.view.getInt32(at + 5, true);
        columns.seriesOf[i] = series;
        return;
      }
      reader.at = at;
    }
    const point = this.readPoint(end);
    columns.times[i] = point.timeMs;
    columns.words[2 * i] = point.low;
    columns.words[2 * i + 1] = point.high;
    columns.seriesOf[i] = series;
  }

  protected readPoint(end: number): Point {
    const { reader } = this;
    const point = this.#point;
    point.timeMs = point.low = point.high = 0;
    while (reader.at < end) {
      const key = reader.key();
      if (key === 0x09) this.readDouble(end, point);
      else if (key === 0x10) point.timeMs = reader.int64();
      else reader.skip(key);
    }
    this.finish(end);
    return point;
  }

  protected readDouble(end: number, into: Point): void {
    const { reader } = this;
    const { at } = reader;
    if (end - at < 8) throw corrupt("it is cut off");
    into.low = this.view.getInt32(at, true);
    into.high = this.view.getInt32(at + 4, true);
    reader.at = at + 8;
  }

  protected valueOf(point: Point): number {
    this.#valueWords[0] = point.low;
    this.#valueWords[1] = point.high;
    return this.#value[0]!;
  }

  protected readHistogramField(end: number): void {
    const { series } = this.marks;
    const { columns } = this.context;
    const { bytes, at } = this.reader;
    const { timeMs, histogram, isFloat } = readHistogram(new ProtoReader(bytes, at, end));
    this.reader.at = end;
    columns.histograms.push(histogram);
    columns.histogramTimes.push(timeMs);
    columns.histogramIsFloat.push(isFloat);
    columns.histogramSeriesOf.push(series);
    columns.histogramRefs.push(-1);
  }

  /** Reads the whole request. */
  abstract decode(): void;

  /** The labels of series `series` of the request that was read, in the order they were sent. */
  abstract pairsOf(series: number): [string, string][];

  labelsOf(series: number): Labels {
    return Labels.fromPairs(this.pairsOf(series));
  }

  /**
   * The ref of the series that `hash` stands for; -1, and `problem`, when its labels name none. Known series cost
   * a look-up in the table.
   */
  protected refOf(): number {
    const { series } = this.marks;
    const { table, resolve } = this.context;
    const known = table.find(this.hash);
    // Fast path: the same labels came before and were good.
    if (known >= 0) return known;
    let pairs: [string, string][];
    try {
      pairs = this.pairsOf(series);
    } catch (error) {
      this.problem = AppError.from(error).message;
      return -1;
    }
    this.problem = labelsProblem(pairs);
    if (this.problem !== "") return -1;
    const ref = resolve(Labels.fromPairs(pairs));
    table.add(this.hash, ref);
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
