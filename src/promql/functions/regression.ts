import { ROW_AT, sampleMemory, TIMES_AT, VALUES_AT } from "../../chunk/sample-memory.ts";
import { columnKernel } from "./column-kernel.ts";
import { KahanSum } from "./kahan-sum.ts";

/** Samples [low, high) of two columns, two at least. */
interface Samples {
  readonly times: Float64Array;
  readonly values: Float64Array;
  readonly low: number;
  readonly high: number;
}

export interface Line {
  slope: number;
  /** Its value at the origin. */
  intercept: number;
}

const line: Line = { slope: 0, intercept: 0 };
let kernelIntercept: Float64Array | undefined;

/**
 * The line of least squares through `samples`, x in seconds from `originMs` on; lent until the next call. Samples that are in
 * the sample memory, as those of a series that was just decoded, do not leave WebAssembly (column-kernel.as): a quarter of the time.
 */
export function regress(samples: Samples, originMs: number): Line {
  const lent = sampleMemory();
  const { times, values, low, high } = samples;
  if (times !== lent.times || values !== lent.values) return regressHere(samples, originMs);
  kernelIntercept ??= new Float64Array(lent.memory.buffer, ROW_AT, 1);
  const at = 8 * low;
  line.slope = columnKernel().regress(TIMES_AT + at, VALUES_AT + at, high - low, originMs, ROW_AT);
  line.intercept = kernelIntercept[0]!;
  return line;
}

function regressHere({ times, values, low, high }: Samples, originMs: number): Line {
  const sumX = new KahanSum();
  const sumY = new KahanSum();
  const sumXY = new KahanSum();
  const sumX2 = new KahanSum();
  const first = values[low]!;
  let isConstant = true;
  for (let i = low; i < high; i++) {
    const y = values[i]!;
    if (y !== first) isConstant = false;
    const x = (times[i]! - originMs) / 1000;
    sumX.add(x);
    sumY.add(y);
    sumXY.add(x * y);
    sumX2.add(x * x);
  }
  if (isConstant) {
    const isInfinite = first === Infinity || first === -Infinity;
    line.slope = isInfinite ? NaN : 0;
    line.intercept = isInfinite ? NaN : first;
    return line;
  }
  const n = high - low;
  const x = sumX.sum + sumX.rest;
  const y = sumY.sum + sumY.rest;
  const covariance = sumXY.sum + sumXY.rest - (x * y) / n;
  const variance = sumX2.sum + sumX2.rest - (x * x) / n;
  line.slope = covariance / variance;
  line.intercept = y / n - (line.slope * x) / n;
  return line;
}
