import { visibleLabels, type QueryContext, type Row } from "../operators/row.ts";
import { StepHeaps } from "../operators/step-heaps.ts";
import {
  CANDIDATE_BYTES,
  declined,
  MAX_PARTIAL_BYTES,
  MAX_PARTIAL_GROUPS,
  type PartialCandidate,
} from "./partial.ts";
import type { PartialPlan } from "./series-local.ts";

/**
 * The candidates for `topk` and `bottomk`: of each group and step one more than are chosen, so that the merge sees whether the
 * last one has an equal; or, where all series are here, those that are chosen, in the engine's order.
 */
export class PartialChoice {
  readonly #sign: number;
  readonly #limits: Int32Array;
  readonly #query: QueryContext;
  readonly #heaps: StepHeaps[] = [];
  readonly #heads = new Map<number, PartialCandidate>();
  #rowCount = 0;
  #held = 0;

  constructor(
    { operator, limit }: PartialPlan,
    { steps, isOnly }: { steps: number; isOnly: boolean },
    query: QueryContext,
  ) {
    this.#sign = operator === "topk" ? 1 : -1;
    this.#limits = new Int32Array(steps).fill(isOnly ? limit : limit + 1);
    this.#query = query;
  }

  offer(row: Row, group: number): void {
    const heap = this.#heapOf(group);
    const { room } = heap;
    const isKept = heap.offerRow(row, this.#sign, this.#rowCount);
    if (heap.room > room) this.#hold(heap.room - room);
    if (isKept)
      this.#heads.set(this.#rowCount, {
        labels: visibleLabels(row, this.#query),
        dropName: row.dropName,
      });
    this.#rowCount++;
  }

  /** What is left, the best first at each point, and the rows that are among it. */
  finish(): {
    main: Float64Array;
    counts: Uint32Array;
    rows: Uint32Array;
    candidates: readonly PartialCandidate[];
  } {
    const steps = this.#limits.length;
    const counts = new Uint32Array(this.#heaps.length * steps);
    const main: number[] = [];
    const rows: number[] = [];
    const candidates: PartialCandidate[] = [];
    const places = new Map<number, number>();
    for (const [group, heap] of this.#heaps.entries())
      for (let k = 0; k < steps; k++) {
        const best = heap.best(k);
        counts[group * steps + k] = best.length;
        for (const { value, row } of best) {
          let place = places.get(row);
          if (place === undefined) {
            if (candidates.length >= MAX_PARTIAL_GROUPS)
              throw declined(`it has more than ${MAX_PARTIAL_GROUPS} candidates`);
            places.set(row, (place = candidates.length));
            candidates.push(this.#heads.get(row)!);
          }
          main.push(this.#sign * value);
          rows.push(place);
        }
      }
    this.#query.budget.release(this.#held);
    return {
      main: Float64Array.from(main),
      counts,
      rows: Uint32Array.from(rows),
      candidates,
    };
  }

  #heapOf(index: number): StepHeaps {
    const known = this.#heaps[index];
    if (known !== undefined) return known;
    const made = new StepHeaps(this.#limits);
    this.#heaps.push(made);
    this.#hold(made.room);
    return made;
  }

  #hold(samples: number): void {
    // Heaps have up to twice the room that they need.
    if ((this.#held + samples) * CANDIDATE_BYTES > 2 * MAX_PARTIAL_BYTES)
      throw declined("it has too many candidates");
    this.#query.budget.hold(samples);
    this.#held += samples;
  }
}
