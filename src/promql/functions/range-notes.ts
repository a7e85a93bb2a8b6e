import { METRIC_NAME } from "../../model/labels.ts";
import { quoteShown } from "../annotations.ts";
import type { Position } from "../ast.ts";
import { visibleLabels, type QueryContext, type WindowSeries } from "../operators/row.ts";

export type HistogramOperation = "addition" | "subtraction" | "aggregation";

/** Notes about native histograms that name no metric. */
export class HistogramNotes {
  readonly query: QueryContext;
  readonly position: Position;

  constructor(query: QueryContext, position: Position) {
    this.query = query;
    this.position = position;
  }

  /** Custom bounds differed and were cut down to those both histograms have. */
  reconciled(operation: HistogramOperation): void {
    this.query.annotations.info(
      `mismatched custom buckets were reconciled during ${operation}`,
      this.position,
    );
  }

  collision(operation: HistogramOperation): void {
    this.query.annotations.warn(
      `conflicting counter resets during histogram ${operation}`,
      this.position,
    );
  }

  /** Exponential and custom buckets met. */
  mixedSchemasOf(metricName: string): void {
    this.query.annotations.warn(
      `vector contains a mix of histograms with exponential and custom buckets schemas for metric name ${quoteShown(metricName)}`,
      this.position,
    );
  }

  mixedTypesOf(metricName: string): void {
    this.query.annotations.warn(
      `encountered a mix of histograms and floats for metric name ${quoteShown(metricName)}`,
      this.position,
    );
  }
}

/** What a function of a range vector may have to say about one series of native histograms. */
export class RangeNotes extends HistogramNotes {
  readonly #series: WindowSeries;

  constructor(query: QueryContext, series: WindowSeries, position: Position) {
    super(query, position);
    this.#series = series;
  }

  get #name(): string {
    return visibleLabels(this.#series, this.query).get(METRIC_NAME);
  }

  mixedTypes(): void {
    this.mixedTypesOf(this.#name);
  }

  mixedSchemas(): void {
    this.mixedSchemasOf(this.#name);
  }

  ignoredHistograms(): void {
    this.query.annotations.info(
      `ignored histograms in a range containing both floats and histograms for metric name ${quoteShown(this.#name)}`,
      this.position,
    );
  }

  notCounter(): void {
    this.query.annotations.warn(
      `this native histogram metric is not a counter: ${quoteShown(this.#name)}`,
      this.position,
    );
  }

  notGauge(): void {
    this.query.annotations.warn(
      `this native histogram metric is not a gauge: ${quoteShown(this.#name)}`,
      this.position,
    );
  }

  startTimeOverlap(): void {
    this.query.annotations.startTimeOverlap(this.#name, this.position);
  }
}
