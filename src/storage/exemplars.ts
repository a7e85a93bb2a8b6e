import type { Exemplar } from "../model/exemplar.ts";
import type { Labels } from "../model/labels.ts";
import type { Matcher } from "../model/matcher.ts";

/** The exemplars of one series, in order of time. */
export interface SeriesExemplars {
  readonly labels: Labels;
  readonly exemplars: readonly Exemplar[];
}

export interface ExemplarRequest {
  /** One of the sets must hold; a set holds when all of its matchers do. */
  readonly matcherSets: readonly (readonly Matcher[])[];
  /** Inclusive, ms. */
  readonly minTimeMs: number;
  /** Inclusive, ms. */
  readonly maxTimeMs: number;
}
