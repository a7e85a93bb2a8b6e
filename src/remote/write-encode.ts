import type { MetricMetadata } from "../model/metadata.ts";
import { ProtoWriter } from "../proto/wire.ts";
import { writeHistogram } from "./histogram-message.ts";
import { writeLabels } from "./read-response.ts";
import { isHistogram, type SendColumns } from "./send-queue.ts";
import type { SendSeries } from "./send-series.ts";
import { METRIC_KIND_NUMBERS } from "./write-v2.ts";

/** Write requests, sender side. Format: docs/format/remote.md. */

/** A `prometheus.WriteRequest`: one series for each sample, as Prometheus does. Valid until the writer is used again. */
export function encodeWriteV1(
  writer: ProtoWriter,
  columns: SendColumns,
  series: SendSeries,
): Uint8Array {
  for (let i = columns.count - 1; i >= 0; i--) {
    const index = series.indexOf(columns.refs[i]!);
    const before = writer.size;
    const extra = columns.extras[i];
    const start = writer.size;
    if (extra === undefined) {
      writeSample(writer, columns, i);
      writer.message(2, start);
    } else if (isHistogram(extra)) {
      writeHistogram(writer, extra);
      writer.message(4, start);
    } else {
      writer.int64(3, extra.timeMs);
      writer.double(2, extra.value);
      writeLabels(writer, extra.labels);
      writer.message(3, start);
    }
    writer.raw(series.bytes, series.start(index), series.end(index));
    writer.message(1, before);
  }
  return writer.finish();
}

/** The metadata of metric families, which 1.0 sends by itself. */
export function encodeMetadataV1(
  writer: ProtoWriter,
  families: readonly (readonly [name: string, metadata: MetricMetadata])[],
): Uint8Array {
  for (const [name, { type, help, unit }] of families.toReversed()) {
    const before = writer.size;
    if (unit !== "") writer.string(5, unit);
    if (help !== "") writer.string(4, help);
    writer.string(2, name);
    writer.uint32(1, METRIC_KIND_NUMBERS.indexOf(type));
    writer.message(3, before);
  }
  return writer.finish();
}

/** Writes `io.prometheus.write.v2.Request`s; keeps its scratch from one to the next. */
export class WriteEncoderV2 {
  readonly #metadataOf: (metric: string) => MetricMetadata | undefined;
  /** The request's own number for each text of the series, 0 when it has none yet. */
  #numbers = new Int32Array(1024);
  /** The texts of the request: numbers of the series' table, or texts that no series has. */
  readonly #texts: (number | string)[] = [];
  readonly #others = new Map<string, number>();
  /** Of the metrics of the request, by the number of their name. */
  readonly #metadata = new Map<number, MetricMetadata | undefined>();

  constructor(metadataOf: (metric: string) => MetricMetadata | undefined) {
    this.#metadataOf = metadataOf;
  }

  encode(writer: ProtoWriter, columns: SendColumns, series: SendSeries): Uint8Array {
    if (this.#numbers.length < series.symbols.count)
      this.#numbers = new Int32Array(2 * series.symbols.count);
    for (let i = columns.count - 1; i >= 0; i--) {
      const before = writer.size;
      this.#writeSeries(writer, { columns, series, i });
      writer.message(5, before);
    }
    const { symbols } = series;
    for (let i = this.#texts.length - 1; i >= 0; i--) {
      const text = this.#texts[i]!;
      if (typeof text === "string") writer.string(4, text);
      else {
        writer.bytes(4, symbols.bytes(text));
        this.#numbers[text] = 0;
      }
    }
    // Number 0 is the empty text.
    writer.bytes(4, NOTHING);
    this.#texts.length = 0;
    this.#others.clear();
    this.#metadata.clear();
    return writer.finish();
  }

  #writeSeries(
    writer: ProtoWriter,
    of: { columns: SendColumns; series: SendSeries; i: number },
  ): void {
    const { columns, series, i } = of;
    const index = series.indexOf(columns.refs[i]!);
    const name = series.metricSymbol(index);
    let metadata = this.#metadata.get(name);
    if (metadata === undefined && !this.#metadata.has(name)) {
      metadata = this.#metadataOf(series.symbols.text(name));
      this.#metadata.set(name, metadata);
    }
    if (metadata !== undefined) {
      const start = writer.size;
      writer.uint32(4, this.#other(metadata.unit));
      writer.uint32(3, this.#other(metadata.help));
      writer.uint32(1, METRIC_KIND_NUMBERS.indexOf(metadata.type));
      writer.message(5, start);
    }
    const extra = columns.extras[i];
    const start = writer.size;
    if (extra === undefined) {
      writeSample(writer, columns, i);
      writer.message(2, start);
    } else if (isHistogram(extra)) {
      writeHistogram(writer, extra);
      writer.message(3, start);
    } else {
      writer.int64(3, extra.timeMs);
      writer.double(2, extra.value);
      const refs = writer.size;
      for (const [name, value] of [...extra.labels].toReversed()) {
        writer.varint(this.#other(value));
        writer.varint(this.#other(name));
      }
      writer.message(1, refs);
      writer.message(4, start);
    }
    const refs = writer.size;
    for (let k = series.end(index) - 1; k >= series.start(index); k--)
      writer.varint(this.#number(series.ids[k]!));
    writer.message(1, refs);
  }

  #number(symbol: number): number {
    const known = this.#numbers[symbol]!;
    if (known !== 0) return known;
    return (this.#numbers[symbol] = this.#texts.push(symbol));
  }

  #other(text: string): number {
    if (text === "") return 0;
    let known = this.#others.get(text);
    if (known === undefined) this.#others.set(text, (known = this.#texts.push(text)));
    return known;
  }
}

const NOTHING = new Uint8Array(0);

function writeSample(writer: ProtoWriter, columns: SendColumns, i: number): void {
  writer.int64(2, columns.times[i]!);
  writer.fixed64(1, columns.words[2 * i]!, columns.words[2 * i + 1]!);
}
