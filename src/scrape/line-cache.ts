import type { TextFormat } from "../exposition/entry-parser.ts";
import type { BesideText, FamiliesBeside } from "../exposition/protobuf.ts";
import { decodePairs } from "../exposition/series.ts";
import type { Labels } from "../model/labels.ts";
import { LineTable } from "./line-table.ts";
import type { Labeler } from "./sample-labels.ts";
import { Scan, type ScanRules } from "./scan.ts";
import type { ScanScratch } from "./scan-scratch.ts";

/**
 * One target's memory from scrape to scrape.
 *
 * The trick: a target sends nearly the same bytes each time. A line whose bytes up to the value equal those of the
 * line at the same place of the previous body is the same series, so its ref is known without tokens, hashing or
 * labels, and only the value is read. Any other line is parsed and looked up by its bytes among the previous lines
 * (after which both bodies run in step again); only bytes never seen before are decoded and relabelled.
 */
export class LineCache {
  /** The lines of the last good body. */
  readonly table = new LineTable();
  /** Grows whenever something else than values changed. */
  version = 0;
  format: TextFormat = "text";
  /** What the last good body could not say of its families. */
  families: FamiliesBeside = new Map();
  readonly #scratch: ScanScratch;
  #forgotten = false;

  constructor(scratch: ScanScratch) {
    this.#scratch = scratch;
  }

  /** Makes the next scan label every series anew (relabelling rules changed); what is tracked stays tracked. */
  forget(): void {
    this.#forgotten = true;
  }

  /**
   * Reads `body` (with a byte of room behind `length`) into the scratch table, where `emit`, `resolve` and `commit`
   * find it. Nothing of it is remembered until `commit`.
   */
  scan(
    body: Uint8Array,
    length: number,
    options: {
      readonly format: TextFormat;
      readonly rules: ScanRules;
      readonly nowMs: number;
      readonly beside?: BesideText | undefined;
    },
  ): Scan {
    // What one format lets pass, another may not.
    const forgotten = this.#forgotten || options.format !== this.format;
    const { format, rules, nowMs, beside } = options;
    const all = { body, length, format, rules, nowMs, forgotten, beside };
    return new Scan(this.#scratch, this.table, all);
  }

  /** Takes over the scanned lines and their body; the previous body, which nobody needs any more, is the result. */
  commit(scan: Scan): Uint8Array {
    const previous = this.table.body;
    if (scan.changed || this.format !== scan.format) this.version++;
    this.format = scan.format;
    this.families = scan.families;
    this.table.assign(this.#scratch.next);
    this.#forgotten = false;
    return previous;
  }

  /** After a failed scrape: all series went stale, so none is tracked any more. */
  untrack(): void {
    this.table.tracked.fill(0);
    this.table.trackedCount = 0;
  }

  /** Calls `visit` with the ref of every series that would go stale if the target vanished now. */
  forEachTracked(visit: (ref: number) => void): void {
    const { refs, tracked, count } = this.table;
    for (let i = 0; i < count; i++) if (tracked[i] === 1 && refs[i]! >= 0) visit(refs[i]!);
  }

  /** Calls `visit` with ref and labels of every series of the last body, and keeps the ref it returns. */
  forEachKnown(labeler: Labeler, visit: (ref: number, labels: Labels) => number): void {
    const { refs, seriesStart, seriesEnd, kinds, count, body } = this.table;
    const text = Buffer.from(body.buffer, body.byteOffset, body.length);
    for (let i = 0; i < count; i++) {
      if (refs[i]! < 0) continue;
      const range = { start: seriesStart[i]!, end: seriesEnd[i]!, kind: kinds[i]! };
      const labels = labeler(decodePairs(text, range));
      if (labels !== undefined) refs[i] = visit(refs[i]!, labels);
    }
  }
}
