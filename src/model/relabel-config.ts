import type { AnchoredRegex } from "./regex.ts";

export const RELABEL_ACTIONS = [
  "replace",
  "keep",
  "drop",
  "keepequal",
  "dropequal",
  "hashmod",
  "labelmap",
  "labeldrop",
  "labelkeep",
  "lowercase",
  "uppercase",
] as const;

export type RelabelAction = (typeof RELABEL_ACTIONS)[number];

/** One relabelling rule with Prometheus's defaults filled in and its regular expression compiled. */
export interface RelabelConfig {
  readonly sourceLabels: readonly string[];
  /** Default `;`. */
  readonly separator: string;
  /** Default `(.*)`. */
  readonly regex: AnchoredRegex;
  /** 0 when not given. */
  readonly modulus: number;
  readonly targetLabel: string;
  /** Default `$1`. */
  readonly replacement: string;
  /** Default `replace`. */
  readonly action: RelabelAction;
}
