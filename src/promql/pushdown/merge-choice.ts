import type { AggregatedRow } from "../../storage/aggregate.ts";
import { FLOAT } from "../operators/row.ts";
import type { MergedGroup, MergeOptions, Undecided } from "./merge-groups.ts";
import type { PartialAggregate, PartialCandidate } from "./partial.ts";

interface Ranked {
  readonly value: number;
  readonly candidate: PartialCandidate;
}

/**
 * `topk` and `bottomk` of the candidates of all shards. Each shard gave one more than are chosen; so where the chosen ones and
 * the next one all differ, nothing that a shard kept to itself is among them or equal to one of them. Between equals the
 * engine chooses by their order, which nobody knows here.
 */
export function mergeChoice(
  groups: readonly MergedGroup[],
  options: MergeOptions & { operator: "topk" | "bottomk" },
): readonly AggregatedRow[] | Undecided {
  const { operator, limit, steps, delayedNameRemoval, isOnly } = options;
  const sign = operator === "topk" ? 1 : -1;
  const starts = new Map<PartialAggregate, Float64Array>();
  for (const { members } of groups)
    for (const { part } of members) if (!starts.has(part)) starts.set(part, startsOf(part));
  const chosen = new Map<PartialCandidate, AggregatedRow>();
  // As the engine goes through them: rows come in the order in which they are first chosen.
  for (let k = 0; k < steps; k++)
    for (const { members } of groups) {
      const ranked: Ranked[] = [];
      for (const { part, index } of members) {
        const point = index * steps + k;
        const end = starts.get(part)![point + 1]!;
        for (let at = starts.get(part)![point]!; at < end; at++)
          ranked.push({ value: part.main[at]!, candidate: part.candidates[part.rows[at]!]! });
      }
      // The only part has them in the engine's order, and no more than are chosen.
      if (!isOnly) ranked.sort((a, b) => compareRank(sign * a.value, sign * b.value));
      for (let rank = 0; rank < Math.min(limit, ranked.length); rank++) {
        const { value, candidate } = ranked[rank]!;
        const next = ranked[rank + 1];
        if (!isOnly && next !== undefined && compareRank(sign * value, sign * next.value) === 0)
          return "ties";
        let row = chosen.get(candidate);
        if (row === undefined) {
          row = {
            labels: candidate.labels,
            dropName: candidate.dropName && delayedNameRemoval,
            values: new Float64Array(steps),
            present: new Uint8Array(steps),
          };
          chosen.set(candidate, row);
        }
        row.values[k] = value;
        row.present[k] = FLOAT;
      }
    }
  return [...chosen.values()];
}

/** Where the candidates of each point begin, and where the last ones end. */
function startsOf({ counts }: PartialAggregate): Float64Array {
  const starts = new Float64Array(counts.length + 1);
  for (let i = 0; i < counts.length; i++) starts[i + 1] = starts[i]! + counts[i]!;
  return starts;
}

/** The largest first, NaN last; 0 for what the engine cannot tell apart. */
function compareRank(a: number, b: number): number {
  if (a !== a || b !== b) return Number(a !== a) - Number(b !== b);
  return a > b ? -1 : a < b ? 1 : 0;
}
