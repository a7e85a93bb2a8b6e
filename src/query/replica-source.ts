import { Labels } from "../model/labels.ts";
import { byReplicaLabels, ofReplica, replicaKey } from "../storage/dedup-select.ts";
import type { SelectRequest, SeriesBatch } from "../storage/queryable.ts";
import type { Endpoint } from "./endpoint-set.ts";
import type { RemoteStore } from "./remote-store.ts";

/** How a store is asked for series without replica labels, so that it still shows which replica each series is of. */
export interface ReplicaPlan {
  /** What the store takes out itself: labels that have one value on all of its series. */
  readonly fixed: Labels;
  /** What is taken out here, because the series differ in it or may. */
  readonly rest: readonly string[];
}

/**
 * A store takes a label out at no cost to the order of its series being restored here, but then nobody knows any more what
 * it said. That is known for the external labels of a store, which it announces.
 */
export function planReplicas(
  { labelSets, stripsReplicaLabels }: Pick<Endpoint, "labelSets" | "stripsReplicaLabels">,
  names: readonly string[],
): ReplicaPlan {
  const [first] = labelSets;
  const isFixed = (name: string): boolean =>
    stripsReplicaLabels &&
    first !== undefined &&
    first.get(name) !== "" &&
    labelSets.every((set) => set.get(name) === first.get(name));
  return {
    fixed: Labels.fromPairs(names.filter(isFixed).map((name) => [name, first!.get(name)])),
    rest: names.filter((name) => !isFixed(name)),
  };
}

/** Whether all series of the stores are of one replica. */
export function isOneReplica(plans: readonly ReplicaPlan[], names: readonly string[]): boolean {
  const keys = plans.map(({ fixed }) => replicaKey(names, (name) => fixed.get(name)));
  return plans.every(({ rest }) => rest.length === 0) && new Set(keys).size <= 1;
}

/** The store's series without the labels in `names`, each with its replica. */
export function selectReplicas(
  store: RemoteStore,
  request: SelectRequest,
  { plan, names }: { plan: ReplicaPlan; names: readonly string[] },
): AsyncIterable<SeriesBatch> {
  const { fixed, rest } = plan;
  const batches = store.select({
    ...request,
    withoutReplicaLabels: [...fixed].map(([name]) => name),
    // Series may still become equal: only then does the limit have to wait.
    limit: rest.length === 0 ? (request.limit ?? 0) : 0,
  });
  return rest.length === 0
    ? ofReplica(
        batches,
        replicaKey(names, (name) => fixed.get(name)),
      )
    : byReplicaLabels(batches, { names, fixed });
}
