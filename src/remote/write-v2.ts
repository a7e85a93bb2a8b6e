import { Labels } from "../model/labels.ts";
import type { MetricKind } from "../model/metadata.ts";
import { corrupt, decodeText, ProtoReader } from "../proto/wire.ts";
import { WriteDecoder } from "./write-decoder.ts";

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
 * Reads an `io.prometheus.write.v2.Request` (remote write 2.0) into `context.columns`. Throws `corrupt` for bytes that
 * break the format, `resource-exhausted` beyond a limit. Start timestamps are passed over. Format: docs/format/remote.md.
 */
export class WriteDecoderV2 extends WriteDecoder {
  /** The texts of the request's own table. */
  readonly #symbols = this.context.columns.symbols;
  #count = 0;
  /** The symbols of the series that is being read. */
  #key = new Int32Array(64);
  #keySize = 0;
  /** Why that series cannot be taken; "" while nothing is wrong. */
  #wrong = "";

  decode(): void {
    const { reader } = this;
    this.#symbols.isHashed.fill(0);
    // The texts may stand after the series that use them.
    while (reader.more) {
      const key = reader.key();
      if (key === 0x22) this.#addText(reader.size());
      else reader.skip(key);
    }
    reader.at = 0;
    while (reader.more) {
      const key = reader.key();
      if (key === 0x2a) this.#series();
      else reader.skip(key);
    }
  }

  #addText(size: number): void {
    const { reader } = this;
    const i = this.#count++;
    const symbols = this.#symbols;
    if (i === symbols.starts.length) symbols.grow();
    symbols.starts[i] = reader.at;
    symbols.ends[i] = reader.at + size;
    reader.at += size;
  }

  pairsOf(series: number): [string, string][] {
    const { reader } = this;
    const after = reader.at;
    reader.at = this.context.columns.seriesAt[series]!;
    const message = reader.nested();
    reader.at = after;
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

  #series(): void {
    const { reader } = this;
    this.begin();
    const end = this.nestedEnd(reader.end);
    const start = reader.at;
    this.#keySize = 0;
    this.#wrong = "";
    let exemplars = 0;
    let metadataAt = -1;
    while (reader.at < end) {
      const key = reader.key();
      switch (key) {
        case 0x0a:
          this.#labelRefs(this.nestedEnd(end));
          break;
        case 0x08: {
          // Not packed.
          this.#reserveKey(1);
          const index = reader.uint32();
          if (this.#hashSymbol(index)) this.#key[this.#keySize++] = index;
          break;
        }
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
        default:
          reader.skip(key);
      }
    }
    this.finish(end);
    const ref = this.#finishSeries(exemplars > 0);
    if (ref < 0) return;
    if (exemplars > 0) this.#exemplars({ start, end }, ref);
    if (metadataAt >= 0) this.#metadata({ metadataAt, end }, ref);
  }

  /** The ref of the series that was read, or -1 when it was refused. */
  #finishSeries(hasExemplars: boolean): number {
    const { columns } = this.context;
    const { marks } = this;
    const symbolCount = this.#keySize;
    if (this.#wrong === "" && symbolCount % 2 !== 0)
      this.#wrong = `a series has ${symbolCount} references to names and values, which must be pairs`;
    let ref = -1;
    if (this.#wrong === "") {
      this.hash.ofHashes(this.#symbols.hashes, this.#key, symbolCount);
      const isEmpty =
        columns.count === marks.sample && columns.histograms.length === marks.histogram;
      // Exemplars may come by themselves, but only series that have samples keep them.
      if (isEmpty && hasExemplars) return this.context.table.find(this.hash);
      ref = this.refOf();
      if (ref < 0) this.#wrong = this.problem;
      else if (isEmpty) this.#wrong = "a series has neither samples nor histograms";
    }
    if (this.#wrong !== "") {
      this.refuse(this.#wrong);
      return -1;
    }
    this.assign(ref);
    return ref;
  }

  /** Reads references up to `end`. */
  #labelRefs(end: number): void {
    const { reader } = this;
    const { bytes } = reader;
    this.#reserveKey(end - reader.at);
    const key = this.#key;
    const { isHashed } = this.#symbols;
    let size = this.#keySize;
    let { at } = reader;
    while (at < end) {
      let index = bytes[at]!;
      // Fast path: the labels that all series share are among the first of the symbols.
      if (index < 0x80) at++;
      else {
        reader.at = at;
        index = reader.uint32();
        ({ at } = reader);
      }
      // Beyond the symbols nothing is hashed.
      if (isHashed[index] !== 1 && !this.#hashSymbol(index)) continue;
      key[size++] = index;
    }
    reader.at = at;
    this.#keySize = size;
    this.finish(end);
  }

  /** False when there is no such symbol. */
  #hashSymbol(index: number): boolean {
    if (index >= this.#count) {
      this.#wrong = `a series refers to symbol ${index} of ${this.#count}`;
      return false;
    }
    const { hash } = this;
    const { starts, ends, hashes, isHashed } = this.#symbols;
    hash.ofBytes(this.view, starts[index]!, ends[index]!);
    hashes[4 * index] = hash.a;
    hashes[4 * index + 1] = hash.b;
    hashes[4 * index + 2] = hash.c;
    hashes[4 * index + 3] = hash.d;
    isHashed[index] = 1;
    return true;
  }

  #reserveKey(count: number): void {
    if (this.#keySize + count <= this.#key.length) return;
    const grown = new Int32Array(2 * (this.#keySize + count));
    grown.set(this.#key);
    this.#key = grown;
  }

  /** Throws `corrupt` when a text is not UTF-8 or not there. */
  #pairs(refs: readonly number[]): [string, string][] {
    const pairs: [string, string][] = [];
    for (let i = 0; i < refs.length; i += 2)
      pairs.push([this.#text(refs[i]!), this.#text(refs[i + 1]!)]);
    return pairs;
  }

  #text(index = this.#count): string {
    if (index >= this.#count) throw corrupt(`it refers to symbol ${index} of ${this.#count}`);
    const { starts, ends } = this.#symbols;
    return decodeText(this.reader.bytes, starts[index]!, ends[index]!);
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
