import type { FloatHistogram } from "../../model/histogram.ts";
import { multiplyHistogram } from "../../model/histogram-arithmetic.ts";
import { DATE_FUNCTIONS } from "../functions/dates.ts";
import { goMax, goMin } from "../functions/arithmetic.ts";
import { MATH_FUNCTIONS } from "../functions/math.ts";
import type { Frame } from "../plan.ts";
import { HistogramColumn } from "./histogram-column.ts";
import {
  ABSENT,
  dropHistograms,
  FLOAT,
  HISTOGRAM,
  type Row,
  type ScalarOperator,
  type VectorOperator,
} from "./row.ts";

/** Functions that turn each element into another one, in place, as the rows stream by. */

/** The float function behind a PromQL name of the form `f(v)`, if it is one. */
export function elementFunction(name: string): ((x: number) => number) | undefined {
  return MATH_FUNCTIONS.get(name) ?? DATE_FUNCTIONS.get(name);
}

export function mapElements(
  operand: VectorOperator,
  compute: (x: number) => number,
): VectorOperator {
  return {
    kind: "vector",
    async stream(query, sink) {
      await operand.stream(query, (row) => {
        dropHistograms(row);
        const { values, present } = row;
        for (let k = 0; k < values.length; k++)
          if (present[k] !== ABSENT) values[k] = compute(values[k]!);
        row.dropName = true;
        sink(row);
      });
    },
  };
}

export function negate(operand: VectorOperator): VectorOperator {
  return {
    kind: "vector",
    async stream(query, sink) {
      await operand.stream(query, (row) => {
        const { values, present, histograms } = row;
        for (let k = 0; k < values.length; k++)
          if (present[k] === FLOAT) values[k] = -values[k]!;
          else if (present[k] === HISTOGRAM)
            histograms!.set(k, multiplyHistogram(histograms!.at(k), -1));
        row.dropName = true;
        sink(row);
      });
    },
  };
}

/** histogram_count and its kin: a float of each histogram; floats are left out. */
export function mapHistograms(
  operand: VectorOperator,
  compute: (histogram: FloatHistogram) => number,
): VectorOperator {
  return {
    kind: "vector",
    async stream(query, sink) {
      await operand.stream(query, (row) => {
        const { values, present, histograms } = row;
        if (histograms === undefined) return;
        for (let k = 0; k < values.length; k++) {
          const isHistogram = present[k] === HISTOGRAM;
          if (isHistogram) values[k] = compute(histograms.at(k));
          present[k] = isHistogram ? FLOAT : ABSENT;
        }
        row.histograms = undefined;
        row.dropName = true;
        sink(row);
      });
    },
  };
}

/** `round(v, to)`. */
export function round(operand: VectorOperator, to: ScalarOperator | undefined): VectorOperator {
  return {
    kind: "vector",
    async stream(query, sink) {
      const nearest = to === undefined ? undefined : await to.evaluate(query);
      await operand.stream(query, (row) => {
        dropHistograms(row);
        const { values } = row;
        for (let k = 0; k < values.length; k++) {
          // The inverse keeps decimal fractions exact where the multiple itself is not.
          const inverse = nearest === undefined ? 1 : 1 / nearest[k]!;
          values[k] = Math.floor(values[k]! * inverse + 0.5) / inverse;
        }
        row.dropName = true;
        sink(row);
      });
    },
  };
}

/** clamp, clamp_min and clamp_max; a missing bound is infinite. */
export function clamp(
  operand: VectorOperator,
  bounds: { min: ScalarOperator | undefined; max: ScalarOperator | undefined },
): VectorOperator {
  return {
    kind: "vector",
    async stream(query, sink) {
      const min = await bounds.min?.evaluate(query);
      const max = await bounds.max?.evaluate(query);
      await operand.stream(query, (row) => {
        dropHistograms(row);
        const { values, present } = row;
        for (let k = 0; k < values.length; k++) {
          const low = min === undefined ? -Infinity : min[k]!;
          const high = max === undefined ? Infinity : max[k]!;
          if (high < low) present[k] = ABSENT;
          else values[k] = goMax(low, goMin(high, values[k]!));
        }
        row.dropName = true;
        sink(row);
      });
    },
  };
}

/** `timestamp(v)` of anything but a selector: the time of the step. */
export function stepTimestamps(operand: VectorOperator, frame: Frame): VectorOperator {
  return {
    kind: "vector",
    async stream(query, sink) {
      await operand.stream(query, (row) => {
        for (let k = 0; k < frame.count; k++) {
          row.values[k] = (frame.startMs + k * frame.stepMs) / 1000;
          if (row.present[k] === HISTOGRAM) row.present[k] = FLOAT;
        }
        row.histograms = undefined;
        row.dropName = true;
        sink(row);
      });
    },
  };
}

/** `absent(v)`: 1 where the vector is empty. */
export function absent(operand: VectorOperator, rowWhenAbsent: () => Row): VectorOperator {
  return {
    kind: "vector",
    async stream(query, sink) {
      const result = rowWhenAbsent();
      result.values.fill(1);
      result.present.fill(FLOAT);
      await operand.stream(query, (row) => {
        for (let k = 0; k < row.present.length; k++)
          if (row.present[k] !== ABSENT) result.present[k] = ABSENT;
      });
      if (result.present.includes(FLOAT)) sink(result);
    },
  };
}

/** A step-invariant vector: evaluated at one step, the same at all of them. */
export function repeatRows(operand: VectorOperator, count: number): VectorOperator {
  return {
    kind: "vector",
    async stream(query, sink) {
      const values = new Float64Array(count);
      const present = new Uint8Array(count);
      await operand.stream(query, (row) => {
        if (row.present[0] === ABSENT) return;
        values.fill(row.values[0]!);
        present.fill(row.present[0]!);
        let histograms: HistogramColumn | undefined;
        if (row.present[0] === HISTOGRAM) {
          const histogram = row.histograms!.at(0);
          histograms = HistogramColumn.of(Array.from(present, () => histogram));
        }
        sink({ labels: row.labels, dropName: row.dropName, values, present, histograms });
      });
    },
  };
}
