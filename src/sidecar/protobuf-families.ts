import type { ScrapeConfig } from "../config/types.ts";
import { normalizeFloat } from "../exposition/series.ts";
import { METRIC_NAME } from "../model/labels.ts";
import { readPair } from "../proto/small-messages.ts";
import { corrupt, ProtoReader, WIRE_BYTES, WIRE_VARINT } from "../proto/wire.ts";
import type { MetricCount } from "../scrape/job-statistics.ts";
import type { Body } from "../scrape/read-body.ts";
import type { Labeler } from "../scrape/sample-labels.ts";

/**
 * Counts what a protobuf exposition holds: `io.prometheus.client.MetricFamily` messages, each after its size
 * (https://github.com/prometheus/client_model). Samples are not read, only told apart.
 */
export interface FamilyCount {
  readonly scraped: number;
  readonly kept: number;
  readonly metrics: ReadonlyMap<string, MetricCount>;
}

const TYPE_COUNTER = 0;
const TYPE_GAUGE = 1;
const TYPE_SUMMARY = 2;
const TYPE_UNTYPED = 3;

/** Throws `corrupt` when the body is none. */
export function countFamilies(
  body: Body,
  options: { readonly config: ScrapeConfig; readonly labeler: Labeler },
): FamilyCount {
  const counter = new Counter(options);
  const reader = new ProtoReader(body.bytes.subarray(0, body.length));
  while (reader.more) counter.family(reader.nested());
  return counter;
}

class Counter implements FamilyCount {
  scraped = 0;
  kept = 0;
  readonly metrics = new Map<string, MetricCount>();
  readonly #options: { readonly config: ScrapeConfig; readonly labeler: Labeler };

  constructor(options: { readonly config: ScrapeConfig; readonly labeler: Labeler }) {
    this.#options = options;
  }

  family(reader: ProtoReader): void {
    let name = "";
    let type = TYPE_COUNTER;
    const metrics: ProtoReader[] = [];
    while (reader.more) {
      const key = reader.key();
      if (key === 0x0a) name = reader.string();
      else if (key === 0x18) type = reader.uint32();
      else if (key === 0x22) metrics.push(reader.nested());
      else reader.skip(key);
    }
    for (const metric of metrics) this.#metric(metric, { name, type });
  }

  #metric(reader: ProtoReader, { name, type }: { name: string; type: number }): void {
    const labels: string[] = [];
    let value: ProtoReader | undefined;
    while (reader.more) {
      const key = reader.key();
      if (key === 0x0a) labels.push(...readPair(reader.nested()));
      // gauge, counter, summary, untyped, histogram: one of them is there.
      else if (key === 0x12 || key === 0x1a || key === 0x22 || key === 0x2a || key === 0x3a)
        value = reader.nested();
      else reader.skip(key);
    }
    if (value === undefined) throw corrupt(`the metric ${JSON.stringify(name)} has no value`);
    if (type === TYPE_COUNTER || type === TYPE_GAUGE || type === TYPE_UNTYPED)
      this.#sample(name, labels);
    else if (type === TYPE_SUMMARY) this.#summary(value, name, labels);
    else this.#histogram(value, name, labels);
  }

  #summary(reader: ProtoReader, name: string, labels: readonly string[]): void {
    while (reader.more) {
      const key = reader.key();
      if (key !== 0x1a) {
        reader.skip(key);
        continue;
      }
      const quantile = doubleOf(reader.nested(), 0x09);
      this.#sample(name, [...labels, "quantile", boundText(quantile)]);
    }
    this.#sample(`${name}_sum`, labels);
    this.#sample(`${name}_count`, labels);
  }

  /** A native histogram is one series; its classic buckets are stored beside it only when that is asked for. */
  #histogram(reader: ProtoReader, name: string, labels: readonly string[]): void {
    const bounds: number[] = [];
    let isNative = false;
    while (reader.more) {
      const key = reader.key();
      if (key === 0x1a) bounds.push(doubleOf(reader.nested(), 0x11));
      // zero_threshold, zero_count, zero_count_float, spans and buckets of either side.
      else if (key === 0x31 || key === 0x38 || key === 0x41 || (key >= 0x4a && key <= 0x73)) {
        // Read in any case: the next field begins behind it.
        if (isFilled(reader, key)) isNative = true;
      } else reader.skip(key);
    }
    if (isNative) this.#sample(name, labels);
    if (isNative && !this.#options.config.alwaysScrapeClassicHistograms) return;
    if (isNative && bounds.length === 0) return;
    if (!bounds.includes(Infinity)) bounds.push(Infinity);
    for (const bound of bounds) this.#sample(`${name}_bucket`, [...labels, "le", boundText(bound)]);
    this.#sample(`${name}_sum`, labels);
    this.#sample(`${name}_count`, labels);
  }

  #sample(name: string, labels: readonly string[]): void {
    this.scraped++;
    const isKept = this.#options.labeler([METRIC_NAME, name, ...labels]) !== undefined;
    if (isKept) this.kept++;
    const known = this.metrics.get(name);
    if (known === undefined) this.metrics.set(name, { total: 1, scraped: isKept ? 1 : 0 });
    else {
      known.total++;
      if (isKept) known.scraped++;
    }
  }
}

/** Reads past a field of a native histogram; whether it says anything. An empty span does: it is how an empty one is told. */
function isFilled(reader: ProtoReader, key: number): boolean {
  const wire = key & 7;
  if (wire === WIRE_VARINT) return reader.int64() !== 0;
  const before = reader.at;
  reader.skip(key);
  return wire === WIRE_BYTES || reader.bytes.subarray(before, reader.at).some((byte) => byte !== 0);
}

function boundText(bound: number): string {
  return bound === Infinity ? "+Inf" : normalizeFloat(String(bound));
}

/** The double in the field with this key; 0 when it is not there. */
function doubleOf(reader: ProtoReader, wanted: number): number {
  let value = 0;
  while (reader.more) {
    const key = reader.key();
    if (key !== wanted) {
      reader.skip(key);
      continue;
    }
    const { bytes, at } = reader;
    if (reader.end - at < 8) throw corrupt("it is cut off");
    value = new DataView(bytes.buffer, bytes.byteOffset).getFloat64(at, true);
    reader.at += 8;
  }
  return value;
}
