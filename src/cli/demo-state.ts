import { readdir, readFile } from "node:fs/promises";
import { AppError, messageOf } from "../base/errors.ts";

/** What the demonstration reads from the running system, through the same HTTP API that users have. */
export interface DemoShard {
  readonly id: string;
  readonly state: string;
  readonly targets: number;
  readonly inTransfer: number;
  readonly headSeries: number;
  readonly pid: number;
  readonly rssBytes: number;
  /** `host:port` of its control API. */
  readonly http: string;
}

export interface DemoTarget {
  readonly url: string;
  readonly health: string;
  readonly shards: readonly string[];
  readonly series: number;
}

/** A query over all series of the demonstration takes a while on a machine that is at its limit. */
const TIMEOUT_MS = 60_000;

export async function readShards(url: string): Promise<DemoShard[]> {
  return list(await getData(`${url}/api/v1/shards`), "shards").map((shard) => ({
    id: String(shard["id"]),
    state: String(shard["state"]),
    targets: Number(shard["targets"]),
    inTransfer: Number(shard["inTransfer"]),
    headSeries: Number(shard["headSeries"]),
    pid: Number(shard["pid"]),
    rssBytes: Number(shard["rssBytes"]),
    http: String(shard["http"]),
  }));
}

export async function readTargets(url: string): Promise<DemoTarget[]> {
  const data = await getData(`${url}/api/v1/targets?state=active`);
  return list(data, "activeTargets").map((target) => ({
    url: String(target["scrapeUrl"]),
    health: String(target["health"]),
    shards: Array.isArray(target["shards"]) ? target["shards"].map(String) : [],
    series: Number(target["series"]),
  }));
}

/** What Prometheus beside a sidecar says it is; it answers for itself through the sidecar. */
export async function readVersion(shard: DemoShard): Promise<string> {
  const data = await getData(`http://${shard.http}/api/v1/status/buildinfo`);
  return String(data["version"]);
}

/** The number that `query` yields now; NaN when it yields nothing. */
export async function queryNumber(url: string, query: string): Promise<number> {
  const data = await getData(`${url}/api/v1/query?query=${encodeURIComponent(query)}`);
  const value = list(data, "result")[0]?.["value"];
  return Array.isArray(value) ? Number(value[1]) : NaN;
}

/** Resident memory of this process's children, by process number. */
export async function childrenRss(): Promise<Map<number, number>> {
  const rss = new Map<number, number>();
  for (const pid of await readdir("/proc").catch(() => [])) {
    if (!/^\d+$/.test(pid)) continue;
    const status = await readFile(`/proc/${pid}/status`, "utf8").catch(() => "");
    if (Number(/^PPid:\s+(\d+)/m.exec(status)?.[1]) !== process.pid) continue;
    rss.set(Number(pid), Number(/^VmRSS:\s+(\d+)/m.exec(status)?.[1] ?? 0) * 1024);
  }
  return rss;
}

type Json = Readonly<Record<string, unknown>>;

async function getData(url: string): Promise<Json> {
  let text: string;
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(TIMEOUT_MS) });
    text = await response.text();
  } catch (error) {
    throw new AppError("unavailable", `cannot read ${url}: ${messageOf(error)}`);
  }
  const answer: unknown = JSON.parse(text);
  const fields = recordOf(answer);
  if (fields["status"] !== "success")
    throw new AppError("unavailable", `cannot read ${url}: ${String(fields["error"])}`);
  return recordOf(fields["data"]);
}

function recordOf(value: unknown): Json {
  return typeof value === "object" && value !== null ? (value as Json) : {};
}

function list(data: Json, name: string): Json[] {
  const found = data[name];
  return Array.isArray(found) ? found.map(recordOf) : [];
}
