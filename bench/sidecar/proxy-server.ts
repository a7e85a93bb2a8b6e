/** A sidecar's scrape proxy alone, serving one target, for the benchmark beside it: `proxy-server.ts TARGET_URL`. */
import { fileURLToPath } from "node:url";
import { systemClock } from "../../src/base/clock.ts";
import { createLogger } from "../../src/base/logger.ts";
import { Registry } from "../../src/base/metrics.ts";
import { systemRandom } from "../../src/base/random.ts";
import { parseConfig } from "../../src/config/load.ts";
import { createHttpClient } from "../../src/http/client.ts";
import { buildTarget } from "../../src/model/target-build.ts";
import { ScrapeProxy } from "../../src/sidecar/scrape-proxy.ts";

/** What the program says once it listens. */
export interface ProxyReady {
  readonly port: number;
  /** What an agent asks for. */
  readonly url: string;
}

async function serve(targetUrl: string): Promise<void> {
  const proxy = new ScrapeProxy({
    listen: { host: "127.0.0.1", port: 0 },
    createClient: (config) => createHttpClient(config, { userAgent: "bench" }),
    clock: systemClock,
    random: systemRandom,
    logger: createLogger({ level: "warn", format: "logfmt" }),
    registry: new Registry(),
  });
  await proxy.start();
  const config = parseConfig("scrape_configs: [{job_name: bench}]", { path: "p", baseFolder: "/" });
  const result = buildTarget(
    { labels: { __address__: new URL(targetUrl).host } },
    config.scrapeConfigs[0]!,
  );
  if (result.kind !== "target") throw new Error(`cannot use ${targetUrl} as a target`);
  const { target } = result;
  proxy.apply({ config, targets: [target] });
  const url = new URL(target.url);
  url.searchParams.set("_hash", target.hash);
  url.searchParams.set("_jobName", "bench");
  url.searchParams.set("_scheme", "http");
  const ready: ProxyReady = { port: proxy.address().port, url: url.href };
  console.log(JSON.stringify(ready));
  // Ends in order, so that a profile is written.
  process.on("SIGTERM", () => process.exit(0));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await serve(process.argv[2]!);
