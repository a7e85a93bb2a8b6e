import type { Clock } from "../base/clock.ts";
import type { Logger } from "../base/logger.ts";
import type { KubeClient } from "../kubernetes/client.ts";
import { NODES } from "../kubernetes/resources.ts";

const ZONE_LABEL = "topology.kubernetes.io/zone";
/** A node keeps its zone; a node of the same name may be another one later. */
const REFRESH_MS = 3_600_000;
const RETRY_MS = 60_000;

/** Which zone each node is in, asked for in the background the first time a node is named. */
export class NodeZones {
  readonly #options: { client: KubeClient; clock: Clock; logger: Logger };
  readonly #zones = new Map<string, { zone: string; until: number }>();
  #isRefused = false;

  constructor(options: { client: KubeClient; clock: Clock; logger: Logger }) {
    this.#options = options;
  }

  /** "" while it is not known, and for nodes outside zones. */
  zoneOf(node: string): string {
    if (node === "") return "";
    const now = this.#options.clock.monotonic();
    const known = this.#zones.get(node);
    if (known !== undefined && now < known.until) return known.zone;
    const zone = known?.zone ?? "";
    this.#zones.set(node, { zone, until: now + RETRY_MS });
    void this.#ask(node, zone);
    return zone;
  }

  /** Never rejects. */
  async #ask(node: string, known: string): Promise<void> {
    const { client, clock, logger } = this.#options;
    try {
      const { metadata } = await client.get(NODES, { name: node });
      const zone = metadata.labels?.[ZONE_LABEL] ?? "";
      this.#zones.set(node, { zone, until: clock.monotonic() + REFRESH_MS });
      this.#isRefused = false;
    } catch (error) {
      this.#zones.set(node, { zone: known, until: clock.monotonic() + RETRY_MS });
      if (!this.#isRefused) logger.warn("cannot tell zones of nodes", { error });
      this.#isRefused = true;
    }
  }
}
