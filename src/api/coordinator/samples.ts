import { messageOf } from "../../base/errors.ts";
import type { JobStatistics, StatisticsQuery } from "../../scrape/job-statistics.ts";
import type { GroupView } from "../../shard/coordinator.ts";
import { addStatistics, encodeStatistics, perSecond } from "../../shard/statistics.ts";
import { envelope } from "../server.ts";
import type { CoordinatorApiOptions } from "./dependencies.ts";

/**
 * Kvass's `GET /api/v1/samples`: samples a second by job, `job` being a part of its name, with `with_metrics_detail=true`
 * by metric too. All jobs of the configuration are there. Unlike Kvass's, `total` of a job is summed, and the interval
 * is not rounded to whole seconds.
 */
export async function samplesAnswer(
  { coordinator, config }: CoordinatorApiOptions,
  parameters: URLSearchParams,
): Promise<Record<string, unknown>> {
  const query = {
    job: parameters.get("job") ?? "",
    withMetrics: parameters.get("with_metrics_detail") === "true",
  };
  const warnings: string[] = [];
  const groups = await Promise.all(
    coordinator.view().groups.map((group) => sumOf(group, query, warnings)),
  );
  const answer = new Map<string, JobStatistics>();
  for (const { jobName, scrapeIntervalMs } of config().scrapeConfigs) {
    if (!jobName.includes(query.job)) continue;
    // Replica groups scrape the same: the first that has the job stands for all.
    const statistics = groups
      .map((jobs) => jobs.get(jobName))
      .find((each) => (each?.total ?? 0) > 0);
    const found = statistics ?? { scrapedTotal: 0, total: 0, metrics: new Map() };
    answer.set(jobName, perSecond(found, scrapeIntervalMs / 1000));
  }
  return envelope(encodeStatistics(answer), { warnings });
}

async function sumOf(
  { shards }: GroupView,
  query: StatisticsQuery,
  warnings: string[],
): Promise<Map<string, JobStatistics>> {
  const sum = new Map<string, JobStatistics>();
  await Promise.all(
    shards.map(async (record) => {
      try {
        addStatistics(sum, await record.statistics(query));
      } catch (error) {
        warnings.push(`no samples from ${record.instance.id}: ${messageOf(error)}`);
      }
    }),
  );
  return sum;
}
