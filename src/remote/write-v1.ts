import { Labels } from "../model/labels.ts";
import { corrupt, type ProtoReader } from "../proto/wire.ts";
import { WriteDecoder } from "./write-decoder.ts";

/**
 * Reads a `prometheus.WriteRequest` (remote write 1.0) into `context.columns`. Throws `corrupt` for bytes that break the
 * format, `resource-exhausted` beyond a limit. Format: docs/format/remote.md.
 *
 * The trick: the labels of a series stand side by side in its bytes, and those bytes are its key; they are looked into
 * when the key is new.
 */
export class WriteDecoderV1 extends WriteDecoder {
  decode(): void {
    const { reader } = this;
    while (reader.more) {
      const key = reader.key();
      if (key === 0x0a) this.#series();
      else reader.skip(key);
    }
  }

  pairsOf(series: number): [string, string][] {
    const { reader } = this;
    const after = reader.at;
    // The size stands before the message and has been read: what is beyond the last label is passed over by the caller.
    reader.at = this.context.columns.seriesAt[series]!;
    const message = reader.nested();
    reader.at = after;
    const pairs: [string, string][] = [];
    while (message.more) {
      const key = message.key();
      if (key === 0x0a) pairs.push(readLabel(message.nested()));
      else message.skip(key);
    }
    return pairs;
  }

  #series(): void {
    const { reader, context } = this;
    const { columns } = context;
    this.begin();
    const { marks } = this;
    const end = this.nestedEnd(reader.end);
    const start = reader.at;
    let exemplars = 0;
    let labelsEnd = this.#passLabels(start, end);
    let isSideBySide = true;
    reader.at = labelsEnd;
    while (reader.at < end) {
      const at = reader.at;
      const key = reader.key();
      switch (key) {
        case 0x0a:
          reader.at = this.nestedEnd(end);
          if (at === labelsEnd) labelsEnd = reader.at;
          else isSideBySide = false;
          break;
        case 0x12:
          this.readSample(this.nestedEnd(end));
          break;
        case 0x1a:
          exemplars++;
          reader.skip(key);
          break;
        case 0x22:
          this.readHistogramField(this.nestedEnd(end));
          break;
        default:
          reader.skip(key);
      }
    }
    this.finish(end);
    const isEmpty = columns.count === marks.sample && columns.histograms.length === marks.histogram;
    // As Prometheus, a series that comes without samples is not made.
    if (isEmpty && exemplars === 0) return;
    // Labels that stand apart, which no known sender writes: the whole message is the key.
    this.hash.ofBytes(this.view, start, isSideBySide ? labelsEnd : end);
    // Exemplars may come by themselves, but only series that have samples keep them.
    const ref = isEmpty ? this.context.table.find(this.hash) : this.refOf();
    if (ref < 0) return isEmpty ? undefined : this.refuse(this.problem);
    this.assign(ref);
    if (exemplars > 0) this.#exemplars({ start, end }, ref);
  }

  /** Fast path: labels of less than 128 bytes come first, and only their sizes are looked at. */
  #passLabels(start: number, end: number): number {
    const { bytes } = this.reader;
    let at = start;
    while (at + 1 < end && bytes[at] === 0x0a) {
      const size = bytes[at + 1]!;
      if (size >= 0x80 || at + 2 + size > end) break;
      at += 2 + size;
    }
    return at;
  }

  /** The exemplars of the series in `range`, in a second walk: few series have any. */
  #exemplars(range: { start: number; end: number }, ref: number): void {
    const { reader } = this;
    reader.at = range.start;
    while (reader.at < range.end) {
      const key = reader.key();
      if (key === 0x1a) this.#exemplar(this.nestedEnd(range.end), ref);
      else reader.skip(key);
    }
  }

  #exemplar(end: number, ref: number): void {
    const { reader } = this;
    const pairs: [string, string][] = [];
    const point = { timeMs: 0, low: 0, high: 0 };
    while (reader.at < end) {
      const key = reader.key();
      if (key === 0x0a) {
        pairs.push(readLabel(reader.nested()));
      } else if (key === 0x11) this.readDouble(end, point);
      else if (key === 0x18) point.timeMs = reader.int64();
      else reader.skip(key);
    }
    if (reader.at !== end) throw corrupt("a field reaches beyond the end");
    this.context.columns.exemplars.push({
      ref,
      exemplar: {
        labels: Labels.fromPairs(pairs),
        value: this.valueOf(point),
        timeMs: point.timeMs,
      },
    });
  }
}

function readLabel(message: ProtoReader): [string, string] {
  let name = "";
  let value = "";
  while (message.more) {
    const key = message.key();
    if (key === 0x0a) name = message.string();
    else if (key === 0x12) value = message.string();
    else message.skip(key);
  }
  return [name, value];
}
