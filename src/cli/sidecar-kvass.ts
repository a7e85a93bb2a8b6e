import { join } from "node:path";
import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import { VERSION } from "../base/version.ts";
import type { ShardService } from "../shard/shard-service.ts";
import { decodeAssignment, parseJson } from "../shard/wire.ts";
import { KvassCoordinator } from "../sidecar/kvass-coordinator.ts";
import { importKvassState } from "../sidecar/kvass-state.ts";
import { PrometheusClient } from "../sidecar/prometheus-client.ts";
import { readSharedFile } from "../sidecar/shared-file.ts";

/** What a sidecar has to do with Kvass: the coordinator that may be in charge, and what Kvass's own sidecar has left. */
export interface KvassParts {
  readonly coordinator: KvassCoordinator | undefined;
  readonly state: KvassState;
}

export function createKvassParts(
  url: string,
  parts: {
    readonly folder: string;
    readonly shard: ShardService;
    /** Takes, or in file mode compares, the coordinator's text. */
    readonly offer: (text: string) => Promise<void>;
    readonly clock: Clock;
    readonly logger: Logger;
  },
): KvassParts {
  const { shard, offer, logger } = parts;
  const peer = { name: "Kvass's coordinator", flag: "--kvass.coordinator-url" };
  const coordinator =
    url === ""
      ? undefined
      : new KvassCoordinator({
          client: new PrometheusClient(url, `Shoal/${VERSION}`, peer),
          config: () => shard.config,
          offer,
          logger,
        });
  return { coordinator, state: new KvassState({ ...parts, keepsHashes: url !== "" }) };
}

interface KvassStateOptions {
  readonly folder: string;
  readonly shard: ShardService;
  /** Kvass's coordinator knows the targets by its own hashes. */
  readonly keepsHashes: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What a Kvass sidecar left in the folder, until there is a configuration to read it with. */
class KvassState {
  readonly #parts: KvassStateOptions;
  #text: string | undefined;

  constructor(parts: KvassStateOptions) {
    this.#parts = parts;
  }

  /** Looks for it, unless the folder is ours already. */
  async find(): Promise<void> {
    const { folder } = this.#parts;
    if ((await readSharedFile(join(folder, "shard", "targets.json"))) !== undefined) return;
    this.#text =
      (await readSharedFile(join(folder, "kvass-shard.json"))) ??
      (await readSharedFile(join(folder, "targets.json")));
  }

  /** Makes its targets ours, once. Never rejects: what cannot be read the coordinator gives out again. */
  async takeOver(): Promise<void> {
    const { shard, keepsHashes, clock, logger } = this.#parts;
    const { config } = shard;
    if (this.#text === undefined || config === undefined) return;
    const text = this.#text;
    this.#text = undefined;
    try {
      const targets = keepsHashes
        ? decodeAssignment(documentOf(text))
        : importKvassState(text, { config, nowMs: clock.now() });
      await shard.setTargets(targets);
      logger.info("took over Kvass's targets", { targets: targets.length });
    } catch (error) {
      logger.error("cannot take over Kvass's targets", { error });
    }
  }
}

/** The state as a list of targets on the wire is; the older file is the map of jobs alone. */
function documentOf(text: string): unknown {
  const document = parseJson(text);
  const hasTargets = typeof document === "object" && document !== null && "Targets" in document;
  return hasTargets ? document : { Targets: document };
}
