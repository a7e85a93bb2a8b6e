import type { Labels } from "./labels.ts";

/** One observation that stands for many: a value, when it was seen, and labels that lead to where (a trace). */
export interface Exemplar {
  readonly labels: Labels;
  readonly value: number;
  readonly timeMs: number;
}
