import type { KubeClient } from "../kubernetes/client.ts";
import { isKubeStatus } from "../kubernetes/kube-error.ts";
import { type KubeObject, LEASES } from "../kubernetes/resources.ts";
import type { LeaseRecord, LeaseStore, StoredLease } from "./lease-elector.ts";

/** Epochs exceed what `leaseTransitions` holds. */
const EPOCH_ANNOTATION = "shoal/epoch";

interface LeaseObject extends KubeObject {
  readonly spec?: {
    readonly holderIdentity?: string;
    readonly leaseDurationSeconds?: number;
    readonly acquireTime?: string;
    readonly renewTime?: string;
    readonly leaseTransitions?: number;
  };
}

/** The lease as an object of the Kubernetes API, readable by everyone's tools. */
export class KubernetesLeaseStore implements LeaseStore {
  readonly name: string;
  readonly #client: KubeClient;
  readonly #target: { readonly name: string; readonly namespace: string };
  /** As last read or written: what others have put into the object is kept. */
  #object: LeaseObject | undefined;

  constructor(client: KubeClient, target: { readonly name: string; readonly namespace: string }) {
    this.#client = client;
    this.#target = target;
    this.name = `lease ${target.namespace}/${target.name}`;
  }

  async read(signal: AbortSignal): Promise<StoredLease | undefined> {
    try {
      return this.#keep(await this.#client.get<LeaseObject>(LEASES, this.#target, { signal }));
    } catch (error) {
      if (!isKubeStatus(error, 404)) throw error;
      this.#object = undefined;
      return undefined;
    }
  }

  async write(
    record: LeaseRecord,
    previous: StoredLease | undefined,
    signal: AbortSignal,
  ): Promise<StoredLease> {
    const { name, namespace } = this.#target;
    const before = previous === undefined ? undefined : this.#object;
    const holderBefore = before?.spec?.holderIdentity ?? "";
    const changes = record.holder !== "" && holderBefore !== record.holder;
    const transitions = before?.spec?.leaseTransitions ?? 0;
    const object: LeaseObject = {
      metadata: {
        ...before?.metadata,
        name,
        namespace,
        annotations: {
          ...before?.metadata.annotations,
          [EPOCH_ANNOTATION]: String(record.epoch),
        },
        // Whatever was read since, exactly this version is replaced.
        ...(previous !== undefined && { resourceVersion: previous.version }),
      },
      spec: {
        ...(record.holder !== "" && { holderIdentity: record.holder }),
        leaseDurationSeconds: Math.ceil(record.durationMs / 1000),
        acquireTime: microTime(record.acquiredAtMs),
        renewTime: microTime(record.renewedAtMs),
        leaseTransitions: before !== undefined && changes ? transitions + 1 : transitions,
      },
    };
    const options = { namespace, signal };
    return this.#keep(
      previous === undefined
        ? await this.#client.create(LEASES, object, options)
        : await this.#client.replace(LEASES, object, options),
    );
  }

  #keep(object: LeaseObject): StoredLease {
    this.#object = object;
    const { spec = {}, metadata } = object;
    const epoch = Number(metadata.annotations?.[EPOCH_ANNOTATION] ?? 0);
    return {
      version: metadata.resourceVersion ?? "",
      record: {
        holder: spec.holderIdentity ?? "",
        epoch: Number.isSafeInteger(epoch) && epoch > 0 ? epoch : 0,
        durationMs: (spec.leaseDurationSeconds ?? 0) * 1000,
        acquiredAtMs: Date.parse(spec.acquireTime ?? "") || 0,
        renewedAtMs: Date.parse(spec.renewTime ?? "") || 0,
      },
    };
  }
}

/** The API's MicroTime. */
function microTime(timeMs: number): string {
  return new Date(timeMs).toISOString().replace("Z", "000Z");
}
