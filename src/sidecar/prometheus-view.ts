import { AppError } from "../base/errors.ts";
import { fieldOf } from "../base/field.ts";
import { Labels, METRIC_NAME } from "../model/labels.ts";
import type { TargetHealth } from "../model/target.ts";
import type { PrometheusClient } from "./prometheus-client.ts";
import { HASH_LABEL } from "./target-files.ts";

/** How Prometheus scrapes one of the sidecar's targets. */
export interface ScrapeView {
  readonly health: TargetHealth;
  readonly lastError: string;
  /** 0 before the first scrape. */
  readonly lastScrapeMs: number;
  readonly lastDurationMs: number;
  /** Undefined while Prometheus has stored no sample about it. */
  readonly seriesScraped: number | undefined;
  readonly seriesPostRelabel: number | undefined;
  readonly seriesAdded: number | undefined;
}

export interface PrometheusView {
  /** By target hash. */
  readonly targets: ReadonlyMap<string, ScrapeView>;
  /** Series in the head, those that targets have left behind included. */
  readonly headSeries: number;
}

const SCRAPED = "scrape_samples_scraped";
const POST_RELABEL = "scrape_samples_post_metric_relabeling";
const ADDED = "scrape_series_added";

/** Asks Prometheus how it is doing. Rejects when it does not answer or is not ready. */
export async function viewPrometheus(client: PrometheusClient): Promise<PrometheusView> {
  const query = `{__name__=~"${SCRAPED}|${POST_RELABEL}|${ADDED}"}`;
  const [targets, headSeries, samples] = await Promise.all([
    client.ask("/api/v1/targets", { parameters: new URLSearchParams({ state: "active" }) }),
    viewHead(client),
    client.ask("/api/v1/query", { parameters: new URLSearchParams({ query }) }),
  ]);
  return { targets: targetViews(targets, loadsOf(samples)), headSeries };
}

/** The series in its head. Rejects when Prometheus does not answer or is not ready. */
export async function viewHead(client: PrometheusClient): Promise<number> {
  const path = "/api/v1/status/tsdb";
  const status = await client.ask(path, { parameters: new URLSearchParams({ limit: "1" }) });
  const headSeries = fieldOf(fieldOf(status, "headStats"), "numSeries");
  if (typeof headSeries !== "number") throw unexpected(path);
  return headSeries;
}

interface Loads {
  scraped?: number;
  postRelabel?: number;
  added?: number;
}

/** The load samples by the labels of their target. */
function loadsOf(data: unknown): Map<string, Loads> {
  const loads = new Map<string, Loads>();
  for (const sample of listOf(fieldOf(data, "result"), "/api/v1/query")) {
    const labels = labelsOf(fieldOf(sample, "metric"));
    const value = fieldOf(sample, "value");
    const number = Number(Array.isArray(value) ? value[1] : undefined);
    if (!Number.isFinite(number)) continue;
    const key = labels.without([METRIC_NAME]).key();
    let entry = loads.get(key);
    if (entry === undefined) loads.set(key, (entry = {}));
    const name = labels.get(METRIC_NAME);
    if (name === SCRAPED) entry.scraped = number;
    else if (name === POST_RELABEL) entry.postRelabel = number;
    else entry.added = number;
  }
  return loads;
}

function targetViews(data: unknown, loads: ReadonlyMap<string, Loads>): Map<string, ScrapeView> {
  const views = new Map<string, ScrapeView>();
  for (const target of listOf(fieldOf(data, "activeTargets"), "/api/v1/targets")) {
    const hash = fieldOf(fieldOf(target, "discoveredLabels"), HASH_LABEL);
    if (typeof hash !== "string") continue;
    const health = fieldOf(target, "health");
    const lastError = fieldOf(target, "lastError");
    const load = loads.get(labelsOf(fieldOf(target, "labels")).key());
    views.set(hash, {
      health: health === "up" || health === "down" ? health : "unknown",
      lastError: typeof lastError === "string" ? lastError : "",
      lastScrapeMs: timeOf(fieldOf(target, "lastScrape")),
      lastDurationMs: Number(fieldOf(target, "lastScrapeDuration") ?? 0) * 1000,
      seriesScraped: load?.scraped,
      seriesPostRelabel: load?.postRelabel,
      seriesAdded: load?.added,
    });
  }
  return views;
}

/** Whether Prometheus runs, since `sinceMs` or later, the configuration that its file then had. */
export async function hasLoadedSince(client: PrometheusClient, sinceMs: number): Promise<boolean> {
  const info = await client.ask("/api/v1/status/runtimeinfo");
  // It tells whole seconds, rounded down; a reload too many does no harm.
  return (
    fieldOf(info, "reloadConfigSuccess") === true &&
    timeOf(fieldOf(info, "lastConfigTime")) >= sinceMs
  );
}

function timeOf(value: unknown): number {
  if (typeof value !== "string" || value.startsWith("0001-")) return 0;
  const timeMs = Date.parse(value);
  return Number.isNaN(timeMs) ? 0 : timeMs;
}

function labelsOf(value: unknown): Labels {
  if (typeof value !== "object" || value === null) return Labels.EMPTY;
  return Labels.fromPairs(Object.entries(value).map(([name, text]) => [name, String(text)]));
}

function listOf(value: unknown, path: string): readonly unknown[] {
  if (!Array.isArray(value)) throw unexpected(path);
  return value;
}

function unexpected(path: string): AppError {
  return new AppError("unavailable", `cannot read Prometheus's answer to ${path}`);
}
