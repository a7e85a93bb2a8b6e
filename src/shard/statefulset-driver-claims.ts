import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { Gauge, Registry } from "../base/metrics.ts";
import type { KubeClient } from "../kubernetes/client.ts";
import {
  type KubeObject,
  objectKey,
  PERSISTENT_VOLUME_CLAIMS,
  STATEFUL_SETS,
} from "../kubernetes/resources.ts";
import type { Removal, StatefulSetDriver } from "./statefulset-driver.ts";
import {
  isDataSafe,
  markAnnotations,
  readMark,
  type RemovalMark,
} from "./statefulset-driver-mark.ts";
import { readStatefulSet, type StatefulSet } from "./statefulset-driver-set.ts";

export interface RemovedClaimsOptions {
  readonly client: KubeClient;
  readonly mayWrite: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: Registry;
}

interface RemovedClaim {
  readonly claim: KubeObject;
  readonly ordinal: number;
  readonly driver: StatefulSetDriver;
}

/**
 * The volume claims of removed shards (`--shard.delete-pvc`). One is deleted when its mark says that its shard's data is
 * safe, its pod is gone and a fresh look at the StatefulSet does not ask for the shard; all others are kept, which is said.
 * What could not be deleted is tried again at the next sweep.
 */
export class RemovedClaims {
  readonly #options: RemovedClaimsOptions;
  /** By uid, why a claim was last said to be kept. */
  readonly #told = new Map<string, string>();
  readonly #kept: Gauge;

  constructor(options: RemovedClaimsOptions) {
    this.#options = options;
    this.#kept = options.registry.gauge(
      "shoal_removed_shards_kept_claims",
      "Volume claims of removed shards whose data is not known to be uploaded or expired.",
    );
  }

  /** Writes on the claims of shards that are about to go what is known of their data. Never rejects: an unmarked claim is kept. */
  async mark({ driver, count, generation, dataUntilMs }: Removal): Promise<void> {
    const { set } = driver;
    try {
      for await (const [claim, ordinal] of this.#claims(set)) {
        if (ordinal < count) continue;
        const untilMs = dataUntilMs.get(driver.shardId(ordinal));
        const mark =
          untilMs === undefined || !Number.isFinite(untilMs)
            ? undefined
            : { setUid: set.uid, generation, dataUntilMs: untilMs };
        if (mark !== undefined || readMark(claim) !== undefined) await this.#write(claim, mark);
      }
    } catch (error) {
      const { logger } = this.#options;
      logger.warn("cannot mark the volume claims of removed shards", { set: set.key, error });
    }
  }

  /** Never rejects. */
  async sweep(drivers: readonly StatefulSetDriver[]): Promise<void> {
    let kept = 0;
    for (const driver of drivers) {
      try {
        for (const removed of await this.#removed(driver)) {
          const why = await this.#whyKept(removed);
          if (why === undefined) await this.#delete(removed);
          else {
            kept++;
            this.#tellKept(removed, why);
          }
        }
      } catch (error) {
        const { key } = driver.set;
        this.#options.logger.warn("cannot clean up after removed shards", { set: key, error });
      }
    }
    this.#kept.set(kept);
  }

  /** Claims that belong to ordinals which are not asked for and have no pod any more. */
  async #removed(driver: StatefulSetDriver): Promise<RemovedClaim[]> {
    const { set } = driver;
    // Kubernetes deletes them by itself; the driver has checked the data before it scaled down.
    if (set.deletesClaims || set.isDeleting) return [];
    const removed: RemovedClaim[] = [];
    for await (const [claim, ordinal] of this.#claims(set)) {
      if (ordinal < set.replicas || !driver.isGone(ordinal)) continue;
      if (claim.metadata.deletionTimestamp === undefined) removed.push({ claim, ordinal, driver });
    }
    return removed;
  }

  async *#claims(set: StatefulSet): AsyncGenerator<[claim: KubeObject, ordinal: number]> {
    for await (const page of this.#options.client.pages(PERSISTENT_VOLUME_CLAIMS, {
      namespace: set.namespace,
      labelSelector: set.selector,
    }))
      for (const claim of page.items) {
        const ordinal = ordinalOf(claim, set);
        if (ordinal !== undefined) yield [claim, ordinal];
      }
  }

  /** Undefined when its data is safe. A mark that counts is carried on to the StatefulSet's present generation. */
  async #whyKept({ claim, ordinal, driver }: RemovedClaim): Promise<string | undefined> {
    const { set } = driver;
    const mark = readMark(claim);
    if (mark === undefined) return "nobody knows until when its data is wanted";
    if (mark.setUid !== set.uid || !driver.isGoneSince(ordinal, mark.generation))
      return "it may have been in use while no coordinator looked";
    if (isDataSafe(mark.dataUntilMs, this.#options.clock.now())) return undefined;
    if (mark.generation !== set.generation && this.#options.mayWrite())
      await this.#write(claim, { ...mark, generation: set.generation });
    return `its data is wanted until ${new Date(mark.dataUntilMs).toISOString()}`;
  }

  async #write({ metadata }: KubeObject, mark: RemovalMark | undefined): Promise<void> {
    const { name = "", namespace = "", resourceVersion } = metadata;
    await this.#options.client.patch(
      PERSISTENT_VOLUME_CLAIMS,
      { name, namespace },
      { metadata: { resourceVersion, annotations: markAnnotations(mark) } },
    );
  }

  async #delete({ claim, ordinal, driver }: RemovedClaim): Promise<void> {
    const { client, mayWrite, logger } = this.#options;
    const { name, namespace, uid, generation } = driver.set;
    const fresh = readStatefulSet(await client.get(STATEFUL_SETS, { name, namespace }));
    // What has changed since is looked at when the watch has told of it.
    if (fresh.uid !== uid || fresh.generation !== generation || !mayWrite()) return;
    const { metadata } = claim;
    await client.delete(
      PERSISTENT_VOLUME_CLAIMS,
      { name: metadata.name!, namespace },
      {
        preconditions: {
          ...(metadata.uid !== undefined && { uid: metadata.uid }),
          ...(metadata.resourceVersion !== undefined && {
            resourceVersion: metadata.resourceVersion,
          }),
        },
      },
    );
    logger.info("deleted the volume claim of a removed shard", {
      shard: driver.shardId(ordinal),
      claim: objectKey(metadata),
    });
  }

  #tellKept({ claim, ordinal, driver }: RemovedClaim, reason: string): void {
    const { uid = "" } = claim.metadata;
    if (this.#told.get(uid) === reason) return;
    this.#told.set(uid, reason);
    this.#options.logger.info("keeping the volume claim of a removed shard", {
      shard: driver.shardId(ordinal),
      claim: objectKey(claim.metadata),
      reason,
    });
  }
}

/** Kubernetes names them `<template>-<set>-<number>`. */
function ordinalOf(claim: KubeObject, set: StatefulSet): number | undefined {
  const name = claim.metadata.name ?? "";
  for (const template of set.claimTemplates) {
    const prefix = `${template}-${set.name}-`;
    if (!name.startsWith(prefix)) continue;
    const digits = name.slice(prefix.length);
    if (!/^\d+$/.test(digits)) continue;
    const ordinal = Number(digits) - set.firstOrdinal;
    if (ordinal >= 0) return ordinal;
  }
  return undefined;
}
