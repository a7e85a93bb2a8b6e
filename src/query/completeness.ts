import { type Labels } from "../model/labels.ts";
import { replicaKey, replicaName } from "../storage/dedup-select.ts";

/** How one store that was asked did. */
export interface StoreOutcome {
  readonly address: string;
  /** What it holds, the same for all of its replicas; undefined when nobody said. */
  readonly shard: string | undefined;
  /** The replica it is, when somebody said; else its labels tell. */
  readonly replica: string | undefined;
  readonly labelSets: readonly Labels[];
  /** Why there is no answer, or not a whole one; undefined after a whole one. */
  readonly problem: string | undefined;
}

/** How much of what should have answered did. */
export interface Completeness {
  /** Stores that may hold matching series. */
  readonly storesAsked: number;
  /** Those that answered to the end. */
  readonly storesAnswered: number;
  /** Whether nothing is missing: each store that did not answer has a replica that did. */
  readonly isComplete: boolean;
}

export interface Verdict extends Completeness {
  /** What is missing from the answer. */
  readonly warnings: readonly string[];
  /** What did not answer and is not missing. */
  readonly infos: readonly string[];
}

/**
 * What the stores' silence means. A replica that did not answer takes nothing away when another replica of the same data
 * did. What is the same data: stores of the same shard, or stores whose labels differ in the replica labels only; of the
 * latter one replica may be spread over several stores, and then has answered when all of them have.
 */
export function judge(
  outcomes: readonly StoreOutcome[],
  replicaLabels: readonly string[],
): Verdict {
  const places = outcomes.map((outcome) => ({ ...outcome, ...placeOf(outcome, replicaLabels) }));
  const warnings: string[] = [];
  const infos: string[] = [];
  for (const place of places) {
    const { address, problem, data, name } = place;
    if (problem === undefined) continue;
    const sibling =
      data === undefined
        ? undefined
        : places.find(
            (other) =>
              other.data === data &&
              other.name !== name &&
              places.every(
                (each) =>
                  each.data !== data || each.name !== other.name || each.problem === undefined,
              ),
          );
    if (sibling === undefined) warnings.push(problem);
    else
      infos.push(
        `replica ${replicaName(name)}${place.what === "" ? "" : ` of ${place.what}`} did not answer (store ${address}: ${problem}); replica ${replicaName(sibling.name)} did`,
      );
  }
  const answered = outcomes.filter(({ problem }) => problem === undefined).length;
  const isComplete = warnings.length === 0;
  if (!isComplete)
    warnings.push(`the answer is incomplete: ${answered} of ${outcomes.length} stores answered`);
  return { storesAsked: outcomes.length, storesAnswered: answered, isComplete, warnings, infos };
}

/** What a store holds and which replica of it; no data when it is not known to be one of several replicas. */
function placeOf(
  { shard, replica, labelSets }: StoreOutcome,
  replicaLabels: readonly string[],
): { data: string | undefined; what: string; name: string } {
  const nothing = { data: undefined, what: "", name: "" };
  if (replicaLabels.length === 0) return nothing;
  if (shard !== undefined && replica !== undefined && replica !== "")
    return { data: `shard ${shard}`, what: shard, name: replica };
  const keys = new Set(labelSets.map((set) => replicaKey(replicaLabels, (name) => set.get(name))));
  const [name = ""] = keys;
  if (keys.size !== 1 || replicaName(name) === "") return nothing;
  const rest = labelSets.map((set) => set.without(replicaLabels).toString()).sort();
  const what = rest.filter((set) => set !== "{}").join(", ");
  return { data: `labels ${rest.join()}`, what, name };
}
