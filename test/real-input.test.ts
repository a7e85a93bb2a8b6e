/**
 * Real input: node_exporter, a real Prometheus and Shoal itself as targets of one prometheus.yml, scraped by Shoal and by the
 * real Prometheus at the same time; both answer the same queries. The two scrape at different moments, so values that move
 * are compared by what must hold in spite of that:
 *
 * - `exact`: constants, counts and label sets must be equal, series by series;
 * - `between`: a counter read by Shoal at T lies between Prometheus's values two scrapes before and after T;
 * - `near`: rates and averages over a window agree within 25 %, or within an absolute floor given with the query.
 */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import {
  freePort,
  type RunningProcess,
  skipWithoutParts,
  sleep,
  startNodeExporter,
  startPrometheus,
  startShoal,
  until,
} from "./support/processes.ts";
import { instant, type Sample } from "./support/queries.ts";

const INTERVAL_SECONDS = 1;
/** Long enough that every window below is filled on both sides. */
const GATHER_MS = 22_000;

type Comparison = "exact" | "between" | { readonly near: number };

const QUERIES: readonly (readonly [string, Comparison])[] = [
  ["up", "exact"],
  ["sum(up)", "exact"],
  ["count by (job) (up)", "exact"],
  ["node_uname_info", "exact"],
  ["node_memory_MemTotal_bytes", "exact"],
  ["node_exporter_build_info", "exact"],
  ["prometheus_build_info", "exact"],
  ['count by (mode) (node_cpu_seconds_total{job="node"})', "exact"],
  ["count(node_cpu_seconds_total) by (cpu)", "exact"],
  ["node_time_zone_offset_seconds", "exact"],
  ["node_boot_time_seconds", "exact"],
  ['process_start_time_seconds{job=~"node|prometheus"}', "exact"],
  ['label_replace(node_uname_info, "short", "$1", "release", "(\\\\d+)\\\\..*")', "exact"],
  ['sort_desc(count by (job) ({job=~"node", __name__=~"node_memory_.+"}))', "exact"],
  ["node_memory_MemTotal_bytes / 1024 / 1024", "exact"],
  ['up{job="node"} == bool 1', "exact"],
  ['up == 1 unless on (job) up{job="shoal"}', "exact"],
  ['up * on (job) group_left (release) label_replace(node_uname_info, "x", "y", "", "")', "exact"],
  ['max by (job) (scrape_samples_scraped{job="node"}) >= bool 100', "exact"],
  ['absent(no_such_metric{job="x"})', "exact"],
  ["vector(1) + scalar(sum(up))", "exact"],
  [
    'histogram_quantile(0.5, prometheus_http_request_duration_seconds_bucket{handler="/no-such"})',
    "exact",
  ],
  ["quantile(0.5, up)", "exact"],
  ['sum(node_cpu_seconds_total{mode="user"})', "between"],
  ["node_context_switches_total", "between"],
  ["node_intr_total", "between"],
  ['process_cpu_seconds_total{job="prometheus"}', "between"],
  ['prometheus_tsdb_head_samples_appended_total{type="float"}', "between"],
  ["sum(rate(node_cpu_seconds_total[15s]))", { near: 0.2 }],
  ["avg_over_time(node_memory_MemAvailable_bytes[15s])", { near: 0 }],
  ['rate(prometheus_tsdb_head_samples_appended_total{type="float"}[15s])', { near: 50 }],
  ['avg_over_time(process_resident_memory_bytes{job="node"}[15s])', { near: 2e6 }],
  ["count_over_time(node_load1[15s])", { near: 2 }],
];

const processes: RunningProcess[] = [];
let shoal: RunningProcess;
let prometheus: RunningProcess;
let evaluatedAt: number;

before(
  async () => {
    if (skipWithoutParts() !== false) return;
    const node = await startNodeExporter();
    processes.push(node);
    const [shoalPort, prometheusPort] = [await freePort(), await freePort()];
    const config = `global: { scrape_interval: ${INTERVAL_SECONDS}s, scrape_timeout: ${INTERVAL_SECONDS}s }
scrape_configs:
  - job_name: node
    static_configs: [{ targets: ["${new URL(node.url).host}"] }]
  - job_name: prometheus
    static_configs: [{ targets: ["127.0.0.1:${prometheusPort}"] }]
  - job_name: shoal
    static_configs: [{ targets: ["127.0.0.1:${shoalPort}"] }]
`;
    const real = await startPrometheus({ config, port: prometheusPort });
    assert.ok(real !== undefined);
    processes.push((prometheus = real));
    processes.push(
      (shoal = await startShoal({
        args: ["up", "--coordinator.interval=1s", "--log.level=warn"],
        config,
        port: shoalPort,
      })),
    );
    await until("all targets are up in Shoal", async () =>
      (await instant(shoal.url, "sum(up)", Date.now() / 1000))[0]?.value === 3 ? true : undefined,
    );
    await sleep(GATHER_MS);
    evaluatedAt = Math.floor(Date.now() / 1000) - 4 * INTERVAL_SECONDS;
  },
  { timeout: 120_000 },
);

after(async () => {
  for (const running of processes.reverse()) await running.stop();
});

for (const [query, comparison] of QUERIES) {
  test(`Shoal and Prometheus agree on ${query}`, { skip: skipWithoutParts() }, async () => {
    const ours = await instant(shoal.url, query, evaluatedAt);
    const theirs = await instant(prometheus.url, query, evaluatedAt);
    assert.deepEqual(
      ours.map(({ series }) => series),
      theirs.map(({ series }) => series),
      "the same series",
    );
    if (comparison === "exact") assert.deepEqual(ours, theirs);
    else if (comparison === "between") await assertBetween(query, ours);
    else assertNear(ours, theirs, comparison.near);
  });
}

async function assertBetween(query: string, ours: readonly Sample[]): Promise<void> {
  const low = await instant(prometheus.url, query, evaluatedAt - 2 * INTERVAL_SECONDS);
  const high = await instant(prometheus.url, query, evaluatedAt + 2 * INTERVAL_SECONDS);
  for (const [i, { series, value }] of ours.entries()) {
    assert.ok(
      low[i]!.value <= value && value <= high[i]!.value,
      `${series}: ${value} is not within ${low[i]!.value}…${high[i]!.value}`,
    );
  }
}

function assertNear(ours: readonly Sample[], theirs: readonly Sample[], floor: number): void {
  assert.ok(ours.length > 0, "there is something to compare");
  for (const [i, { series, value }] of ours.entries()) {
    const expected = theirs[i]!.value;
    assert.ok(
      Math.abs(value - expected) <= Math.max(floor, 0.25 * Math.abs(expected)),
      `${series}: ${value} is not near ${expected}`,
    );
  }
}
