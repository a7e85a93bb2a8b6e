import { Labels } from "../model/labels.ts";
import { corrupt, type ProtoReader } from "../proto/wire.ts";
import { type DecodeContext, WriteDecoder } from "./write-decoder.ts";

/**
 * Reads a `prometheus.WriteRequest` (remote write 1.0) into `context.columns`. Format: docs/format/remote.md. The labels of a
 * series stand side by side in its bytes, and those bytes are its key; they are looked into when the key is new.
 */
export class WriteDecoderV1 extends WriteDecoder {
  constructor(body: Uint8Array, context: DecodeContext) {
    super(body, 1, context);
  }

  protected override readPairs(message: ProtoReader): [string, string][] {
    const pairs: [string, string][] = [];
    while (message.more) {
      const key = message.key();
      if (key === 0x0a) pairs.push(readLabel(message.nested()));
      else message.skip(key);
    }
    return pairs;
  }

  protected override readSeries(): void {
    const { reader, context, marks } = this;
    const { columns } = context;
    const end = this.nestedEnd(reader.end);
    const start = reader.at;
    let exemplars = 0;
    while (reader.at < end) {
      const key = reader.key();
      switch (key) {
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
    // Exemplars may come by themselves, but only series that have samples keep them.
    const ref = isEmpty ? this.knownRef() : this.refOf();
    if (ref < 0) return isEmpty ? undefined : this.refuse(this.problem);
    this.assign(ref);
    if (exemplars > 0) this.#exemplars({ start, end }, ref);
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
