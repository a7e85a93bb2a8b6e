import { fieldOf } from "../base/field.ts";
import type { JobStatistics, MetricCount, StatisticsQuery } from "../scrape/job-statistics.ts";
import type { TargetStatus } from "../scrape/scrape-loop.ts";
import type { PrometheusClient } from "./prometheus-client.ts";
import type { ProxiedTarget } from "./proxied-target.ts";

/** By job; jobs without targets are not there. */
export function proxyStatistics(
  targets: Iterable<ProxiedTarget>,
  { job, withMetrics }: StatisticsQuery,
): Map<string, JobStatistics> {
  const chosen = [...targets].filter(({ target }) => target.job.includes(job));
  return statisticsOf(
    chosen.map((target) => target.status()),
    (name) => {
      const counts = new Map<string, MetricCount>();
      if (!withMetrics) return counts;
      for (const each of chosen) if (each.target.job === name) each.counter.addMetrics(counts);
      return counts;
    },
  );
}

/** With direct delivery Prometheus is asked; what relabelling dropped it does not know by metric. */
export async function directStatistics(
  statuses: readonly TargetStatus[],
  { job, withMetrics }: StatisticsQuery,
  client: PrometheusClient,
): Promise<Map<string, JobStatistics>> {
  const chosen = statuses.filter(({ target }) => target.job.includes(job));
  const counts = new Map<string, Map<string, MetricCount>>();
  if (withMetrics && chosen.length > 0) {
    const parameters = new URLSearchParams({ query: 'count by (job, __name__) ({job!=""})' });
    for (const { job: label, metric, count } of samplesOf(
      await client.ask("/api/v1/query", { parameters }),
    )) {
      let known = counts.get(label);
      if (known === undefined) counts.set(label, (known = new Map()));
      known.set(metric, { total: count, scraped: count });
    }
  }
  return statisticsOf(chosen, (name) => counts.get(name) ?? new Map());
}

function statisticsOf(
  statuses: readonly TargetStatus[],
  metrics: (job: string) => ReadonlyMap<string, MetricCount>,
): Map<string, JobStatistics> {
  const jobs = new Map<string, { scrapedTotal: number; total: number }>();
  for (const { target, seriesPostRelabel, seriesScraped } of statuses) {
    const known = jobs.get(target.job) ?? { scrapedTotal: 0, total: 0 };
    known.scrapedTotal += seriesPostRelabel;
    known.total += seriesScraped;
    jobs.set(target.job, known);
  }
  return new Map([...jobs].map(([job, totals]) => [job, { ...totals, metrics: metrics(job) }]));
}

function* samplesOf(data: unknown): Generator<{ job: string; metric: string; count: number }> {
  const result = fieldOf(data, "result");
  for (const sample of Array.isArray(result) ? result : []) {
    const labels = fieldOf(sample, "metric");
    const value = fieldOf(sample, "value");
    yield {
      job: text(fieldOf(labels, "job")),
      metric: text(fieldOf(labels, "__name__")),
      count: Number(Array.isArray(value) ? value[1] : 0),
    };
  }
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}
