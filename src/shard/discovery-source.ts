import type { Config, ScrapeConfig } from "../config/types.ts";
import type { DiscoveryManager, DiscoverySnapshot, JobDiscovery } from "../discovery/manager.ts";
import { JobTargetBuilder } from "../discovery/targets.ts";
import type { VolatileLabels } from "../model/target-identity.ts";
import type { DiscoverySource } from "./coordinator.ts";
import type { JobTargets } from "./hold.ts";

interface Built {
  readonly scrapeConfig: ScrapeConfig;
  readonly builder: JobTargetBuilder;
  readonly discovery: JobDiscovery | undefined;
  readonly targets: JobTargets;
}

/** The targets of all configured jobs: discovery's groups after relabelling, built again only for jobs that changed. */
export class ConfiguredDiscovery implements DiscoverySource {
  readonly #manager: DiscoveryManager;
  readonly #volatile: VolatileLabels | undefined;
  #config: Config;
  #snapshot: DiscoverySnapshot = new Map();
  #built = new Map<string, Built>();

  constructor(
    config: Config,
    options: {
      readonly manager: DiscoveryManager;
      /** Called with each delivery of `manager`. */
      readonly onChange: () => void;
      /** Labels that take no part in a target's identity. */
      readonly volatile?: VolatileLabels;
    },
  ) {
    const { manager, onChange } = options;
    this.#config = config;
    this.#manager = manager;
    this.#volatile = options.volatile;
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
      const isSame = known?.scrapeConfig === scrapeConfig;
      if (isSame && known.discovery === discovery) {
        built.set(scrapeConfig.jobName, known);
        continue;
      }
      // The builder remembers what did not change.
      const builder = isSame ? known.builder : new JobTargetBuilder(scrapeConfig, this.#volatile);
      const targets = build(scrapeConfig, builder, discovery);
      built.set(scrapeConfig.jobName, { scrapeConfig, builder, discovery, targets });
    }
    this.#built = built;
    return [...built.values()].map(({ targets }) => targets);
  }
}

function build(
  scrapeConfig: ScrapeConfig,
  builder: JobTargetBuilder,
  discovery: JobDiscovery | undefined,
): JobTargets {
  const { active, dropped, droppedCount, errors } = builder.build(discovery?.groups ?? []);
  const { keepDroppedTargets } = scrapeConfig;
  return {
    job: scrapeConfig.jobName,
    targets: active,
    dropped: () => dropped(keepDroppedTargets || Infinity),
    droppedCount,
    isComplete: discovery?.complete ?? false,
    isStatic: scrapeConfig.serviceDiscovery.every(({ kind }) => kind === "static"),
    error: [...(discovery?.errors ?? []), ...errors].join("; "),
  };
}
