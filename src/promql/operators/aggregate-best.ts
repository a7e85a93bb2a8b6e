import type { AggregatePlan } from "../plan.ts";
import { checkParameters } from "./aggregate-choice.ts";
import { noteIgnoredHistogram } from "./aggregate-histograms.ts";
import { streamGroups } from "./grouped-rows.ts";
import {
  emptyRow,
  FLOAT,
  HISTOGRAM,
  type Row,
  type ScalarOperator,
  type VectorOperator,
  visibleLabels,
} from "./row.ts";
import { StepHeaps } from "./step-heaps.ts";

const MAX_ROWS = 2 ** 31 - 1;

/** `topk` and `bottomk`. Rows are looked at as they stream by; of those that are not among the best nothing is kept. */
export function aggregateBest(
  operand: VectorOperator,
  parameter: ScalarOperator,
  plan: AggregatePlan & { operator: "topk" | "bottomk" },
): VectorOperator {
  const { frame, operator } = plan;
  // The heaps keep the largest; the smallest are the largest with the sign turned, which loses no bit.
  const sign = operator === "topk" ? 1 : -1;
  return {
    kind: "vector",
    async stream(query, sink) {
      const parameters = await parameter.evaluate(query);
      const limits = Int32Array.from(parameters, (value) =>
        Math.max(0, Math.min(Math.trunc(value) || 0, MAX_ROWS)),
      );
      /** By group; none of one that has no floats. */
      const heaps: (StepHeaps | undefined)[] = [];
      const heads = new Map<number, Pick<Row, "labels" | "dropName">>();
      let rowCount = 0;
      let held = 0;
      let sawHistogram = false;
      const hold = (samples: number): void => {
        query.budget.hold(samples);
        held += samples;
      };
      const heapOf = (index: number): StepHeaps => {
        const known = heaps[index];
        if (known !== undefined) return known;
        const made = new StepHeaps(limits);
        heaps[index] = made;
        hold(made.room);
        return made;
      };
      await streamGroups(operand, plan, query, (row, index) => {
        const { present } = row;
        const heap = present.includes(FLOAT) ? heapOf(index) : undefined;
        sawHistogram ||= row.histograms !== undefined && present.includes(HISTOGRAM);
        if (heap === undefined) return;
        const { room } = heap;
        const isKept = heap.offerRow(row, sign, rowCount);
        if (heap.room > room) hold(heap.room - room);
        if (isKept)
          heads.set(rowCount, {
            labels: visibleLabels(row, query),
            dropName: row.dropName && query.delayedNameRemoval,
          });
        rowCount++;
      });
      if (checkParameters(parameters, plan, query)) {
        if (sawHistogram) noteIgnoredHistogram(operator, query, plan.position);
        const chosen = new Map<number, Row>();
        for (let k = 0; k < frame.count; k++) {
          if (query.budget.isDue()) await query.budget.breathe();
          for (const heap of heaps)
            for (const { value, row } of heap?.best(k) ?? []) {
              let output = chosen.get(row);
              if (output === undefined) {
                const { labels, dropName } = heads.get(row)!;
                output = emptyRow(labels, frame.count);
                output.dropName = dropName;
                chosen.set(row, output);
              }
              output.values[k] = sign * value;
              output.present[k] = FLOAT;
            }
        }
        for (const row of chosen.values()) sink(row);
      }
      query.budget.release(held);
    },
  };
}
