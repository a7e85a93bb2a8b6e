import { isRecord } from "../api/query/coordinator-client.ts";
import type { WriteTarget } from "../api/query/write-routes.ts";
import type { EndpointSpec } from "../query/endpoint-set.ts";

/** What a query takes from the coordinator's list of shards. */
export interface CoordinatorShards {
  readonly endpoints: readonly EndpointSpec[];
  /** The first shard of each replica group, which gets what is written. */
  readonly writeTargets: readonly WriteTarget[];
  /** Whether there are replica groups: the same targets on shards of each. */
  readonly hasReplicas: boolean;
  /** Whether every shard has been seen since the coordinator started. */
  readonly areSeen: boolean;
  readonly externalLabels: Readonly<Record<string, string>>;
  /** Another one with every configuration; "" when the coordinator does not say. */
  readonly configHash: string;
}

/** Reads the `data` of the coordinator's `/api/v1/shards`. */
export function readShards(data: unknown): CoordinatorShards {
  const list = isRecord(data) && Array.isArray(data["shards"]) ? data["shards"] : [];
  const shards = list.filter(isRecord);
  return {
    endpoints: shards.flatMap(endpointOf),
    writeTargets: writeTargetsOf(shards),
    hasReplicas: shards.some((shard) => (shard["replica"] ?? "") !== ""),
    areSeen: shards.every((shard) => shard["state"] !== "starting"),
    externalLabels: externalLabelsOf(data),
    configHash: isRecord(data) && typeof data["configHash"] === "string" ? data["configHash"] : "",
  };
}

function endpointOf(shard: Record<string, unknown>): EndpointSpec[] {
  const { grpc: address, replica, ordinal } = shard;
  if (typeof address !== "string" || address === "") return [];
  // Strict: a shard that is down is told in every answer instead of being left out in silence.
  const spec = { address, strict: true };
  if (typeof replica !== "string" || replica === "") return [spec];
  // Replica groups have the same targets on the same ordinals.
  return [{ ...spec, replica, shard: `shard-${String(ordinal)}` }];
}

function writeTargetsOf(shards: readonly Record<string, unknown>[]): WriteTarget[] {
  const first = new Map<unknown, { ordinal: number; target: WriteTarget }>();
  for (const { id, ordinal, replica, http } of shards) {
    if (typeof id !== "string" || typeof ordinal !== "number") continue;
    if ((first.get(replica)?.ordinal ?? Infinity) <= ordinal) continue;
    first.set(replica, { ordinal, target: { id, http: typeof http === "string" ? http : "" } });
  }
  return [...first.values()].map(({ target }) => target);
}

function externalLabelsOf(data: unknown): Record<string, string> {
  const labels = Object.create(null) as Record<string, string>;
  const given = isRecord(data) ? data["externalLabels"] : undefined;
  if (isRecord(given))
    for (const [name, value] of Object.entries(given))
      if (typeof value === "string") labels[name] = value;
  return labels;
}
