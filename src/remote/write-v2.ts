import { Labels } from "../model/labels.ts";
import type { MetricKind } from "../model/metadata.ts";
import { corrupt, decodeText, ProtoReader } from "../proto/wire.ts";
import { type DecodeContext, WriteDecoder } from "./write-decoder.ts";

/** By the number of the enumeration in both versions of the protocol. */
export const METRIC_KIND_NUMBERS: readonly MetricKind[] = [
  "unknown",
  "counter",
  "gauge",
  "histogram",
  "gaugehistogram",
  "summary",
  "info",
  "stateset",
];

/**
 * Reads an `io.prometheus.write.v2.Request` (remote write 2.0) into `context.columns`.
 * Format: docs/format/remote.md. The key of a series is made of the hashes of the texts it refers to.
 */
export class WriteDecoderV2 extends WriteDecoder {
  constructor(body: Uint8Array, context: DecodeContext) {
    super(body, 2, context);
  }

  protected override readPairs(message: ProtoReader): [string, string][] {
    const refs: number[] = [];
    while (message.more) {
      const key = message.key();
      if (key === 0x0a) {
        const packed = message.nested();
        while (packed.more) refs.push(packed.uint32());
      } else if (key === 0x08) refs.push(message.uint32());
      else message.skip(key);
    }
    return this.#pairs(refs);
  }

  protected override readSeries(): void {
    const { reader } = this;
    const end = this.nestedEnd(reader.end);
    const start = reader.at;
    let exemplars = 0;
    let metadataAt = -1;
    let createdMs = 0;
    let refCount = 0;
    // Why the series cannot be taken.
    let wrong = "";
    const addRef = (index: number): void => {
      refCount++;
      const { symbolCount } = this.context.kernel;
      if (index >= symbolCount) wrong = `a series refers to symbol ${index} of ${symbolCount}`;
    };
    while (reader.at < end) {
      const key = reader.key();
      switch (key) {
        case 0x0a: {
          const refsEnd = this.nestedEnd(end);
          while (reader.at < refsEnd) addRef(reader.uint32());
          this.finish(refsEnd);
          break;
        }
        case 0x08:
          // Not packed.
          addRef(reader.uint32());
          break;
        case 0x12:
          this.readSample(this.nestedEnd(end));
          break;
        case 0x1a:
          this.readHistogramField(this.nestedEnd(end));
          break;
        case 0x22:
          exemplars++;
          reader.skip(key);
          break;
        case 0x2a:
          metadataAt = reader.at;
          reader.skip(key);
          break;
        case 0x30:
          createdMs = reader.int64();
          break;
        default:
          reader.skip(key);
      }
    }
    this.finish(end);
    if (wrong === "" && refCount % 2 !== 0)
      wrong = `a series has ${refCount} references to names and values, which must be pairs`;
    const ref = this.#finishSeries(wrong, exemplars > 0);
    if (ref < 0) return;
    if (this.context.options.takesCreated) this.#insertZeros(createdMs);
    if (exemplars > 0) this.#exemplars({ start, end }, ref);
    if (metadataAt >= 0) this.#metadata({ metadataAt, end }, ref);
  }

  /** The ref of the series that was read, or -1 when it was refused. */
  #finishSeries(wrong: string, hasExemplars: boolean): number {
    const { columns } = this.context;
    const { marks } = this;
    if (wrong !== "") return this.#refused(wrong);
    const isEmpty = columns.count === marks.sample && columns.histograms.length === marks.histogram;
    // Exemplars may come by themselves, but only series that have samples keep them.
    if (isEmpty && hasExemplars) return this.knownRef();
    const ref = this.refOf();
    if (ref < 0) return this.#refused(this.problem);
    if (isEmpty) return this.#refused("a series has neither samples nor histograms");
    this.assign(ref);
    return ref;
  }

  /**
   * Zeros for when the series was created: before each sample that tells it, as 2.0 has it now; before the first float and
   * every histogram when it is the series that tells (Prometheus 3.5).
   */
  #insertZeros(createdMs: number): void {
    const { columns } = this.context;
    const { samples, histograms } = this.starts;
    if (samples[0] === 0) samples[0] = createdMs;
    columns.insertZeros(this.marks.sample, samples);
    columns.insertHistogramZeros(
      this.marks.histogram,
      histograms.map((startMs) => (startMs === 0 ? createdMs : startMs)),
    );
  }

  #refused(problem: string): -1 {
    this.refuse(problem);
    return -1;
  }

  /** Throws `corrupt` when a text is not UTF-8 or not there. */
  #pairs(refs: readonly number[]): [string, string][] {
    const pairs: [string, string][] = [];
    if (refs.length % 2 !== 0) throw corrupt("a reference to a name has none to a value");
    for (let i = 0; i < refs.length; i += 2)
      pairs.push([this.#text(refs[i]!), this.#text(refs[i + 1]!)]);
    return pairs;
  }

  #text(index: number): string {
    const { kernel } = this.context;
    if (index >= kernel.symbolCount)
      throw corrupt(`it refers to symbol ${index} of ${kernel.symbolCount}`);
    return decodeText(kernel.bytes, kernel.symbolStart(index), kernel.symbolEnd(index));
  }

  #exemplars(range: { start: number; end: number }, ref: number): void {
    const { reader } = this;
    const after = reader.at;
    reader.at = range.start;
    while (reader.at < range.end) {
      const key = reader.key();
      if (key === 0x22) this.#exemplar(this.nestedEnd(range.end), ref);
      else reader.skip(key);
    }
    reader.at = after;
  }

  #exemplar(end: number, ref: number): void {
    const { reader } = this;
    const labelRefs: number[] = [];
    const point = { timeMs: 0, low: 0, high: 0 };
    while (reader.at < end) {
      const key = reader.key();
      if (key === 0x0a) {
        const nested = this.nestedEnd(end);
        while (reader.at < nested) labelRefs.push(reader.uint32());
        this.finish(nested);
      } else if (key === 0x08) labelRefs.push(reader.uint32());
      else if (key === 0x11) this.readDouble(end, point);
      else if (key === 0x18) point.timeMs = reader.int64();
      else reader.skip(key);
    }
    this.finish(end);
    let labels: Labels;
    try {
      labels = Labels.fromPairs(this.#pairs(labelRefs));
    } catch {
      // An exemplar that cannot be read never costs the samples beside it.
      return;
    }
    this.context.columns.exemplars.push({
      ref,
      exemplar: {
        labels,
        value: this.valueOf(point),
        timeMs: point.timeMs,
      },
    });
  }

  #metadata(range: { metadataAt: number; end: number }, ref: number): void {
    const { bytes } = this.reader;
    const message = new ProtoReader(bytes, range.metadataAt, range.end).nested();
    let type = 0;
    let help = 0;
    let unit = 0;
    while (message.more) {
      const key = message.key();
      if (key === 0x08) type = message.uint32();
      else if (key === 0x18) help = message.uint32();
      else if (key === 0x20) unit = message.uint32();
      else message.skip(key);
    }
    if (type === 0 && help === 0 && unit === 0) return;
    let texts: readonly string[];
    try {
      texts = [help, unit].map((index) => (index === 0 ? "" : this.#text(index)));
    } catch {
      return;
    }
    this.context.columns.metadata.push({
      ref,
      metadata: {
        type: METRIC_KIND_NUMBERS[type] ?? "unknown",
        help: texts[0]!,
        unit: texts[1]!,
      },
    });
  }
}
