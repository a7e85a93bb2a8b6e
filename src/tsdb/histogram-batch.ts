import { AppError } from "../base/errors.ts";
import { writeStale } from "../base/float.ts";
import type { HistogramKind } from "../chunk/histogram-appender.ts";
import { staleHistogram } from "../chunk/histogram-samples.ts";
import {
  EXPONENTIAL_SCHEMA_MAX,
  EXPONENTIAL_SCHEMA_MAX_RESERVED,
  type FloatHistogram,
  withCounterResetHint,
} from "../model/histogram.ts";
import { reduceResolution } from "../model/histogram-arithmetic.ts";
import { validateHistogram, validateIntegerHistogram } from "../model/histogram-validate.ts";
import type { HistogramColumns } from "../storage/appender.ts";

/** One histogram of a batch on its way into the head. */
export interface PickedHistogram {
  readonly ref: number;
  readonly kind: HistogramKind;
  readonly timeMs: number;
  readonly histogram: FloatHistogram;
  /** Where it came from: a staleness marker among the floats becomes a stale histogram. */
  readonly part: "float" | "histogram";
  readonly index: number;
  /** One of `AppendBatch.zeros`. */
  readonly isZero?: boolean;
}

/** The histogram at `index`, as it may be stored. Throws `bad-data` when it breaks the rules. */
export function pickHistogram(columns: HistogramColumns, index: number): PickedHistogram {
  const kind = columns.isFloat[index] === 0 ? "integer" : "float";
  const histogram = atStoredResolution(columns.histograms[index]!);
  if (kind === "float") validateHistogram(histogram);
  else {
    validateIntegerHistogram(histogram);
    if (!isWhole(histogram))
      throw new AppError("bad-data", "histogram of whole numbers has a count that is none");
  }
  return {
    ref: columns.refs[index]!,
    kind,
    timeMs: columns.times[index]!,
    histogram,
    part: "histogram",
    index,
  };
}

/** The histogram that a staleness marker means for a series of histograms. */
export function staleMarker(sample: Omit<PickedHistogram, "histogram" | "part">): PickedHistogram {
  const sums = new Float64Array(1);
  writeStale(sums, 0);
  return { ...sample, histogram: staleHistogram(sums[0]!), part: "float" };
}

/** Resolutions beyond those anybody uses are stored at the highest one. */
function atStoredResolution(h: FloatHistogram): FloatHistogram {
  if (h.schema <= EXPONENTIAL_SCHEMA_MAX || h.schema > EXPONENTIAL_SCHEMA_MAX_RESERVED) return h;
  const reduced = reduceResolution(h, EXPONENTIAL_SCHEMA_MAX);
  return reduced === undefined ? h : withCounterResetHint(reduced, h.counterResetHint);
}

function isWhole(h: FloatHistogram): boolean {
  return (
    Number.isInteger(h.count) &&
    Number.isInteger(h.zeroCount) &&
    h.positiveBuckets.every(Number.isInteger) &&
    h.negativeBuckets.every(Number.isInteger)
  );
}
