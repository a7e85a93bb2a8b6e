import { AppError } from "../base/errors.ts";
import { comparableConfig } from "../config/comparable.ts";
import type { Target } from "../model/target.ts";
import type { ShardConnection, ShardControl } from "./control.ts";
import type { AssignedTarget, PushedConfig, StopOrder } from "./wire.ts";

/**
 * A Kvass sidecar (v0.3.2) behind the same interface as a shard of ours. It gives no id, names a configuration by a hash
 * of its own, does not tell labels, and forgets when it was given a target or told to stop; all of this is remembered
 * here:
 *
 *     pushConfig(ours) ─► it runs something whose hash is X ─► from then on X is reported as ours
 *     pushTargets(list) ─► its statuses are those of this list
 *
 * A change of a regular expression alone, which does not change Kvass's hash, is pushed all the same, because ours
 * changes. A sidecar that reads a file of its own refuses every configuration; it counts as having taken ours when it
 * runs the same but for external labels.
 */
export function adaptKvass(
  control: ShardConnection,
  /** What discovery has found: a coordinator that has just started knows a sidecar's targets by their hashes. */
  discovered: () => Iterable<Target>,
): ShardControl {
  let isKvass = false;
  let pushedHash = "";
  let learned: { readonly ours: string; readonly theirs: string } | undefined;
  let ordered: StopOrder | undefined;
  let given: ReadonlyMap<string, AssignedTarget> = new Map();
  return {
    ...control,
    async runtime(epoch) {
      const runtime = await control.runtime(epoch);
      isKvass = runtime.id === "";
      if (!isKvass) return runtime;
      if (pushedHash !== "") learned = { ours: pushedHash, theirs: runtime.configHash };
      pushedHash = "";
      const isKnown = learned !== undefined && learned.theirs === runtime.configHash;
      const stopReason = await control.stopReason();
      // One that was stopped by others counts as told so at the beginning of time: every order is later.
      const found = stopReason === "" ? undefined : { reason: stopReason, sinceMs: 1 };
      const stopOrder = ordered?.reason === stopReason ? ordered : found;
      return {
        ...runtime,
        configHash: isKnown ? learned!.ours : "",
        stopReason,
        stopOrder,
      };
    },
    async status() {
      const statuses = await control.status();
      if (!isKvass) return statuses;
      return new Map(
        [...statuses].map(([hash, status]) => {
          const assignedAtMs = given.get(hash)?.assignedAtMs ?? 0;
          return [hash, { ...status, assignedAtMs }];
        }),
      );
    },
    async assignment() {
      if (!isKvass) return control.assignment();
      const statuses = await control.status();
      const found = new Map(given);
      for (const target of discovered()) {
        const status = statuses.get(target.hash);
        if (status === undefined || found.has(target.hash)) continue;
        const { state, load } = status;
        found.set(target.hash, { target, state, assignedAtMs: 0, load });
      }
      return [...found.values()];
    },
    async pushTargets(list, epoch) {
      await control.pushTargets(list, epoch);
      given = new Map(list.map((entry) => [entry.target.hash, entry]));
    },
    async pushStop(order, epoch) {
      await control.pushStop(order, epoch);
      ordered = order;
    },
    async setDraining(isDraining, epoch) {
      // It keeps no marks, and does not tell any.
      if (!isKvass) await control.setDraining(isDraining, epoch);
    },
    async pushConfig(config, epoch) {
      try {
        await control.pushConfig(config, epoch);
      } catch (error) {
        if (!isKvass || !isRefusal(error)) throw error;
        await checkSame(control, config);
      }
      pushedHash = config.hash;
    },
  };
}

function isRefusal(error: unknown): boolean {
  return error instanceof AppError && error.code === "bad-data";
}

/** Rejects with `bad-data` when the sidecar's own file says something else. */
async function checkSame(control: ShardConnection, { rawContent }: PushedConfig): Promise<void> {
  const own = comparableConfig(await control.configText(), "the sidecar's configuration");
  if (own !== comparableConfig(rawContent, "the configuration"))
    throw new AppError(
      "bad-data",
      "it reads a file of its own (--config.file), which says something else than the coordinator's: only external_labels may differ",
    );
}
