import { parseConfig } from "../../config/load.ts";
import type { JobStatistics } from "../../scrape/job-statistics.ts";
import { buildTarget } from "../../model/target-build.ts";
import type { ShardControl } from "../control.ts";
import { NO_LOAD } from "../load.ts";
import type { AssignedTarget, ShardRuntime, TargetStatus } from "../wire.ts";

/** What was recorded beside a real Kvass sidecar (`npm run test:kvass`, SHOAL_REWRITE=1). */
export interface KvassRecording {
  readonly config: string;
  readonly exchanges: readonly {
    readonly method: string;
    readonly path: string;
    readonly body: string;
    readonly status: number;
    readonly answer: string;
  }[];
}

/** What the sidecar has told. */
export interface KvassTold {
  readonly first: ShardRuntime;
  readonly configured: ShardRuntime;
  readonly scraped: ReadonlyMap<string, TargetStatus>;
  readonly statistics: ReadonlyMap<string, JobStatistics>;
  readonly moving: ReadonlyMap<string, TargetStatus>;
  readonly stopped: ShardRuntime;
  readonly idle: ShardRuntime;
}

/** Jobs with what makes a target more than an address. */
export function kvassConfig(addresses: readonly string[]): string {
  return `global: {scrape_interval: 1s, scrape_timeout: 900ms, external_labels: {replica: one}}
scrape_configs:
- job_name: plain
  static_configs: [{targets: ["${addresses[0]}"]}]
  metric_relabel_configs: [{source_labels: [i], regex: "0", action: drop}]
- job_name: "with parameters"
  metrics_path: /probe
  params: {module: [default, second], x: ["1"]}
  static_configs: [{targets: ["${addresses[1]}"]}]
`;
}

/** All that a coordinator says to a shard, from the first contact to the last: the same words every time. */
export async function converse(
  control: ShardControl,
  { config, list }: { readonly config: string; readonly list: readonly AssignedTarget[] },
  untilScraped: () => Promise<void>,
): Promise<KvassTold> {
  const [moved, kept] = list as [AssignedTarget, AssignedTarget];
  const first = await control.runtime(1);
  await control.pushConfig({ rawContent: config, baseFolder: "/", hash: "ours" }, 1);
  const configured = await control.runtime(1);
  await control.pushTargets(list, 1);
  await untilScraped();
  const scraped = await control.status();
  const statistics = await control.statistics({ job: "", withMetrics: true });
  await control.pushTargets([{ ...moved, state: "in_transfer" }, kept], 1);
  const moving = await control.status();
  await control.pushStop({ reason: "too much", sinceMs: 7 }, 1);
  const stopped = await control.runtime(1);
  await control.pushStop({ reason: "", sinceMs: 8 }, 1);
  await control.pushTargets([], 1);
  const idle = await control.runtime(1);
  return { first, configured, scraped, statistics, moving, stopped, idle };
}

/** The targets of `kvassConfig`, both given to the shard. */
export function kvassTargets(config: string, addresses: readonly string[]): AssignedTarget[] {
  const { scrapeConfigs } = parseConfig(config, { path: "recorded", baseFolder: "/" });
  return scrapeConfigs.map((job, i) => {
    const result = buildTarget({ labels: { __address__: addresses[i]!, zone: "Zürich" } }, job);
    if (result.kind !== "target") throw new Error("BUG: the recorded configuration is good");
    const load = { ...NO_LOAD, series: 1, rawSeries: 2 };
    return { target: result.target, state: "normal", assignedAtMs: 1_700_000_000_000, load };
  });
}
