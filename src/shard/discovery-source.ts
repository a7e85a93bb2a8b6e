import type { Config, ScrapeConfig } from "../config/types.ts";
import type { DiscoveryManager, DiscoverySnapshot, JobDiscovery } from "../discovery/manager.ts";
import { buildTargets } from "../discovery/targets.ts";
import type { DiscoverySource } from "./coordinator.ts";
import type { JobTargets } from "./hold.ts";

interface Built {
  readonly scrapeConfig: ScrapeConfig;
  readonly discovery: JobDiscovery | undefined;
  readonly targets: JobTargets;
}

/** The targets of all configured jobs: discovery's groups after relabelling, built again only for jobs that changed. */
export class ConfiguredDiscovery implements DiscoverySource {
  readonly #manager: DiscoveryManager;
  #config: Config;
  #snapshot: DiscoverySnapshot = new Map();
  #built = new Map<string, Built>();

  /** `onChange` is called with each delivery of `manager`. */
  constructor(config: Config, manager: DiscoveryManager, onChange: () => void) {
    this.#config = config;
    this.#manager = manager;
    manager.apply(config.scrapeConfigs);
    manager.onUpdate((snapshot) => {
      this.#snapshot = snapshot;
      onChange();
    });
  }

  setConfig(config: Config): void {
    this.#config = config;
    this.#manager.apply(config.scrapeConfigs);
  }

  jobs(): readonly JobTargets[] {
    const built = new Map<string, Built>();
    for (const scrapeConfig of this.#config.scrapeConfigs) {
      const discovery = this.#snapshot.get(scrapeConfig.jobName);
      const known = this.#built.get(scrapeConfig.jobName);
      const isSame = known?.scrapeConfig === scrapeConfig && known.discovery === discovery;
      built.set(
        scrapeConfig.jobName,
        isSame ? known : { scrapeConfig, discovery, targets: build(scrapeConfig, discovery) },
      );
    }
    this.#built = built;
    return [...built.values()].map(({ targets }) => targets);
  }
}

function build(scrapeConfig: ScrapeConfig, discovery: JobDiscovery | undefined): JobTargets {
  const { active, dropped, errors } = buildTargets(scrapeConfig, discovery?.groups ?? []);
  const { keepDroppedTargets } = scrapeConfig;
  return {
    job: scrapeConfig.jobName,
    targets: active,
    dropped: keepDroppedTargets === 0 ? dropped : dropped.slice(0, keepDroppedTargets),
    droppedCount: dropped.length,
    isComplete: discovery?.complete ?? false,
    isStatic: scrapeConfig.serviceDiscovery.every(({ kind }) => kind === "static"),
    error: [...(discovery?.errors ?? []), ...errors].join("; "),
  };
}
