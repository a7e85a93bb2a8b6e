import { formatSampleValue } from "../base/float.ts";
import { quote } from "../base/text.ts";
import type { Exemplar } from "../model/exemplar.ts";
import { isLegacyMetricName } from "../model/labels.ts";
import type { MetricMetadata } from "../model/metadata.ts";
import { ClassicHistogram } from "../model/nhcb.ts";
import { readPair } from "../proto/small-messages.ts";
import { corrupt, ProtoReader } from "../proto/wire.ts";
import {
  type NativeSample,
  ProtobufHistogram,
  readExemplar,
  readTime,
} from "./protobuf-histogram.ts";
import { sampleLine } from "./sample-line.ts";

/**
 * The protobuf exposition: `io.prometheus.client.MetricFamily` messages, each after its size
 * (https://github.com/prometheus/client_model). It is rewritten as the text format, which all that reads bodies knows;
 * what text cannot say stands beside it, by the number of the sample's line.
 */
export interface ProtobufBody {
  /** With a byte of room behind `length`. */
  readonly bytes: Uint8Array;
  readonly length: number;
  /** Samples that are native histograms; the text has a line for each, with a value that means nothing. */
  readonly histograms: ReadonlyMap<number, NativeSample>;
  readonly exemplars: readonly { readonly sample: number; readonly exemplar: Partial<Exemplar> }[];
  /** The bits of samples that are NaN. */
  readonly nans: ReadonlyMap<number, bigint>;
  readonly families: FamiliesBeside;
  /** When the series of samples were created, ms, where that is known and asked for. */
  readonly created: ReadonlyMap<number, number>;
}

/** By name, what the text format has no words for: units, and that a histogram is one of gauges. */
export type FamiliesBeside = ReadonlyMap<string, Partial<MetricMetadata>>;

/** What stands beside the text. */
export type BesideText = Omit<ProtobufBody, "bytes" | "length">;

export interface ProtobufOptions {
  /** Native histograms are samples; else the buckets, sum and count of their classic side are. */
  readonly nativeHistograms: boolean;
  /** With native histograms: the classic side is stored too. */
  readonly classicHistograms: boolean;
  /** Classic histograms without a native side become native ones with custom buckets. */
  readonly convertClassic: boolean;
  readonly takeCreated: boolean;
}

const TYPES = ["counter", "gauge", "summary", "untyped", "histogram", "gaugehistogram"] as const;

export function isProtobuf(contentType: string | undefined): boolean {
  return (
    contentType?.trimStart().toLowerCase().startsWith("application/vnd.google.protobuf") === true
  );
}

/** Throws `corrupt` when the body is none. */
export function readProtobuf(
  body: { readonly bytes: Uint8Array; readonly length: number },
  options: ProtobufOptions,
): ProtobufBody {
  const writer = new TextWriter(options);
  const reader = new ProtoReader(body.bytes.subarray(0, body.length));
  while (reader.more) writer.family(reader.nested());
  return writer.finish();
}

class TextWriter {
  readonly #options: ProtobufOptions;
  readonly #parts: string[] = [];
  readonly #histograms = new Map<number, NativeSample>();
  readonly #exemplars: { sample: number; exemplar: Partial<Exemplar> }[] = [];
  readonly #nans = new Map<number, bigint>();
  readonly #families = new Map<string, Partial<MetricMetadata>>();
  readonly #created = new Map<number, number>();
  #count = 0;

  constructor(options: ProtobufOptions) {
    this.#options = options;
  }

  finish(): ProtobufBody {
    const text = Buffer.from(this.#parts.join(""));
    const bytes = new Uint8Array(text.length + 1);
    bytes.set(text);
    return {
      bytes,
      length: text.length,
      histograms: this.#histograms,
      exemplars: this.#exemplars,
      nans: this.#nans,
      families: this.#families,
      created: this.#created,
    };
  }

  family(reader: ProtoReader): void {
    let name = "";
    let help = "";
    let unit = "";
    let type = 0;
    const metrics: ProtoReader[] = [];
    while (reader.more) {
      const key = reader.key();
      if (key === 0x0a) name = reader.string();
      else if (key === 0x12) help = reader.string();
      else if (key === 0x2a) unit = reader.string();
      else if (key === 0x18) type = reader.uint32();
      else if (key === 0x22) metrics.push(reader.nested());
      else reader.skip(key);
    }
    const kind = TYPES[type];
    if (kind === undefined)
      throw corrupt(`the metric family ${quote(name)} has the unknown type ${type}`);
    const shown = isLegacyMetricName(name) ? name : quote(name);
    if (help !== "")
      this.#parts.push(
        `# HELP ${shown} ${help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n")}\n`,
      );
    const isGaugeHistogram = kind === "gaugehistogram";
    if (unit !== "" || isGaugeHistogram)
      this.#families.set(name, { ...(isGaugeHistogram && { type: kind }), unit });
    // The buckets of a histogram of gauges are those of a histogram.
    this.#parts.push(`# TYPE ${shown} ${isGaugeHistogram ? "histogram" : kind}\n`);
    for (const metric of metrics) this.#metric(metric, { name, isGauge: isGaugeHistogram });
  }

  #metric(reader: ProtoReader, family: { name: string; isGauge: boolean }): void {
    const { name } = family;
    const labels: [string, string][] = [];
    let timeMs: number | undefined;
    let value: ProtoReader | undefined;
    let key = 0;
    while (reader.more) {
      const next = reader.key();
      if (next === 0x0a) labels.push(readPair(reader.nested()));
      else if (next === 0x30) timeMs = reader.int64();
      else if ([0x12, 0x1a, 0x22, 0x2a, 0x3a].includes(next)) {
        value = reader.nested();
        key = next;
      } else reader.skip(next);
    }
    if (value === undefined) throw corrupt(`the metric ${quote(name)} has no value`);
    const series = { name, labels, timeMs };
    if (key === 0x22) this.#summary(value, series);
    else if (key === 0x3a) this.#histogram(new ProtobufHistogram(value, family.isGauge), series);
    else this.#simple(value, series);
  }

  /** A gauge, a counter or what has no type: one number, and of a counter an exemplar. */
  #simple(reader: ProtoReader, series: Series): void {
    let value = 0;
    let exemplar: Partial<Exemplar> | undefined;
    let createdMs: number | undefined;
    while (reader.more) {
      const key = reader.key();
      if (key === 0x09) value = this.#double(reader, this.#count);
      else if (key === 0x12) exemplar = readExemplar(reader.nested());
      else if (key === 0x1a) createdMs = readTime(reader.nested());
      else reader.skip(key);
    }
    this.#sample({ ...series, createdMs }, value, exemplar);
  }

  #summary(reader: ProtoReader, summary: Series): void {
    let createdMs: number | undefined;
    let count = 0;
    let sum = 0;
    const quantiles: [number, number][] = [];
    while (reader.more) {
      const key = reader.key();
      if (key === 0x08) count = reader.int64();
      else if (key === 0x11) sum = this.#double(reader, this.#count + 1);
      else if (key === 0x1a) {
        const one = reader.nested();
        const pair: [number, number] = [0, 0];
        while (one.more) {
          const inner = one.key();
          if (inner === 0x09) pair[0] = one.double();
          else if (inner === 0x11) pair[1] = this.#double(one, this.#count + 2 + quantiles.length);
          else one.skip(inner);
        }
        quantiles.push(pair);
      } else if (key === 0x22) createdMs = readTime(reader.nested());
      else reader.skip(key);
    }
    const series = { ...summary, createdMs };
    const { name } = series;
    this.#sample({ ...series, name: `${name}_count` }, count);
    this.#sample({ ...series, name: `${name}_sum` }, sum);
    for (const [quantile, value] of quantiles)
      this.#sample(withLabel(series, "quantile", quantile), value);
  }

  #histogram(histogram: ProtobufHistogram, metric: Series): void {
    const series = { ...metric, createdMs: histogram.createdMs };
    const { nativeHistograms, classicHistograms, convertClassic } = this.#options;
    const isNative = nativeHistograms && histogram.isNative;
    if (isNative) {
      this.#native(series, histogram.native());
      for (const exemplar of histogram.exemplars) this.#exemplar(exemplar);
      if (!classicHistograms || histogram.buckets.length === 0) return;
    } else if (convertClassic && histogram.buckets.length > 0) {
      const classic = new ClassicHistogram();
      for (const { bound, count } of histogram.buckets) classic.setBucket(bound, count);
      classic.setCount(histogram.count);
      classic.setSum(histogram.sum);
      const { histogram: converted, isInteger } = classic.convert();
      this.#native(series, { histogram: converted, isFloat: !isInteger });
      if (!classicHistograms) return;
    }
    const { name } = series;
    this.#sample({ ...series, name: `${name}_count` }, histogram.count);
    this.#sample({ ...series, name: `${name}_sum` }, histogram.sum);
    const bucket = { ...series, name: `${name}_bucket` };
    for (const { bound, count, exemplar } of histogram.buckets)
      this.#sample(withLabel(bucket, "le", bound), count, exemplar);
    if (!histogram.buckets.some(({ bound }) => bound === Infinity))
      this.#sample(withLabel(bucket, "le", Infinity), histogram.count);
  }

  /** The value of the sample with that number. */
  #double(reader: ProtoReader, sample: number): number {
    const value = reader.double();
    if (value !== value) this.#nans.set(sample, reader.doubleBits());
    // A field that comes again replaces the one before.
    else this.#nans.delete(sample);
    return value;
  }

  #native(series: Series, sample: NativeSample): void {
    this.#histograms.set(this.#count, sample);
    this.#sample(series, 0);
  }

  #sample(series: Series, value: number, exemplar?: Partial<Exemplar>): void {
    const { name, labels, timeMs, createdMs } = series;
    const time = timeMs === undefined ? "" : String(timeMs);
    this.#parts.push(sampleLine({ name, labels, time }, value));
    if (createdMs !== undefined && this.#options.takeCreated)
      this.#created.set(this.#count, createdMs);
    this.#count++;
    if (exemplar !== undefined) this.#exemplar(exemplar);
  }

  /** Of the sample written last. */
  #exemplar(exemplar: Partial<Exemplar>): void {
    this.#exemplars.push({ sample: this.#count - 1, exemplar });
  }
}

interface Series {
  readonly name: string;
  readonly labels: readonly [string, string][];
  readonly timeMs: number | undefined;
  readonly createdMs?: number | undefined;
}

function withLabel(series: Series, name: string, bound: number): Series {
  const text: [string, string] = [name, formatSampleValue(bound)];
  return { ...series, labels: [...series.labels, text] };
}
