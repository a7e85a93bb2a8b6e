import type { DropReason } from "../../shard/drop-reason.ts";
import type { Limits } from "../../shard/load.ts";
import type { ShardState } from "../../shard/plan-types.ts";
import type { EncodedLoad } from "../../shard/wire.ts";
import type { Situation } from "../../shard/why.ts";

/** The `data` of `/api/v1/why`: one target explained, or several that the question fits. */
export interface WhyData {
  readonly total: number;
  /** The first of them, when there is more than one. */
  readonly matches: readonly WhyMatch[];
  readonly why?: WhyAnswer;
}

export interface WhyMatch {
  readonly hash?: string | undefined;
  readonly job?: string | undefined;
  readonly url?: string | undefined;
  /** Of a target that relabelling dropped. */
  readonly discoveredLabels?: Readonly<Record<string, string>>;
}

/** Times are RFC 3339, Go's zero time for never. */
export interface WhyAnswer {
  readonly situation: Situation | "dropped" | "gone";
  readonly summary: string;
  readonly hash?: string | undefined;
  readonly job?: string | undefined;
  readonly url?: string | undefined;
  readonly labels?: Readonly<Record<string, string>>;
  readonly discoveredLabels?: Readonly<Record<string, string>>;
  /** "" while no shard has it. */
  readonly shard?: string;
  readonly since?: string;
  readonly health?: string;
  readonly lastError?: string;
  readonly load?: EncodedLoad;
  /** What it takes up on a shard, former series and report series included. */
  readonly cost?: EncodedLoad;
  readonly costIsEstimated?: boolean;
  readonly conditions: readonly { readonly kind: string; readonly reason: string }[];
  readonly replicas: readonly HomeAnswer[];
  readonly scrapers: readonly ScraperAnswer[];
  /** Newest first. */
  readonly decisions: readonly DecisionAnswer[];
  readonly candidates: readonly CandidateAnswer[];
  /** The rule that dropped it. */
  readonly rule?: RuleAnswer;
  /** When the last plan was made. */
  readonly planned: string;
}

export interface HomeAnswer {
  /** "" when there is one replica group. */
  readonly replica: string;
  readonly situation: Situation;
  readonly shard: string;
  readonly since: string;
  readonly move?: MoveAnswer;
}

export interface MoveAnswer {
  readonly from: string;
  readonly to: string;
  readonly since: string;
  readonly goodScrapes: number;
  readonly neededScrapes: number;
  readonly failedScrapes: number;
  readonly rollbackScrapes: number;
  readonly waitsFor: string;
}

export interface ScraperAnswer {
  readonly replica: string;
  readonly shard: string;
  readonly state: string;
  readonly since: string;
  readonly health: string;
  readonly scrapes: number;
  readonly goodScrapes: number;
  readonly lastScrape: string;
  readonly lastError: string;
}

export interface DecisionAnswer {
  readonly id: number;
  readonly time: string;
  readonly kind: string;
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly reason: string;
}

export interface CandidateAnswer {
  readonly replica: string;
  readonly shard: string;
  readonly state: ShardState;
  readonly targets: number;
  readonly used: EncodedLoad;
  readonly limits: Limits;
  readonly utilisation: number;
  readonly utilisationWith: number;
  readonly owner: boolean;
  readonly fits: boolean;
  readonly verdict: string;
}

export interface RuleAnswer extends Pick<DropReason, "index"> {
  readonly action: string;
  readonly sourceLabels: readonly string[];
  readonly regex: string;
  /** As they were when it was the rule's turn. */
  readonly labels: Readonly<Record<string, string>>;
}
