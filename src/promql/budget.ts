import { setImmediate as nextTurn } from "node:timers/promises";
import type { Clock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import type { AggregateLimits, AggregateStats } from "../storage/aggregate.ts";
import type { Series } from "../storage/queryable.ts";

/** How long an evaluation may keep the event loop before it lets others run, ms. */
const TURN_MS = 25;

/** A label copied from one row to others is one text for all of them; only a long one costs more than that. */
const COPY_FREE_LENGTH = 1024;

/**
 * What one query may use: samples in memory, series and bytes read, labels made, and time. Operators ask it between batches, so a
 * cancelled or overdue query stops within a turn of the event loop.
 */
export class Budget {
  readonly #maxSamples: number;
  readonly #maxSeries: number;
  readonly #maxBytes: number;
  readonly #maxLabelBytes: number;
  readonly #maxLabelValueBytes: number;
  readonly #clock: Clock;
  readonly #signal: AbortSignal;
  readonly #endsAtMs: number;
  readonly #stopFlag: Int32Array | undefined;
  #series = 0;
  #bytes = 0;
  #labelBytes = 0;
  #held = 0;
  #peak = 0;
  #turnEndsAtMs: number;

  /**
   * `signal` aborts with an `AppError` as its reason: the error the query fails with. `endsAtMs` (monotonic) and
   * `stopFlag` (not 0: stop) say the same to code that cannot let the event loop run.
   */
  constructor(options: {
    maxSamples: number;
    maxSeries?: number;
    maxBytes?: number;
    maxLabelBytes?: number;
    maxLabelValueBytes?: number;
    clock: Clock;
    signal: AbortSignal;
    endsAtMs?: number;
    stopFlag?: Int32Array | undefined;
  }) {
    this.#maxSamples = options.maxSamples;
    this.#maxSeries = options.maxSeries ?? Infinity;
    this.#maxBytes = options.maxBytes ?? Infinity;
    this.#maxLabelBytes = options.maxLabelBytes ?? Infinity;
    this.#maxLabelValueBytes = options.maxLabelValueBytes ?? Infinity;
    this.#clock = options.clock;
    this.#signal = options.signal;
    this.#endsAtMs = options.endsAtMs ?? Infinity;
    this.#stopFlag = options.stopFlag;
    this.#turnEndsAtMs = options.clock.monotonic() + TURN_MS;
  }

  get peak(): number {
    return this.#peak;
  }

  get signal(): AbortSignal {
    return this.#signal;
  }

  /** What the storage has given, as `read` counts it. */
  get given(): { readonly series: number; readonly bytes: number } {
    return { series: this.#series, bytes: this.#bytes };
  }

  /** Undoes what `read` has counted since `given` was what it says: it will be read again. */
  forget(given: { readonly series: number; readonly bytes: number }): void {
    this.#series = given.series;
    this.#bytes = given.bytes;
  }

  /** What may still be taken. */
  get left(): AggregateLimits {
    return {
      samples: this.#maxSamples - this.#held,
      series: this.#maxSeries - this.#series,
      bytes: this.#maxBytes - this.#bytes,
      timeMs: Math.max(0, Math.ceil(this.#endsAtMs - this.#clock.monotonic())),
    };
  }

  /** Counts what others have read and held for this query, within what was `left`. */
  spend(stats: AggregateStats): void {
    this.#series += stats.selectedSeries;
    this.#bytes += stats.selectedBytes;
    this.probe(stats.peakSamples);
  }

  /** Throws `execution` when so many series more are above the limit: an index has told of them before they are read. */
  expect(atLeast: number): void {
    const found = this.#series + atLeast;
    if (found <= this.#maxSeries) return;
    throw tooMuch("read too many series", {
      found: `at least ${found} by the index`,
      limit: this.#maxSeries,
      flag: "--query.max-series",
    });
  }

  /** Counts what the storage gave, before any of it is decoded; throws `execution` above a limit. */
  read(series: readonly Series[]): void {
    let bytes = 0;
    for (const { chunks } of series) for (const { data } of chunks) bytes += data.length;
    this.take({ series: series.length, bytes });
  }

  /** As `read`, for those who have counted. */
  take({ series, bytes }: { series: number; bytes: number }): void {
    this.#series += series;
    if (this.#series > this.#maxSeries)
      throw tooMuch("read too many series", {
        found: `${this.#series} so far`,
        limit: this.#maxSeries,
        flag: "--query.max-series",
      });
    this.#bytes += bytes;
    if (this.#bytes > this.#maxBytes) this.refuseBytes(`${this.#bytes} so far`);
  }

  /** Throws as `read` does for too many bytes. */
  refuseBytes(found: string): never {
    throw tooMuch("read too many bytes of chunks", {
      found,
      limit: this.#maxBytes,
      flag: "--query.max-chunk-bytes",
    });
  }

  /**
   * Counts a label that a row is to get, before its value is made; throws `execution` above a limit. A character counts as
   * a byte, because a text knows its length without being looked at. What has been counted stays so: rows pass labels on,
   * and nobody knows who drops them last.
   */
  makeLabel(name: string, valueLength: number): void {
    // An empty value takes the label away.
    if (valueLength === 0) return;
    if (valueLength > this.#maxLabelValueBytes)
      throw tooMuch("make a label value too long", {
        found: `${valueLength} bytes`,
        limit: this.#maxLabelValueBytes,
        flag: "--query.max-label-value-bytes",
        advice: "Make it shorter",
      });
    this.#labelBytes += name.length + valueLength;
    if (this.#labelBytes > this.#maxLabelBytes)
      throw tooMuch("make too many bytes of labels", {
        found: `${this.#labelBytes} so far`,
        limit: this.#maxLabelBytes,
        flag: "--query.max-label-bytes",
      });
  }

  /** As `makeLabel`, of a label that another row has, too. */
  copyLabel(name: string, value: string): void {
    if (name.length + value.length > COPY_FREE_LENGTH) this.makeLabel(name, value.length);
  }

  /** Counts `samples` as held in memory; throws `execution` above the limit. */
  hold(samples: number): void {
    this.#held += samples;
    if (this.#held > this.#peak) this.#peak = this.#held;
    if (this.#held > this.#maxSamples)
      // The words up to the colon are Prometheus's.
      throw tooMuch("load too many samples into memory", {
        found: `${this.#held} so far`,
        limit: this.#maxSamples,
        flag: "--query.max-samples",
      });
  }

  /** Throws as `hold`: a sample of the series leaves no doubt that they would be too many. */
  refuseSamples(found: string): never {
    throw tooMuch("load too many samples into memory", {
      found,
      limit: this.#maxSamples,
      flag: "--query.max-samples",
    });
  }

  release(samples: number): void {
    this.#held -= samples;
  }

  fits(samples: number): boolean {
    return this.#held + samples <= this.#maxSamples;
  }

  /** Throws when `samples` more would not fit, without keeping them. */
  probe(samples: number): void {
    this.hold(samples);
    this.release(samples);
  }

  /** Whether this evaluation has had its turn and should `await breathe()`. */
  isDue(): boolean {
    return this.#clock.monotonic() >= this.#turnEndsAtMs;
  }

  /** Lets the event loop run, then throws if the query was cancelled or timed out. */
  async breathe(): Promise<void> {
    this.check();
    await nextTurn();
    this.check();
    this.#turnEndsAtMs = this.#clock.monotonic() + TURN_MS;
  }

  /** Throws if the query is overdue or was stopped from another thread, without letting the event loop run. */
  look(): void {
    if (this.#stopFlag !== undefined && Atomics.load(this.#stopFlag, 0) !== 0)
      throw new AppError("canceled", "query was canceled in expression evaluation");
    if (this.#clock.monotonic() >= this.#endsAtMs)
      throw new AppError("timeout", "query timed out in expression evaluation");
  }

  check(): void {
    if (this.#signal.aborted) throw AppError.from(this.#signal.reason, "canceled");
  }
}

function tooMuch(
  what: string,
  {
    found,
    limit,
    flag,
    advice = "Narrow its selectors or its time range",
  }: { found: string; limit: number; flag: string; advice?: string },
): AppError {
  return new AppError(
    "execution",
    `query processing would ${what} in query execution: ${found}, the limit is ${limit} (${flag}). ${advice}, or raise the limit`,
  );
}
