import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { isDeepStrictEqual } from "node:util";
import {
  apiData,
  type RunningProcess,
  startPrometheus,
  until,
} from "../../test/support/processes.ts";
import { parseConfig } from "../config/load.ts";
import { systemClock } from "../base/clock.ts";
import { silentLogger } from "../base/logger.ts";
import { Registry } from "../base/metrics.ts";
import { DiscoveryManager } from "./manager.ts";
import { JobTargetBuilder } from "./targets.ts";

/**
 * Discovered labels for comparing with a real Prometheus: every target is dropped by relabelling, so that both sides list
 * what they have found and neither scrapes anything.
 */
export function comparedConfig(mechanism: string, options: string): string {
  return `scrape_configs:
- job_name: compared
  relabel_configs: [{action: drop}]
  ${mechanism}_sd_configs: [{${options}}]
`;
}

export type LabelMap = Readonly<Record<string, string>>;

/** What we find for `config` from now on, sorted. */
class OurDiscovery {
  readonly #manager: DiscoveryManager;
  found: readonly LabelMap[] = [];

  constructor(config: string) {
    const { scrapeConfigs } = parseConfig(config, { path: "p.yml", baseFolder: "/" });
    const [scrapeConfig] = scrapeConfigs;
    const builder = new JobTargetBuilder(scrapeConfig!);
    this.#manager = new DiscoveryManager({
      logger: silentLogger,
      clock: systemClock,
      registry: new Registry(),
      updateIntervalMs: 10,
      userAgent: "Shoal/test",
    });
    this.#manager.onUpdate((snapshot) => {
      const discovery = snapshot.get("compared");
      this.found = sorted(
        builder
          .build(discovery?.groups ?? [])
          .dropped(Infinity)
          .map(({ discoveredLabels }) => withoutSwitches(Object.fromEntries(discoveredLabels))),
      );
    });
    this.#manager.apply(scrapeConfigs);
    this.#manager.start();
  }

  async stop(): Promise<void> {
    await this.#manager.stop();
  }
}

/** What a real Prometheus found at each step of a comparison. */
interface Golden {
  /** Its version. */
  prometheus: string;
  readonly steps: Record<string, readonly LabelMap[]>;
}

interface ComparisonOptions {
  /** Of `comparedConfig`. */
  readonly config: string;
  /** File in `testdata/`. */
  readonly golden: string;
  /** A Prometheus to run beside us where `SHOAL_PROMETHEUS` names none, and what it would make of our findings. */
  readonly older?: {
    readonly program: string | undefined;
    readonly adapt: (found: readonly LabelMap[]) => readonly LabelMap[];
  };
}

/**
 * Compares what we find with what Prometheus found at the same steps, kept in `testdata/`. Where `SHOAL_PROMETHEUS` names
 * a Prometheus that has the mechanism, it runs beside us and has to agree too; `SHOAL_REWRITE=1` then writes what it says.
 */
export class DiscoveryComparison {
  readonly #options: ComparisonOptions;
  readonly #ours: OurDiscovery;
  readonly #prometheus: RunningProcess | undefined;
  readonly #golden: Golden;

  private constructor(
    options: ComparisonOptions,
    ours: OurDiscovery,
    prometheus: RunningProcess | undefined,
  ) {
    this.#options = options;
    this.#ours = ours;
    this.#prometheus = prometheus;
    this.#golden = JSON.parse(readFileSync(goldenFile(options), "utf8")) as Golden;
  }

  static async start(t: TestContext, options: ComparisonOptions): Promise<DiscoveryComparison> {
    const { config, older } = options;
    const program = process.env["SHOAL_PROMETHEUS"] ?? older?.program;
    const prometheus =
      program === undefined ? undefined : await startPrometheus({ config, program });
    if (prometheus !== undefined) t.after(() => prometheus.stop());
    const ours = new OurDiscovery(config);
    t.after(() => ours.stop());
    return new DiscoveryComparison(options, ours, prometheus);
  }

  /** Whether a Prometheus runs beside us. */
  get isLive(): boolean {
    return this.#prometheus !== undefined;
  }

  /** Waits until `isNew` holds for what we found and all sides agree. */
  async same(step: string, isNew: (found: readonly LabelMap[]) => boolean): Promise<void> {
    const { older } = this.#options;
    const url = this.#prometheus?.url;
    const isOlder = process.env["SHOAL_PROMETHEUS"] === undefined && older !== undefined;
    const adapt = isOlder ? older.adapt : (found: readonly LabelMap[]) => found;
    const kept = this.#golden.steps[step] ?? [];
    let theirs: readonly LabelMap[] = [];
    const isSame = async (): Promise<true | undefined> => {
      const { found } = this.#ours;
      theirs = url === undefined ? adapt(kept) : await theirDiscovery(url);
      return isNew(found) && isDeepStrictEqual(adapt(found), theirs) ? true : undefined;
    };
    await until(step, isSame).catch(() => assert.deepEqual(adapt(this.#ours.found), theirs, step));
    if (process.env["SHOAL_REWRITE"] === "1" && url !== undefined) await this.#rewrite(step, url);
    assert.deepEqual(this.#ours.found, this.#golden.steps[step], `${step}, as kept`);
  }

  async #rewrite(step: string, url: string): Promise<void> {
    const { version } = await apiData<{ version: string }>(`${url}/api/v1/status/buildinfo`);
    this.#golden.prometheus = version;
    this.#golden.steps[step] = this.#ours.found;
    writeFileSync(goldenFile(this.#options), `${JSON.stringify(this.#golden, undefined, 2)}\n`);
  }
}

function goldenFile({ golden }: ComparisonOptions): string {
  return join(import.meta.dirname, "testdata", golden);
}

/** What the job adds in Prometheus 3.13 and later, and in no earlier one; no mechanism gives them. */
const SWITCHES = new Set([
  "__always_scrape_classic_histograms__",
  "__convert_classic_histograms_to_nhcb__",
  "__scrape_native_histograms__",
]);

/** What the Prometheus at `url` finds, sorted. */
async function theirDiscovery(url: string): Promise<readonly LabelMap[]> {
  const response = await fetch(`${url}/api/v1/targets?state=dropped`);
  const { data } = (await response.json()) as {
    data: { droppedTargets: { discoveredLabels: LabelMap }[] };
  };
  return sorted(
    data.droppedTargets.map(({ discoveredLabels }) => withoutSwitches(discoveredLabels)),
  );
}

export function withoutSwitches(labels: LabelMap): LabelMap {
  return Object.fromEntries(Object.entries(labels).filter(([name]) => !SWITCHES.has(name)));
}

function sorted(list: readonly LabelMap[]): readonly LabelMap[] {
  const text = (labels: LabelMap): string =>
    JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
  return list
    .map((labels) => [text(labels), labels] as const)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, labels]) => labels);
}
