/**
 * What scraping costs this process: 10 targets × 10,000 series served by another process, scraped again and again, with
 * a storage that does nothing and with the real head and its log. Prints CPU nanoseconds per sample.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "../../src/base/clock.ts";
import { silentLogger } from "../../src/base/logger.ts";
import { plainHttpClient } from "../../src/config/plain-http-client.ts";
import { Registry } from "../../src/base/metrics.ts";
import { createHttpClient } from "../../src/http/client.ts";
import { BodyPool, ColumnPool } from "../../src/scrape/buffers.ts";
import { ScanScratch } from "../../src/scrape/scan-scratch.ts";
import { createScrapeMetrics } from "../../src/scrape/metrics.ts";
import { scrapeConfig, targetOf } from "../../src/scrape/scrape.fixture.ts";
import { TargetScraper } from "../../src/scrape/target-scraper.ts";
import { type Appendable, NOTHING_APPENDED } from "../../src/storage/appender.ts";
import { openHead } from "../../src/tsdb/open-head.ts";
import { startExporter } from "../support/exporter.ts";
import { report } from "../support/report.ts";

const TARGETS = 10;
const SERIES = 10_000;
const WARM_UP_ROUNDS = 5;
const ROUNDS = 15;
const REPORT_SERIES = 5;

const nothing: Appendable = {
  resolve: (() => {
    let ref = 0;
    return () => ref++;
  })(),
  append: (columns) => Promise.resolve({ ...NOTHING_APPENDED, appended: columns.count }),
};

const exporter = await startExporter({ targets: TARGETS, series: SERIES });
const client = createHttpClient(plainHttpClient(), { userAgent: "Shoal/bench" });

async function measure(appendable: Appendable): Promise<number> {
  const registry = new Registry();
  const context = {
    appendable,
    logger: silentLogger,
    clock: systemClock,
    metrics: createScrapeMetrics(registry),
    scratch: new ScanScratch(1),
    bodies: new BodyPool(),
    columns: new ColumnPool(),
    bodyMaxBytes: 1 << 28,
    storesMetadata: false,
    storesCreated: false,
  };
  const scrapers = exporter.ports.map(
    (port) =>
      new TargetScraper(context, {
        target: targetOf(`http://127.0.0.1:${port}/metrics`),
        settings: { config: scrapeConfig(), client, forcedError: undefined },
      }),
  );
  const { signal } = new AbortController();
  let timeMs = Date.now() - (WARM_UP_ROUNDS + ROUNDS) * 1000;
  let stored = 0;
  const round = async (): Promise<void> => {
    timeMs += 1000;
    for (const scraper of scrapers) {
      const outcome = await scraper.scrape(timeMs, signal);
      if (outcome?.error !== "") throw new Error(`cannot scrape: ${outcome?.error}`);
      if (outcome.samplesScraped !== SERIES)
        throw new Error(`scraped ${outcome.samplesScraped} samples, not ${SERIES}`);
      stored += outcome.samplesScraped + REPORT_SERIES;
    }
  };
  for (let i = 0; i < WARM_UP_ROUNDS; i++) await round();
  stored = 0;
  const before = process.cpuUsage();
  for (let i = 0; i < ROUNDS; i++) await round();
  const { user, system } = process.cpuUsage(before);
  return ((user + system) * 1000) / stored;
}

const folder = mkdtempSync(join(tmpdir(), "shoal-ingest-"));
try {
  report({
    name: "scrape without storage",
    unit: "CPU ns/sample",
    ours: await measure(nothing),
    better: "less",
  });
  const head = await openHead({
    folder,
    logger: silentLogger,
    clock: systemClock,
    registry: new Registry(),
    retentionMs: 3_600_000,
  });
  report({
    name: "scrape into head and log",
    unit: "CPU ns/sample",
    ours: await measure(head),
    better: "less",
    gate: "≤ 400",
  });
  await head.close();
} finally {
  exporter.stop();
  await client.close();
  rmSync(folder, { recursive: true, force: true });
}
