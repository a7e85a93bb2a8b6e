import type { MetricKind } from "../model/metadata.ts";

/** Metric types by the small number that stands for them in columns. */
export const METRIC_KINDS: readonly MetricKind[] = [
  "unknown",
  "counter",
  "gauge",
  "histogram",
  "summary",
  "gaugehistogram",
  "info",
  "stateset",
];
export const KIND_COUNTER = 1;
export const KIND_HISTOGRAM = 3;
export const KIND_SUMMARY = 4;

/** What a metadata entry says. */
export const METADATA_TYPE = 0;
export const METADATA_HELP = 1;
export const METADATA_UNIT = 2;

/**
 * A parsed exposition body as columns. All offsets are bytes into the body, ends exclusive. Columns are scratch space:
 * `clear` keeps their memory, growing replaces the arrays, so read them through the object after each parse.
 */
export class ParsedColumns {
  /** Samples. */
  count = 0;
  /** The series text: metric name and labels as written, the key of the scrape cache. */
  seriesStart = new Int32Array(256);
  seriesEnd = new Int32Array(256);
  /** One past the sample's newline. */
  lineEnd = new Int32Array(256);
  values = new Float64Array(256);
  hasTimestamp = new Uint8Array(256);
  /** Milliseconds where `hasTimestamp`, else 0. */
  timestamps = new Float64Array(256);
  /** Index into METRIC_KINDS of the last TYPE line before the sample. */
  kinds = new Uint8Array(256);

  /** Metadata entries (TYPE, HELP, UNIT lines). */
  metadataCount = 0;
  metadataWhat = new Uint8Array(64);
  /** For METADATA_TYPE the index into METRIC_KINDS. */
  metadataKind = new Uint8Array(64);
  metadataNameStart = new Int32Array(64);
  metadataNameEnd = new Int32Array(64);
  metadataTextStart = new Int32Array(64);
  metadataTextEnd = new Int32Array(64);

  /** Exemplars (OpenMetrics). */
  exemplarCount = 0;
  /** Index of the sample it belongs to. */
  exemplarSample = new Int32Array(16);
  /** The label text from `{` to past `}`. */
  exemplarLabelsStart = new Int32Array(16);
  exemplarLabelsEnd = new Int32Array(16);
  exemplarValues = new Float64Array(16);
  exemplarHasTimestamp = new Uint8Array(16);
  exemplarTimestamps = new Float64Array(16);

  clear(): void {
    this.count = 0;
    this.metadataCount = 0;
    this.exemplarCount = 0;
  }

  /** Makes room for at least `count` samples. */
  reserve(count: number): void {
    if (count <= this.values.length) return;
    const size = Math.max(count, this.values.length * 2);
    this.seriesStart = grown(this.seriesStart, new Int32Array(size));
    this.seriesEnd = grown(this.seriesEnd, new Int32Array(size));
    this.lineEnd = grown(this.lineEnd, new Int32Array(size));
    this.values = grown(this.values, new Float64Array(size));
    this.hasTimestamp = grown(this.hasTimestamp, new Uint8Array(size));
    this.timestamps = grown(this.timestamps, new Float64Array(size));
    this.kinds = grown(this.kinds, new Uint8Array(size));
  }

  /** The index of a new metadata entry. */
  addMetadata(): number {
    if (this.metadataCount === this.metadataWhat.length) {
      const size = this.metadataCount * 2;
      this.metadataWhat = grown(this.metadataWhat, new Uint8Array(size));
      this.metadataKind = grown(this.metadataKind, new Uint8Array(size));
      this.metadataNameStart = grown(this.metadataNameStart, new Int32Array(size));
      this.metadataNameEnd = grown(this.metadataNameEnd, new Int32Array(size));
      this.metadataTextStart = grown(this.metadataTextStart, new Int32Array(size));
      this.metadataTextEnd = grown(this.metadataTextEnd, new Int32Array(size));
    }
    return this.metadataCount++;
  }

  /** The index of a new exemplar. */
  addExemplar(): number {
    if (this.exemplarCount === this.exemplarSample.length) {
      const size = this.exemplarCount * 2;
      this.exemplarSample = grown(this.exemplarSample, new Int32Array(size));
      this.exemplarLabelsStart = grown(this.exemplarLabelsStart, new Int32Array(size));
      this.exemplarLabelsEnd = grown(this.exemplarLabelsEnd, new Int32Array(size));
      this.exemplarValues = grown(this.exemplarValues, new Float64Array(size));
      this.exemplarHasTimestamp = grown(this.exemplarHasTimestamp, new Uint8Array(size));
      this.exemplarTimestamps = grown(this.exemplarTimestamps, new Float64Array(size));
    }
    return this.exemplarCount++;
  }
}

function grown<T extends Int32Array | Float64Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
