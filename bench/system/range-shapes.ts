/** The shapes of queries that the PromQL benchmark asks, chosen after those of Prometheus's own benchmark of range queries. */
import { FLOATS_END_MS, NATIVE_END_MS, STEP_MS } from "./range-data.ts";

export interface Shape {
  readonly query: string;
  readonly endMs: number;
  /** Steps of 15 s up to `endMs`; 1 for an instant query. */
  readonly steps: number;
  readonly gate: string;
}

const all = (query: string, gate = "≥ 1×"): Shape => ({
  query,
  gate,
  endMs: FLOATS_END_MS,
  steps: 240,
});
const short = (query: string, gate = "≥ 1×"): Shape => ({ ...all(query, gate), steps: 120 });
const instant = (query: string, gate = "≥ 1×"): Shape => ({ ...all(query, gate), steps: 1 });
const native = (query: string): Shape => ({
  query,
  gate: "≥ 2×",
  endMs: NATIVE_END_MS,
  steps: 120,
});

/** 1,000 of the 10,000 series, and 100 of them. */
const THOUSAND = 'bench_total{job="job-3"}';
const HUNDRED = 'bench_total{path="/api/v1/resource/7"}';

export const SHAPES: readonly Shape[] = [
  all("sum by (job) (rate(bench_total[5m]))", "≥ 3×, goal 5×"),
  all("sum by (job) (rate(bench_total[1h]))", "≥ 6×, goal 10×"),
  all("sum(bench_total)"),
  all(`rate(${THOUSAND}[5m])`, "≥ 2×"),
  { ...all(THOUSAND, "≥ 1.5×, goal 2.5×"), steps: 460 },
  // Prometheus needs 50 ms a step.
  { ...all("sum(bench_total - bench_total)", "≥ 3×"), steps: 24 },
  all(`${HUNDRED} / ${HUNDRED}`),
  all(`sum(${THOUSAND} and bench_total{series=~".*[0-4]."})`),
  all(`sum(${THOUSAND} unless bench_total{series=~".*[0-4]."})`),
  all(`sum(${THOUSAND} * on (instance, job) group_left () sum by (instance, job) (${THOUSAND}))`),
  short("histogram_quantile(0.9, sum by (le) (rate(bench_latency_bucket[5m])))", "≥ 3×"),
  short("histogram_quantile(0.9, sum by (le, job) (rate(bench_latency_bucket[5m])))"),
  all("topk(10, bench_total)", "≥ 2×"),
  all("quantile by (job) (0.9, bench_total)", "≥ 2×"),
  all('count_values("value", bench_total{path="/api/v1/resource/7"} % 4)'),
  all("avg without (instance) (bench_total)"),
  all("stddev by (job) (bench_total)"),
  all("max by (path) (max_over_time(bench_total[5m]))"),
  short(`sum(max_over_time(rate(${THOUSAND}[5m])[10m:1m]))`, "≥ 2×"),
  short(`sum(quantile_over_time(0.9, ${THOUSAND}[10m]))`),
  short(`sum(deriv(${THOUSAND}[10m]))`),
  short(`sum(changes(${THOUSAND}[1h]))`),
  short(`count(absent_over_time(${THOUSAND}[5m]) or vector(1))`),
  all(`-${HUNDRED}`),
  all(`abs(${HUNDRED})`),
  all(`label_replace(${HUNDRED}, "where", "$1", "instance", "(.*):.*")`),
  all(`label_join(${HUNDRED}, "where", "-", "job", "instance")`),
  instant("sum by (job) (bench_total)"),
  instant('count(bench_wide{id=~"pod-.*7.-4[0-9]"})', "≥ 2×"),
  instant("topk(10, bench_wide)"),
  instant("sum by (job) (bench_wide)"),
  native("sum(rate(bench_native[5m]))"),
  native("histogram_quantile(0.9, sum by (job) (rate(bench_native[5m])))"),
  native("histogram_quantile(0.9, rate(bench_native[5m]))"),
];

export const stepSeconds = STEP_MS / 1000;
