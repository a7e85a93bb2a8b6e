/** The same targets scraped by a real Prometheus and by us, so that what is stored can be compared. */
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { apiData, startPrometheus } from "./processes.ts";
import { renderQueryResult } from "../../src/api/query/render.ts";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { Registry } from "../../src/base/metrics.ts";
import type { ScrapeConfig } from "../../src/config/types.ts";
import { Engine } from "../../src/promql/engine.ts";
import { type Database, openDatabase } from "../../src/tsdb/database.ts";
import { ScrapeManager, type ScrapeManagerOptions } from "../../src/scrape/scrape-manager.ts";
import { configOf, scrapeConfig, targetOf } from "../../src/scrape/scrape.fixture.ts";

export interface BothJob {
  readonly name: string;
  /** What its target answers to each scrape. */
  readonly contentType: string;
  body(): Uint8Array | string;
  /** What differs in its configuration, as Prometheus reads it and as we have it. */
  readonly yaml?: string;
  readonly config?: Partial<ScrapeConfig>;
}

export interface Row {
  readonly metric: Record<string, string>;
  readonly value?: [number, string];
  readonly histogram?: [number, unknown];
  readonly values?: [number, string][];
  readonly histograms?: [number, unknown][];
}

export interface Both {
  readonly prometheusUrl: string;
  /** The data folder of the Prometheus. */
  readonly prometheusFolder: string;
  readonly db: Database;
  /** Results of an instant query. */
  readonly theirs: (query: string) => Promise<Row[]>;
  readonly ours: (query: string) => Promise<Row[]>;
}

/** Runs `compare` when both have scraped each job twice. */
export async function withBoth(
  options: {
    readonly jobs: readonly BothJob[];
    readonly flags: readonly string[];
    readonly manager?: Partial<ScrapeManagerOptions>;
  },
  compare: (both: Both) => Promise<void>,
): Promise<void> {
  const { jobs } = options;
  const server = createServer((request, response) => {
    const job = jobs.find(({ name }) => request.url === `/${name}`)!;
    response.setHeader("content-type", job.contentType);
    response.end(job.body());
  });
  await new Promise<void>((resolve) => {
    server.listen(0, "127.0.0.1", resolve);
  });
  const { port } = server.address() as AddressInfo;
  const yaml = jobs.map(
    (job) =>
      `  - job_name: ${job.name}\n    metrics_path: /${job.name}\n${job.yaml === undefined ? "" : `    ${job.yaml}\n`}    static_configs: [{targets: ["127.0.0.1:${port}"]}]\n`,
  );
  const folder = await mkdtemp(join(tmpdir(), "both-scrape-"));
  const prometheusFolder = join(folder, "prometheus");
  const prometheus = (await startPrometheus({
    config: `global: {scrape_interval: 2s, scrape_timeout: 2s}\nscrape_configs:\n${yaml.join("")}`,
    flags: options.flags,
    dataFolder: prometheusFolder,
  }))!;
  const db = await openDatabase({
    folder: join(folder, "shoal"),
    logger: silentLogger,
    clock: systemClock,
    registry: new Registry(),
    retentionMs: 1e12,
    maxExemplars: 100,
  });
  const manager = new ScrapeManager({
    appendable: db,
    logger: silentLogger,
    registry: new Registry(),
    userAgent: "Shoal/test",
    jitterSeedText: "x",
    ...options.manager,
  });
  const both: Both = {
    prometheusUrl: prometheus.url,
    prometheusFolder,
    db,
    async theirs(query) {
      const asked = new URLSearchParams({ query }).toString();
      const url = `${prometheus.url}/api/v1/query?${asked}`;
      return (await apiData<{ result: Row[] }>(url)).result;
    },
    async ours(query) {
      const at = { query, timeMs: systemClock.now() };
      const result = await new Engine().instant(db, at);
      const pieces = renderQueryResult(result, { limit: 0, stats: false });
      return (JSON.parse(Buffer.concat([...pieces]).toString()) as { data: { result: Row[] } }).data
        .result;
    },
  };
  try {
    manager.apply({
      config: configOf(...jobs.map((job) => scrapeConfig({ jobName: job.name, ...job.config }))),
      targets: jobs.map(({ name: job }) =>
        targetOf(`http://127.0.0.1:${port}/${job}`, {
          job,
          labels: { instance: "i", job },
          intervalMs: 2000,
          timeoutMs: 2000,
        }),
      ),
    });
    for (const read of [both.theirs, both.ours])
      while ((await read("count_over_time(up[1m]) >= 2")).length < jobs.length)
        await new Promise((resolve) => setTimeout(resolve, 100));
    await compare(both);
  } finally {
    await manager.stop();
    await db.close();
    await prometheus.stop();
    server.close();
    server.closeAllConnections();
    await rm(folder, { recursive: true });
  }
}

/** Each row as text, without times and instances, in an order of its own. */
export function shown(rows: readonly Row[]): string[] {
  return rows
    .map(({ metric, value, histogram, values, histograms }) => {
      const { instance: _, ...own } = metric;
      const pairs = JSON.stringify(Object.entries(own).sort(([a], [b]) => (a < b ? -1 : 1)));
      const all = [...(values ?? []), ...(histograms ?? [])].map(([, one]) => JSON.stringify(one));
      return `${pairs} ${value?.[1] ?? JSON.stringify(histogram?.[1]) ?? all.join(" ")}`;
    })
    .sort();
}
