/**
 * What a coordinator does with Kubernetes, and nothing else: discovers the pods of a server and builds their targets. Prints a
 * line of JSON when the first list is delivered, and another when asked to end (a line on stdin).
 */
import { once } from "node:events";
import { systemClock } from "../../src/base/clock.ts";
import { createLogger } from "../../src/base/logger.ts";
import { Registry } from "../../src/base/metrics.ts";
import { parseConfig } from "../../src/config/load.ts";
import { DiscoveryManager } from "../../src/discovery/manager.ts";
import { JobTargetBuilder } from "../../src/discovery/targets.ts";

const { scrapeConfigs } = parseConfig(process.argv[2]!, {
  path: "p",
  baseFolder: "/",
  environment: {},
});
const builders = scrapeConfigs.map((job) => new JobTargetBuilder(job));
const manager = new DiscoveryManager({
  logger: createLogger({ level: "warn" }),
  clock: systemClock,
  registry: new Registry(),
});

const CREATED = "__meta_kubernetes_pod_annotation_bench_created_at";
const latenciesMs: number[] = [];
let newestMs = 0;
let targets = 0;
const startedMs = performance.now();

manager.onUpdate((snapshot) => {
  let found = 0;
  for (const [index, job] of scrapeConfigs.entries()) {
    const { groups = [], complete = false } = snapshot.get(job.jobName) ?? {};
    if (!complete) return;
    const built = builders[index]!.build(groups);
    found += built.active.length + built.droppedCount;
    // The newest pods come last.
    let newest = newestMs;
    for (let i = groups.length - 1; i >= 0; i--) {
      const createdMs = Number(groups[i]!.labels[CREATED] ?? 0);
      if (createdMs <= newestMs) break;
      latenciesMs.push(Date.now() - createdMs);
      newest = Math.max(newest, createdMs);
    }
    newestMs = newest;
  }
  if (targets === 0 && found > 0)
    console.log(
      JSON.stringify({ targets: found, seconds: (performance.now() - startedMs) / 1000 }),
    );
  targets = found;
});
manager.apply(scrapeConfigs);
manager.start();
await once(process.stdin, "data");
console.log(JSON.stringify({ targets, latenciesMs }));
await manager.stop();
process.exit(0);
