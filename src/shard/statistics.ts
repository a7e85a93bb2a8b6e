import { AppError } from "../base/errors.ts";
import type { JobStatistics, MetricCount } from "../scrape/job-statistics.ts";

/**
 * Kvass's `Statistics` of jobs on the wire: `{job: {scrapedTotal, total, metricsTotal: {name: {total, scraped}}}}`. From
 * a shard these are counts of the last scrapes, from the coordinator samples a second.
 */
export function encodeStatistics(jobs: ReadonlyMap<string, JobStatistics>): unknown {
  // Names of jobs and metrics such as `__proto__` are legal keys.
  const data = Object.create(null) as Record<string, unknown>;
  for (const [job, { scrapedTotal, total, metrics }] of jobs) {
    const metricsTotal = Object.create(null) as Record<string, MetricCount>;
    for (const [name, count] of metrics) metricsTotal[name] = count;
    data[job] = { scrapedTotal, total, metricsTotal };
  }
  return data;
}

/** Throws `bad-data` with the path of what is wrong. */
export function decodeStatistics(value: unknown): Map<string, JobStatistics> {
  return new Map(
    entriesOf(value, "samples").map(([job, each]) => {
      const fields = new Map(entriesOf(each, job));
      const metrics = entriesOf(fields.get("metricsTotal") ?? {}, `${job}.metricsTotal`).map(
        ([name, count]): [string, MetricCount] => {
          const counts = new Map(entriesOf(count, `${job}.${name}`));
          return [name, { total: numberOf(counts, "total"), scraped: numberOf(counts, "scraped") }];
        },
      );
      const scrapedTotal = numberOf(fields, "scrapedTotal");
      // Kvass always sends 0 as the total of a job; its metrics know it when they are there.
      const total = Math.max(
        numberOf(fields, "total"),
        metrics.reduce((sum, [, count]) => sum + count.total, 0),
        scrapedTotal,
      );
      return [job, { scrapedTotal, total, metrics: new Map(metrics) }];
    }),
  );
}

/** The sums of several shards' statistics. */
export function addStatistics(
  into: Map<string, JobStatistics>,
  more: ReadonlyMap<string, JobStatistics>,
): void {
  for (const [job, { scrapedTotal, total, metrics }] of more) {
    const known = into.get(job);
    const sums = new Map(known?.metrics);
    for (const [name, count] of metrics) {
      const before = sums.get(name) ?? { total: 0, scraped: 0 };
      sums.set(name, {
        total: before.total + count.total,
        scraped: before.scraped + count.scraped,
      });
    }
    into.set(job, {
      scrapedTotal: (known?.scrapedTotal ?? 0) + scrapedTotal,
      total: (known?.total ?? 0) + total,
      metrics: sums,
    });
  }
}

/** Counts of scrapes every `seconds` as samples a second. */
export function perSecond(statistics: JobStatistics, seconds: number): JobStatistics {
  const { scrapedTotal, total, metrics } = statistics;
  return {
    scrapedTotal: scrapedTotal / seconds,
    total: total / seconds,
    metrics: new Map(
      [...metrics].map(([name, count]) => [
        name,
        { total: count.total / seconds, scraped: count.scraped / seconds },
      ]),
    ),
  };
}

function entriesOf(value: unknown, path: string): [string, unknown][] {
  if (value === null) return [];
  if (typeof value !== "object" || Array.isArray(value))
    throw new AppError("bad-data", `cannot read ${path}: it must be an object`);
  return Object.entries(value as object);
}

function numberOf(fields: ReadonlyMap<string, unknown>, name: string): number {
  const value = fields.get(name) ?? 0;
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0)
    throw new AppError("bad-data", `cannot read ${name}: it must be a number of at least 0`);
  return value;
}
