import type { Logger } from "../base/logger.ts";
import type { Gauge, Registry } from "../base/metrics.ts";
import type { KubeClient } from "../kubernetes/client.ts";
import {
  type KubeObject,
  objectKey,
  PERSISTENT_VOLUME_CLAIMS,
  STATEFUL_SETS,
} from "../kubernetes/resources.ts";
import type { StatefulSetDriver } from "./statefulset-driver.ts";
import { readStatefulSet, type StatefulSet } from "./statefulset-driver-set.ts";

export interface RemovedClaimsOptions {
  readonly client: KubeClient;
  readonly mayWrite: () => boolean;
  readonly isDataSafe: (shardId: string) => boolean;
  readonly logger: Logger;
  readonly registry: Registry;
}

/**
 * The volume claims of removed shards (`--shard.delete-pvc`). One is deleted when its shard's data is known to be safe
 * elsewhere, its pod is gone and a fresh look at the StatefulSet does not ask for the shard; all others are kept, which is
 * said. What could not be deleted is tried again at the next sweep.
 */
export class RemovedClaims {
  readonly #options: RemovedClaimsOptions;
  readonly #told = new Set<string>();
  readonly #kept: Gauge;

  constructor(options: RemovedClaimsOptions) {
    this.#options = options;
    this.#kept = options.registry.gauge(
      "shoal_removed_shards_kept_claims",
      "Volume claims of removed shards whose data is not known to be safe elsewhere.",
    );
  }

  /** Never rejects. */
  async sweep(drivers: readonly StatefulSetDriver[]): Promise<void> {
    let kept = 0;
    for (const driver of drivers) {
      try {
        for (const { claim, ordinal } of await this.#removed(driver)) {
          if (this.#options.isDataSafe(driver.shardId(ordinal)))
            await this.#delete(claim, { driver, ordinal });
          else {
            kept++;
            this.#tellKept(claim, driver.shardId(ordinal));
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
  async #removed(driver: StatefulSetDriver): Promise<{ claim: KubeObject; ordinal: number }[]> {
    const { set } = driver;
    // Kubernetes deletes them by itself; the driver has checked the data before it scaled down.
    if (set.deletesClaims || set.isDeleting) return [];
    const removed: { claim: KubeObject; ordinal: number }[] = [];
    for await (const page of this.#options.client.pages(PERSISTENT_VOLUME_CLAIMS, {
      namespace: set.namespace,
      labelSelector: set.selector,
    }))
      for (const claim of page.items) {
        const ordinal = ordinalOf(claim, set);
        if (ordinal === undefined || ordinal < set.replicas || !driver.isGone(ordinal)) continue;
        if (claim.metadata.deletionTimestamp === undefined) removed.push({ claim, ordinal });
      }
    return removed;
  }

  async #delete(
    claim: KubeObject,
    { driver, ordinal }: { driver: StatefulSetDriver; ordinal: number },
  ): Promise<void> {
    const { client, mayWrite, logger } = this.#options;
    const { name, namespace, uid } = driver.set;
    const fresh = readStatefulSet(await client.get(STATEFUL_SETS, { name, namespace }));
    if (fresh.uid !== uid || ordinal < fresh.replicas || !mayWrite()) return;
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

  #tellKept(claim: KubeObject, shard: string): void {
    const { uid = "" } = claim.metadata;
    if (this.#told.has(uid)) return;
    this.#told.add(uid);
    this.#options.logger.info(
      "keeping the volume claim of a removed shard: its data is not known to be safe elsewhere",
      { shard, claim: objectKey(claim.metadata) },
    );
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
