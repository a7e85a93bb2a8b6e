import { ParsedColumns } from "../exposition/columns.ts";
import type { TextFormat } from "../exposition/entry-parser.ts";
import { ExpositionParser } from "../exposition/parse.ts";
import { LineTable, SeriesIndex } from "./line-table.ts";

/**
 * Working memory of scans, shared by all targets: a scan runs to its end without waiting, then its lines are copied
 * into the target's own table.
 */
export class ScanScratch {
  readonly next = new LineTable();
  readonly columns = new ParsedColumns();
  readonly index: SeriesIndex;
  readonly freshIndex: SeriesIndex;
  hasTimestamp = new Uint8Array(0);
  timestamps = new Float64Array(0);
  /** For each line of the previous body: 1 + the line of this body that carries its series. */
  seen = new Int32Array(0);
  readonly parsers: Record<TextFormat, ExpositionParser> = {
    text: new ExpositionParser("text"),
    openmetrics: new ExpositionParser("openmetrics"),
  };

  constructor(seed: number) {
    this.index = new SeriesIndex(seed);
    this.freshIndex = new SeriesIndex(seed);
  }

  reserve(lines: number): void {
    this.next.reserve(lines);
    if (this.hasTimestamp.length >= this.next.refs.length) return;
    const size = this.next.refs.length;
    const { hasTimestamp, timestamps } = this;
    this.hasTimestamp = new Uint8Array(size);
    this.hasTimestamp.set(hasTimestamp);
    this.timestamps = new Float64Array(size);
    this.timestamps.set(timestamps);
  }
}
