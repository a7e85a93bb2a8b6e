import { readFileSync } from "node:fs";

/** Chunks and log records with start times, as Prometheus writes them, and what they hold. */
export interface StartTimesGolden {
  readonly chunks: readonly GoldenChunk[];
  readonly records: readonly (GoldenChunk & { readonly refs: readonly number[] })[];
  readonly histogramChunks: readonly GoldenHistogramChunk[];
  readonly histograms: readonly {
    readonly name: string;
    readonly hex: string;
    readonly refs: readonly number[];
    readonly times: readonly number[];
    readonly sums: readonly number[];
    readonly schemas: readonly number[];
    readonly lastBuckets: readonly number[];
  }[];
}

export interface GoldenHistogramChunk {
  readonly name: string;
  readonly encoding: number;
  readonly hex: string;
  readonly times: readonly number[];
  /** Bits, as those of values. Of a stale sample the marker. */
  readonly sums: readonly string[];
  readonly counts: readonly number[];
  /** Counts of the highest positive bucket. */
  readonly lastBuckets: readonly number[];
  readonly starts: readonly number[];
}

export interface GoldenChunk {
  readonly name: string;
  readonly hex: string;
  readonly times: readonly number[];
  /** Of the values, 16 hexadecimal digits. */
  readonly bits: readonly string[];
  /** 0 where not known. */
  readonly starts: readonly number[];
}

export const GOLDEN = JSON.parse(
  readFileSync(new URL("start-times.json", import.meta.url), "utf8"),
) as StartTimesGolden;

export function bytesOf({ hex }: { hex: string }): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(hex, "hex"));
}

/** The bits of values, as the golden ones are told. */
export function bitsOf(values: Float64Array): string[] {
  const words = new BigUint64Array(values.buffer, values.byteOffset, values.length);
  return Array.from(words, (word) => word.toString(16).padStart(16, "0"));
}
