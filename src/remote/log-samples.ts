import { CUSTOM_BUCKETS_SCHEMA } from "../model/histogram.ts";
import { decodeExemplarRecord, RECORD_EXEMPLARS } from "../wal/exemplar-record.ts";
import { decodeHistogramRecord, isHistogramRecord } from "../wal/histogram-record.ts";
import {
  decodeSamples,
  decodeSeries,
  isSamplesRecord,
  RECORD_SERIES,
  type RecordBytes,
  SampleColumns,
} from "../wal/record.ts";
import type { SendMetrics } from "./send-metrics.ts";
import { type Extra, isAfter, type LogPlace, NO_PLACE, SendColumns } from "./send-queue.ts";
import { SERIES_UNKNOWN, type SendSeries } from "./send-series.ts";

export interface LogSamplesOptions {
  readonly series: SendSeries;
  readonly metrics: SendMetrics;
  readonly sendsExemplars: boolean;
  readonly sendsHistograms: boolean;
  /** Whether samples that are older than others of their series are worth sending. */
  readonly keepsOutOfOrder: boolean;
  readonly isV1: boolean;
}

const FIRST_CAPACITY = 4096;

/** Takes the records of the log apart: series go to the table, samples that are to be sent wait in `incoming`. */
export class LogSamples {
  /** Read and not yet handed on. */
  readonly incoming = new SendColumns(FIRST_CAPACITY);
  /** While set, samples are counted and passed over. */
  isSkipping = false;
  /** Samples that were not dropped by a rule. */
  readCount = 0;
  /** Time of the newest of them, ms. */
  newestMs = 0;
  readonly #options: LogSamplesOptions;
  readonly #columns = new SampleColumns();
  #acknowledged: readonly LogPlace[] | undefined;
  #repeatLeft = 0;
  #segment = -1;
  #ordinal = 0;

  constructor(options: LogSamplesOptions) {
    this.#options = options;
  }

  /** The place of the last sample that was read. */
  get place(): LogPlace {
    return { segment: this.#segment, ordinal: this.#ordinal };
  }

  /**
   * Begins at the start of the log. `skip` says, for each queue of the time before, up to where its samples were
   * acknowledged; the first `repeatMax` beyond may have been sent all the same.
   */
  begin(options: { skip: readonly LogPlace[] | undefined; repeatMax: number }): void {
    this.#options.series.rewind();
    this.incoming.count = 0;
    this.incoming.extras.length = 0;
    this.#acknowledged = options.skip;
    this.#repeatLeft = options.repeatMax;
    this.#segment = -1;
    this.#ordinal = 0;
  }

  /** Throws `corrupt` when the record is malformed. */
  read(record: RecordBytes, segment: number): void {
    if (segment !== this.#segment) {
      this.#segment = segment;
      this.#ordinal = 0;
    }
    const type = record.bytes[record.start]!;
    const { series } = this.#options;
    if (type === RECORD_SERIES) decodeSeries(record, (ref, flat) => series.add(ref, flat, segment));
    else if (isSamplesRecord(type!)) this.#floats(record);
    else if (isHistogramRecord(type)) this.#histograms(record);
    else if (type === RECORD_EXEMPLARS)
      decodeExemplarRecord(record, ({ ref, exemplar }) => {
        this.#add({ ref, timeMs: exemplar.timeMs, low: 0, high: 0, extra: exemplar });
      });
  }

  #floats(record: RecordBytes): void {
    const columns = this.#columns;
    decodeSamples(record, columns);
    for (let i = 0; i < columns.count; i++)
      this.#add({
        ref: columns.refs[i]!,
        timeMs: columns.times[i]!,
        low: columns.words[2 * i]!,
        high: columns.words[2 * i + 1]!,
        extra: undefined,
      });
  }

  #histograms(record: RecordBytes): void {
    decodeHistogramRecord(record, ({ ref, timeMs, kind, histogram }) => {
      const extra = { timeMs, histogram, isFloat: kind === "float" };
      this.#add({ ref, timeMs, low: 0, high: 0, extra });
    });
  }

  #add(sample: { ref: number; timeMs: number; low: number; high: number; extra: Extra }): void {
    const { series, metrics, keepsOutOfOrder } = this.#options;
    const { ref, timeMs, extra } = sample;
    const place = { segment: this.#segment, ordinal: ++this.#ordinal };
    const index = series.indexOf(ref);
    if (index < 0) {
      if (!this.isSkipping)
        metrics
          .dropped(index === SERIES_UNKNOWN ? "unintentionally_dropped_series" : "dropped_series")
          .inc();
      return;
    }
    const isExemplar = extra !== undefined && !("histogram" in extra);
    if (!isExemplar) {
      const newest = series.advance(index, timeMs);
      // Two writes of one group may hold the same sample; the storage has taken one of them.
      if (timeMs === newest || (timeMs < newest && !keepsOutOfOrder)) return;
    }
    if (this.isSkipping || !this.#isWanted(extra)) return;
    if (this.#acknowledged !== undefined) {
      const before = this.#acknowledged[ref % this.#acknowledged.length] ?? NO_PLACE;
      if (!isAfter(place, before)) return;
    }
    this.readCount++;
    if (timeMs > this.newestMs) {
      this.newestMs = timeMs;
      metrics.highestIn.set(timeMs / 1000);
    }
    const isRepeat = this.#repeatLeft > 0;
    if (isRepeat) this.#repeatLeft--;
    this.incoming.push({ ...sample, place, isRepeat });
  }

  #isWanted(extra: Extra): boolean {
    if (extra === undefined) return true;
    const { isV1, sendsExemplars, sendsHistograms, metrics } = this.#options;
    if (!isV1) return true;
    if (!("histogram" in extra)) return sendsExemplars;
    if (!sendsHistograms) return false;
    if (extra.histogram.schema !== CUSTOM_BUCKETS_SCHEMA) return true;
    metrics.dropped("nhcb_in_rw1_not_supported").inc();
    return false;
  }
}
