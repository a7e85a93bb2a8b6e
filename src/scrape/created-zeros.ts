import type { NativeSample } from "../exposition/protobuf-histogram.ts";
import { zeroBefore } from "../model/histogram.ts";
import type { AppendBatch } from "../storage/appender.ts";

/** A sample whose series tells when it was created. */
export interface CreatedSample {
  readonly ref: number;
  readonly createdMs: number;
  /** The sample, when it is a native histogram. */
  readonly native: NativeSample | undefined;
}

/** A zero for the moment each series was created, to stand in front of what comes at `timeMs`; undefined when there is none. */
export function zerosOf(
  created: readonly CreatedSample[],
  timeMs: number,
): AppendBatch | undefined {
  if (created.length === 0) return undefined;
  const floats = created.filter(({ native }) => native === undefined);
  const histograms = created.flatMap(({ native, ...one }) =>
    native === undefined ? [] : [{ ...one, native }],
  );
  return {
    refs: Int32Array.from(floats, ({ ref }) => ref),
    times: Float64Array.from(floats, ({ createdMs }) => createdMs),
    values: new Float64Array(floats.length),
    count: floats.length,
    histograms: {
      refs: Int32Array.from(histograms, ({ ref }) => ref),
      times: Float64Array.from(histograms, ({ createdMs }) => createdMs),
      histograms: histograms.map(({ native }) => zeroBefore(native.histogram)),
      isFloat: Uint8Array.from(histograms, ({ native }) => (native.isFloat ? 1 : 0)),
      count: histograms.length,
    },
    zeros: {
      floats: Int32Array.from(floats.keys()),
      histograms: Int32Array.from(histograms.keys()),
      beforeMs: timeMs,
    },
  };
}
