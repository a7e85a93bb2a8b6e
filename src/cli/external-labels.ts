import type { Config } from "../config/types.ts";
import { Labels } from "../model/labels.ts";

/** What tells the members of a replica group apart, and what a query takes away again. */
export const REPLICA_LABEL = "replica";

/**
 * The labels that stand on every series a shard gives out: the external labels of its configuration, and its replica
 * when it is a member of one (`--shard.replica`). Put together once a configuration.
 */
export function shardExternalLabels(options: {
  readonly config: () => Config | undefined;
  /** "" for none. */
  readonly replica: string;
}): () => Labels {
  let of: Config | undefined;
  let labels = withReplica({}, options.replica);
  return () => {
    const now = options.config();
    if (now === of) return labels;
    of = now;
    labels = withReplica(now?.global.externalLabels ?? {}, options.replica);
    return labels;
  };
}

function withReplica(given: Readonly<Record<string, string>>, replica: string): Labels {
  return Labels.fromObject(replica === "" ? given : { ...given, [REPLICA_LABEL]: replica });
}
