import { isStaleHistogram } from "../model/histogram.ts";
import { HistogramBlock } from "../model/histogram-block.ts";
import { decodeFloatHistogramInto, FloatHistogramWriter } from "./float-histogram.ts";
import { decodeHistogramInto, HistogramWriter } from "./histogram.ts";
import { chunkResetHeader, HISTOGRAM_HEADER_BYTES, headerBytes } from "./histogram-layout.ts";
import { StartTimes } from "./start-times.ts";

/**
 * Encodings 5 and 6: histograms of encoding 2 and 3 with start times, which Prometheus 3.14 and later write when told to. They are
 * read only. Format: docs/format/chunks.md.
 */
export interface StartedHistograms {
  /** The samples as a chunk of encoding 2 or 3. */
  readonly data: Uint8Array;
  /** ms. */
  readonly times: Float64Array;
  /** When a sample's counting started, ms, 0 where not known; undefined when no sample has one. */
  readonly startTimes: Float64Array | undefined;
}

/** Takes the start times out of a whole chunk. Throws `corrupt` when the bytes break the format. Keeps nothing of `data`. */
export function withoutStartTimes(kind: "integer" | "float", data: Uint8Array): StartedHistograms {
  // The upper two bits of the count are the flags that the others have in a byte of their own.
  const sampleCount = (((data[0] ?? 0) & 0x3f) << 8) | (data[1] ?? 0);
  const plain = data.slice();
  if (plain.length >= HISTOGRAM_HEADER_BYTES)
    plain.set([sampleCount >>> 8, sampleCount & 255, data[0]! & 0xc0]);
  const block = new HistogramBlock();
  const starts = new StartTimes(data[2] ?? 0, sampleCount);
  const decodeInto = kind === "integer" ? decodeHistogramInto : decodeFloatHistogramInto;
  decodeInto(plain, block, starts);
  const writer = kind === "integer" ? new HistogramWriter() : new FloatHistogramWriter();
  for (let row = 0; row < block.size; row++) {
    const histogram = block.at(row);
    writer.append(block.times[row]!, histogram, isStaleHistogram(histogram));
  }
  return {
    data: writer.toBytes(headerBytes(block.size, chunkResetHeader(plain))),
    times: block.times.slice(0, block.size),
    startTimes: starts.column,
  };
}
