import { SymbolTable } from "../index/symbols.ts";
import { LabelBuilder } from "../model/label-builder.ts";
import { Labels, METRIC_NAME } from "../model/labels.ts";
import type { Relabeler } from "../model/relabel.ts";
import { ProtoWriter } from "../proto/wire.ts";
import { writeLabels } from "./read-response.ts";

export interface SendSeriesOptions {
  /** Put on series that lack them, before relabelling. */
  readonly externalLabels: Readonly<Record<string, string>>;
  readonly relabeler: Relabeler;
  /** How the labels are kept: as the bytes of Label messages (1.0) or as numbers of texts (2.0). */
  readonly keepsBytes: boolean;
}

/** The series is not known. */
export const SERIES_UNKNOWN = -1;
/** A rule has dropped it. */
export const SERIES_DROPPED = -2;

const FIRST_SERIES = 1024;

/** The series of the log as they are sent: external labels added, relabelled, and ready to be copied into a request. */
export class SendSeries {
  readonly #options: SendSeriesOptions;
  #indexOf = new Map<number, number>();
  readonly #builder = new LabelBuilder();
  readonly #writer = new ProtoWriter();
  symbols = new SymbolTable();
  /** Labels of series `i`: `bytes` or `ids` from `#starts[i]` to `#starts[i + 1]`. */
  bytes = new Uint8Array(64 * FIRST_SERIES);
  ids = new Int32Array(16 * FIRST_SERIES);
  #starts = new Float64Array(FIRST_SERIES + 1);
  /** Time of the newest sample that was read of each. */
  #newest = new Float64Array(FIRST_SERIES);
  /** The last segment of the log that had a record of each series. */
  #segments = new Int32Array(FIRST_SERIES);
  #names = new Int32Array(FIRST_SERIES);
  #count = 0;

  constructor(options: SendSeriesOptions) {
    this.#options = options;
  }

  /** How many series are known, dropped ones included. */
  get size(): number {
    return this.#indexOf.size;
  }

  /** Takes note of a series that a record of segment `segment` describes. */
  add(ref: number, flat: readonly string[], segment: number): void {
    let index = this.#indexOf.get(ref);
    if (index === undefined) this.#indexOf.set(ref, (index = this.#store(Labels.fromSorted(flat))));
    this.#segments[index] = segment;
  }

  /** The index of the series with `ref`, or one of the two constants above. */
  indexOf(ref: number): number {
    const index = this.#indexOf.get(ref);
    if (index === undefined) return SERIES_UNKNOWN;
    return this.#starts[index] === this.#starts[index + 1] ? SERIES_DROPPED : index;
  }

  start(index: number): number {
    return this.#starts[index]!;
  }

  end(index: number): number {
    return this.#starts[index + 1]!;
  }

  /** The number of the metric's name among `symbols`. */
  metricSymbol(index: number): number {
    return this.#names[index]!;
  }

  /** Notes the time of a sample, and gives that of the newest one before it. */
  advance(index: number, timeMs: number): number {
    const before = this.#newest[index]!;
    if (timeMs > before) this.#newest[index] = timeMs;
    return before;
  }

  /** The log is read anew from its start: no sample of it has been read. */
  rewind(): void {
    this.#newest.fill(-Infinity);
  }

  /** Forgets series that the log no longer knows: those not in `alive` and without a record after `segment`. */
  forget(alive: ReadonlySet<number>, segment: number): void {
    const kept = new SendSeries(this.#options);
    for (const [ref, index] of this.#indexOf)
      if (alive.has(ref) || this.#segments[index]! > segment)
        kept.#indexOf.set(ref, kept.#copy(this, index));
    this.#indexOf = kept.#indexOf;
    this.symbols = kept.symbols;
    this.bytes = kept.bytes;
    this.ids = kept.ids;
    this.#starts = kept.#starts;
    this.#newest = kept.#newest;
    this.#segments = kept.#segments;
    this.#names = kept.#names;
    this.#count = kept.#count;
  }

  #copy(from: SendSeries, index: number): number {
    const [start, end] = [from.start(index), from.end(index)];
    const i = this.#reserve();
    const at = this.#starts[i]!;
    const intern = (id: number): number => this.symbols.intern(from.symbols.text(id));
    if (this.#options.keepsBytes) {
      this.#reserveBytes(at + end - start);
      this.bytes.set(from.bytes.subarray(start, end), at);
    } else {
      this.#reserveIds(at + end - start);
      for (let k = start; k < end; k++) this.ids[at + k - start] = intern(from.ids[k]!);
    }
    this.#starts[i + 1] = at + end - start;
    this.#newest[i] = from.#newest[index]!;
    this.#segments[i] = from.#segments[index]!;
    this.#names[i] = intern(from.#names[index]!);
    return i;
  }

  #store(logged: Labels): number {
    const { externalLabels, relabeler, keepsBytes } = this.#options;
    const builder = this.#builder;
    builder.reset(logged);
    for (const [name, value] of Object.entries(externalLabels))
      if (builder.get(name) === "") builder.set(name, value);
    // A series that is dropped is known by its lack of labels.
    const labels = relabeler.apply(builder) ? builder.labels() : Labels.EMPTY;
    const i = this.#reserve();
    const at = this.#starts[i]!;
    if (keepsBytes) {
      writeLabels(this.#writer, labels);
      const run = this.#writer.finish();
      this.#reserveBytes(at + run.length);
      this.bytes.set(run, at);
      this.#starts[i + 1] = at + run.length;
    } else {
      this.#reserveIds(at + 2 * labels.count);
      for (let k = 0; k < labels.count; k++) {
        this.ids[at + 2 * k] = this.symbols.intern(labels.nameAt(k));
        this.ids[at + 2 * k + 1] = this.symbols.intern(labels.valueAt(k));
      }
      this.#starts[i + 1] = at + 2 * labels.count;
    }
    this.#names[i] = this.symbols.intern(labels.get(METRIC_NAME));
    this.#newest[i] = -Infinity;
    return i;
  }

  #reserve(): number {
    const i = this.#count++;
    if (i === this.#newest.length) {
      const size = 2 * i;
      const starts = new Float64Array(size + 1);
      starts.set(this.#starts);
      this.#starts = starts;
      const newest = new Float64Array(size);
      newest.set(this.#newest);
      this.#newest = newest;
      const names = new Int32Array(size);
      names.set(this.#names);
      this.#names = names;
      const segments = new Int32Array(size);
      segments.set(this.#segments);
      this.#segments = segments;
    }
    return i;
  }

  #reserveBytes(size: number): void {
    if (size <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(size, 2 * this.bytes.length));
    grown.set(this.bytes);
    this.bytes = grown;
  }

  #reserveIds(size: number): void {
    if (size <= this.ids.length) return;
    const grown = new Int32Array(Math.max(size, 2 * this.ids.length));
    grown.set(this.ids);
    this.ids = grown;
  }
}
