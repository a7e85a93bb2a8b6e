import type { Frame } from "../plan.ts";
import { goMax, goMin } from "../functions/arithmetic.ts";
import { Labels } from "../../model/labels.ts";
import { FLOAT, type ScalarOperator, type VectorOperator } from "./row.ts";

/** Scalars: one value at every step. */

export function constant(value: number, frame: Frame): ScalarOperator {
  return {
    kind: "scalar",
    evaluate: async () => new Float64Array(frame.count).fill(value),
  };
}

/** `time()`. */
export function stepTime(frame: Frame): ScalarOperator {
  return {
    kind: "scalar",
    async evaluate() {
      const values = new Float64Array(frame.count);
      for (let k = 0; k < frame.count; k++) values[k] = (frame.startMs + k * frame.stepMs) / 1000;
      return values;
    },
  };
}

export function negateScalar(operand: ScalarOperator): ScalarOperator {
  return {
    kind: "scalar",
    evaluate: async (query) => (await operand.evaluate(query)).map((value) => -value),
  };
}

export function repeatScalar(operand: ScalarOperator, count: number): ScalarOperator {
  return {
    kind: "scalar",
    async evaluate(query) {
      const [value] = await operand.evaluate(query);
      return new Float64Array(count).fill(value!);
    },
  };
}

/** `min_of(a, b)` and `max_of(a, b)`. */
export function extremeOf(
  which: "min_of" | "max_of",
  left: ScalarOperator,
  right: ScalarOperator,
): ScalarOperator {
  const choose = which === "min_of" ? goMin : goMax;
  return {
    kind: "scalar",
    async evaluate(query) {
      const a = await left.evaluate(query);
      const b = await right.evaluate(query);
      return a.map((value, k) => choose(value, b[k]!));
    },
  };
}

/** `scalar(v)`: the only element's value, NaN when there is none or more than one. */
export function scalarOfVector(operand: VectorOperator, frame: Frame): ScalarOperator {
  return {
    kind: "scalar",
    async evaluate(query) {
      const values = new Float64Array(frame.count).fill(NaN);
      const seen = new Uint8Array(frame.count);
      await operand.stream(query, (row) => {
        for (let k = 0; k < frame.count; k++) {
          if (row.present[k] !== FLOAT) continue;
          values[k] = seen[k] === 0 ? row.values[k]! : NaN;
          seen[k] = 1;
        }
      });
      return values;
    },
  };
}

/** `vector(s)`. */
export function vectorOfScalar(operand: ScalarOperator): VectorOperator {
  return {
    kind: "vector",
    async stream(query, sink) {
      const values = await operand.evaluate(query);
      if (values.length === 0) return;
      const present = new Uint8Array(values.length).fill(FLOAT);
      sink({ labels: Labels.EMPTY, dropName: false, values, present });
    },
  };
}
