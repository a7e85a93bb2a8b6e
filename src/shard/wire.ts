import { AppError } from "../base/errors.ts";
import { Labels } from "../model/labels.ts";
import type { Target, TargetHealth } from "../model/target.ts";
import { isBare } from "./bare-target.ts";
import { finiteLoad, type Load } from "./load.ts";
import type { AssignmentState } from "./plan-types.ts";

/**
 * What coordinator and shard say to each other, as JSON over HTTP (docs/shard-api.md). Paths and the fields with
 * Kvass's names and spelling are Kvass's v0.3.2; the others are ours and are left out by a Kvass sidecar. Hashes are
 * decimal text, because they exceed 2^53.
 */

/** One entry of a shard's target list. */
export interface AssignedTarget {
  /** May be bare (bare-target.ts). */
  readonly target: Target;
  readonly state: AssignmentState;
  readonly assignedAtMs: number;
  /** What it was placed with; reported until the shard has measured. */
  readonly load: Load;
}

/** How one target is doing on a shard. */
export interface TargetStatus {
  readonly state: AssignmentState;
  readonly assignedAtMs: number;
  readonly load: Load;
  readonly health: TargetHealth;
  /** "" when the last scrape went well. */
  readonly lastError: string;
  /** Start of the last scrape, ms; 0 before the first. */
  readonly lastScrapeMs: number;
  readonly lastScrapeDurationMs: number;
  /** Scrapes since the target was given to this shard. */
  readonly scrapes: number;
  readonly goodScrapes: number;
}

export interface ShardRuntime {
  /** The shard's own name, such as `shard-0`; "" from a Kvass sidecar. */
  readonly id: string;
  readonly headSeries: number;
  readonly processSeries: number;
  /** Of the configuration it runs, as the coordinator named it; "" for none. */
  readonly configHash: string;
  readonly idleSinceMs: number | undefined;
  readonly pid: number;
  /** Resident memory. */
  readonly rssBytes: number;
  readonly startedAtMs: number;
  /** Where its StoreAPI listens, `host:port`; "" for none. */
  readonly grpcAddress: string;
  /** The latest coordinator's that it has heard of; 0 for none. */
  readonly epoch: number;
  /**
   * Until when the shard alone has samples that are wanted, ms: the newest one's time plus the retention; 0 without
   * samples, undefined when it does not know.
   */
  readonly dataUntilMs?: number | undefined;
  /** Why scraping is switched off by hand (`stopScrapeReason`); "" when it is not. */
  readonly stopReason: string;
  /** What the shard remembers of a coordinator's order; undefined when none has come. */
  readonly stopOrder?: StopOrder | undefined;
  /** Why it cannot store what it scrapes, such as a full disk; "" or undefined when it can. */
  readonly storageError?: string | undefined;
  /** The operator wants it to be empty: it keeps the mark for its coordinators. Undefined where that is not kept. */
  readonly draining?: boolean | undefined;
  /** A sidecar's: how the Prometheus beside it is. */
  readonly prometheusState?: "ready" | "reload-failed" | undefined;
  /** A sidecar's: how often Prometheus has started again. */
  readonly prometheusRestarts?: number | undefined;
  /** A sidecar's: how often its own Prometheus was killed because memory had run out. */
  readonly prometheusOutOfMemory?: number | undefined;
  /** A sidecar's: start of the last scrape that went well, ms; 0 for none. */
  readonly lastGoodScrapeMs?: number | undefined;
}

/** What a coordinator has last said about the emergency switch of all shards. */
export interface StopOrder {
  /** While there is one nothing is scraped; "" scrapes again. */
  readonly reason: string;
  /** When it was said, ms: of two orders the later one counts. */
  readonly sinceMs: number;
}

/** The request header that carries the coordinator's epoch; a Kvass sidecar ignores it. */
export const EPOCH_HEADER = "x-shoal-epoch";

/** The epoch of a request, from the header's value; undefined without one. */
export function parseEpoch(value: unknown): number | undefined {
  if (value === undefined) return undefined;
  if (typeof value !== "string" || !/^\d{1,15}$/.test(value))
    throw wrong(`header ${EPOCH_HEADER}`, "a whole number");
  return Number(value);
}

/** A configuration on its way to a shard. */
export interface PushedConfig {
  /** The raw prometheus.yml. */
  readonly rawContent: string;
  /** Absolute folder that relative paths in it start from. */
  readonly baseFolder: string;
  /** Changes whenever the text or a file it includes does. */
  readonly hash: string;
}

type Json = Readonly<Record<string, unknown>>;

export function encodeAssignment(list: readonly AssignedTarget[]): unknown {
  const jobs = new Map<string, unknown[]>();
  for (const { target, state, assignedAtMs, load } of list) {
    const entry = {
      hash: target.hash,
      labels: target.allLabels,
      ...(!isBare(target) && {
        discoveredLabels: target.discoveredLabels,
        url: target.url,
        intervalMs: target.intervalMs,
        timeoutMs: target.timeoutMs,
        ...(target.refusal !== undefined && { refusal: target.refusal }),
      }),
      ...encodeLoad(load),
      TargetState: state === "normal" ? "" : state,
      assignedAtMs,
    };
    const known = jobs.get(target.job);
    if (known === undefined) jobs.set(target.job, [entry]);
    else known.push(entry);
  }
  return { Targets: nullPrototype(jobs) };
}

/** Throws `bad-data` with the path of what is wrong. */
export function decodeAssignment(value: unknown): AssignedTarget[] {
  const body = recordOf(value, "body");
  const jobs = recordOf(body["Targets"] ?? body["targets"] ?? {}, "Targets");
  return Object.entries(jobs).flatMap(([job, entries]) =>
    arrayOf(entries, `Targets.${job}`).map((entry, i) =>
      decodeEntry(job, entry, `Targets.${job}[${i}]`),
    ),
  );
}

/** What differs between a shard's list and the one it is to have. */
export interface ListChanges {
  /** The shard's name of the list that they are to be made to. */
  readonly base: string;
  /** Targets that are new, or other than before. */
  readonly set: readonly AssignedTarget[];
  /** Hashes of those that are to leave. */
  readonly gone: readonly string[];
}

export function encodeChanges({ base, set, gone }: ListChanges): unknown {
  return { base, gone, ...(encodeAssignment(set) as object) };
}

/** Throws `bad-data` with the path of what is wrong. */
export function decodeChanges(value: unknown): ListChanges {
  const body = recordOf(value, "body");
  const gone = arrayOf(body["gone"] ?? [], "gone").map((hash, i) => textOf(hash, `gone[${i}]`));
  return { base: textOf(body["base"], "base"), set: decodeAssignment(value), gone };
}

function decodeEntry(job: string, value: unknown, path: string): AssignedTarget {
  const entry = recordOf(value, path);
  const hash = textOf(entry["hash"], `${path}.hash`);
  if (!/^\d{1,20}$/.test(hash)) throw wrong(`${path}.hash`, "a 64-bit number as decimal text");
  const allLabels = labelsOf(entry["labels"], `${path}.labels`);
  // A Kvass coordinator leaves the rest to the sidecar: the target is bare then.
  const { url = "", intervalMs = 0, timeoutMs = 0 } = entry;
  return {
    target: {
      hash,
      job,
      allLabels,
      labels: allLabels.withoutHidden(),
      discoveredLabels: labelsOf(entry["discoveredLabels"] ?? {}, `${path}.discoveredLabels`),
      url: textOf(url, `${path}.url`),
      intervalMs: numberOf(intervalMs, `${path}.intervalMs`),
      timeoutMs: numberOf(timeoutMs, `${path}.timeoutMs`),
      ...(entry["refusal"] !== undefined && {
        refusal: textOf(entry["refusal"], `${path}.refusal`),
      }),
    },
    state: stateOf(entry["TargetState"]),
    assignedAtMs: numberOf(entry["assignedAtMs"] ?? 0, `${path}.assignedAtMs`),
    load: loadOf(entry),
  };
}

export function encodeStatus(statuses: ReadonlyMap<string, TargetStatus>): unknown {
  const entries = new Map<string, unknown>();
  for (const [hash, status] of statuses)
    entries.set(hash, {
      lastError: status.lastError,
      lastScrape: timeText(status.lastScrapeMs),
      lastScrapeDuration: status.lastScrapeDurationMs / 1000,
      health: status.health,
      ...encodeLoad(status.load),
      TargetState: status.state === "normal" ? "" : status.state,
      ScrapeTimes: status.scrapes,
      goodScrapes: status.goodScrapes,
      assignedAtMs: status.assignedAtMs,
    });
  return nullPrototype(entries);
}

export function decodeStatus(value: unknown): Map<string, TargetStatus> {
  const statuses = new Map<string, TargetStatus>();
  for (const [hash, each] of Object.entries(recordOf(value, "status"))) {
    const entry = recordOf(each, hash);
    const health =
      entry["health"] === "up" || entry["health"] === "down" ? entry["health"] : "unknown";
    const scrapes = numberOf(entry["ScrapeTimes"] ?? 0, `${hash}.ScrapeTimes`);
    statuses.set(hash, {
      state: stateOf(entry["TargetState"]),
      assignedAtMs: numberOf(entry["assignedAtMs"] ?? 0, `${hash}.assignedAtMs`),
      load: loadOf(entry),
      health,
      lastError: typeof entry["lastError"] === "string" ? entry["lastError"] : "",
      lastScrapeMs: timeOf(entry["lastScrape"]) ?? 0,
      lastScrapeDurationMs: numberOf(entry["lastScrapeDuration"] ?? 0, hash) * 1000,
      scrapes,
      // A Kvass sidecar does not count good scrapes apart: healthy now means all of them were.
      goodScrapes: numberOf(entry["goodScrapes"] ?? (health === "up" ? scrapes : 0), hash),
    });
  }
  return statuses;
}

export function encodeRuntime(runtime: ShardRuntime): unknown {
  const { idleSinceMs, configHash, ...rest } = runtime;
  return {
    ...rest,
    ConfigHash: configHash,
    ...(idleSinceMs !== undefined && { IdleStartAt: timeText(idleSinceMs) }),
  };
}

export function decodeRuntime(value: unknown): ShardRuntime {
  const body = recordOf(value, "runtimeinfo");
  const number = (name: string): number => numberOf(body[name] ?? 0, name);
  const text = (name: string): string => (typeof body[name] === "string" ? body[name] : "");
  return {
    id: text("id"),
    headSeries: number("headSeries"),
    processSeries: number("processSeries"),
    configHash: text("ConfigHash"),
    idleSinceMs: timeOf(body["IdleStartAt"]),
    pid: number("pid"),
    rssBytes: number("rssBytes"),
    startedAtMs: number("startedAtMs"),
    grpcAddress: text("grpcAddress"),
    epoch: number("epoch"),
    ...(typeof body["dataUntilMs"] === "number" && { dataUntilMs: number("dataUntilMs") }),
    stopReason: text("stopReason"),
    ...(text("storageError") !== "" && { storageError: text("storageError") }),
    ...(body["stopOrder"] !== undefined && { stopOrder: stopOrderOf(body["stopOrder"]) }),
    ...(typeof body["draining"] === "boolean" && { draining: body["draining"] }),
    ...prometheusOf(body),
  };
}

function stopOrderOf(value: unknown): StopOrder {
  const { reason, sinceMs } = recordOf(value, "stopOrder");
  return {
    reason: textOf(reason, "stopOrder.reason"),
    sinceMs: numberOf(sinceMs, "stopOrder.sinceMs"),
  };
}

/** Longest text of a reason to stop. */
export const STOP_REASON_MAX_CHARACTERS = 1_000;

/** The body of `POST …/extra_config`: a coordinator's order, or without a time one for this shard alone. */
export function decodeStop(value: unknown): { reason: string; sinceMs: number | undefined } {
  const { stopScrapeReason, sinceMs } = recordOf(value, "body");
  const reason = textOf(stopScrapeReason, "stopScrapeReason");
  if (reason.length > STOP_REASON_MAX_CHARACTERS)
    throw wrong("stopScrapeReason", `text of at most ${STOP_REASON_MAX_CHARACTERS} characters`);
  return {
    reason,
    sinceMs: sinceMs === undefined ? undefined : numberOf(sinceMs, "sinceMs"),
  };
}

/** The answer of `GET …/extra_config`: Kvass has JSON inside of JSON there. */
export function encodeStop(reason: string): { readonly json: string } {
  return { json: JSON.stringify({ stopScrapeReason: reason }) };
}

/** The reason in such an answer; "" when there is none. */
export function stopReasonOf(answer: unknown): string {
  const { json } = recordOf(answer, "extra_config");
  const { stopScrapeReason = "" } = recordOf(parseJson(textOf(json, "json")), "json");
  return textOf(stopScrapeReason, "stopScrapeReason");
}

/** The text in an answer of `GET …/status/config`. */
export function configTextOf(answer: unknown): string {
  return textOf(recordOf(answer, "config")["yaml"], "yaml");
}

/** What only a sidecar tells. */
function prometheusOf(body: Json): Partial<ShardRuntime> {
  const state = body["prometheusState"];
  if (state !== "ready" && state !== "reload-failed") return {};
  const number = (name: string): number => numberOf(body[name] ?? 0, name);
  return {
    prometheusState: state,
    prometheusRestarts: number("prometheusRestarts"),
    prometheusOutOfMemory: number("prometheusOutOfMemory"),
    lastGoodScrapeMs: number("lastGoodScrapeMs"),
  };
}

/** `{"draining": true}`, as posted. */
export function decodeDraining(value: unknown): boolean {
  const { draining } = recordOf(value, "body");
  if (typeof draining !== "boolean") throw wrong("draining", "true or false");
  return draining;
}

export function decodeConfig(value: unknown): PushedConfig {
  const body = recordOf(value, "body");
  return {
    rawContent: textOf(body["rawContent"], "rawContent"),
    baseFolder: textOf(body["baseFolder"] ?? "", "baseFolder"),
    hash: textOf(body["hash"] ?? "", "hash"),
  };
}

/**
 * Go writes and reads target hashes as bare numbers of 64 bits, more than a JavaScript number holds, so they change
 * between number and text while all is text. Within JSON strings quotes stand after a backslash, so only keys match.
 */
const HASH_NAME = /"hash"/i;
const BARE_HASH = /(?<!\\)("hash"\s*:\s*)(\d+)/gi;
/** What an entry of a target list begins with; a label that is called `hash` does not look like this. */
const TEXT_HASH = /\{"hash":"(0|[1-9]\d{0,19})","labels":\{/g;

/** Parses JSON of a peer or a client, hashes as text; throws `bad-data`. */
export function parseJson(text: string): unknown {
  try {
    // Fast path: a shard's statuses have no field of that name, and are long.
    return JSON.parse(HASH_NAME.test(text) ? text.replaceAll(BARE_HASH, '$1"$2"') : text);
  } catch (error) {
    throw new AppError("bad-data", "cannot read the body: it is not JSON", { cause: error });
  }
}

/** JSON as every peer reads it, hashes as bare numbers. */
export function printJson(value: unknown): string {
  return JSON.stringify(value).replaceAll(TEXT_HASH, '{"hash":$1,"labels":{');
}

/** RFC 3339; Go's zero time for 0. */
export function timeText(timeMs: number): string {
  return timeMs === 0 ? "0001-01-01T00:00:00Z" : new Date(timeMs).toISOString();
}

function timeOf(value: unknown): number | undefined {
  if (typeof value !== "string" || value.startsWith("0001-")) return undefined;
  const timeMs = Date.parse(value);
  return Number.isNaN(timeMs) ? undefined : timeMs;
}

/** A load under the names that targets and statuses have. */
export type EncodedLoad = Omit<Load, "rawSeries"> & { readonly totalSeries: number };

export function encodeLoad({ rawSeries, ...rest }: Load): EncodedLoad {
  return { ...rest, totalSeries: rawSeries };
}

/** A Kvass sidecar knows the two counts of series alone. */
function loadOf(entry: Json): Load {
  return finiteLoad({
    series: entry["series"],
    rawSeries: entry["totalSeries"],
    samplesPerSecond: entry["samplesPerSecond"],
    bodyBytesPerSecond: entry["bodyBytesPerSecond"],
    newSeriesPerHour: entry["newSeriesPerHour"],
  });
}

function stateOf(value: unknown): AssignmentState {
  return value === "in_transfer" ? "in_transfer" : "normal";
}

function labelsOf(value: unknown, path: string): Labels {
  const pairs = Object.entries(recordOf(value, path));
  return Labels.fromPairs(pairs.map(([name, text]) => [name, textOf(text, `${path}.${name}`)]));
}

function recordOf(value: unknown, path: string): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value))
    throw wrong(path, "an object");
  return value as Json;
}

function arrayOf(value: unknown, path: string): readonly unknown[] {
  // Go writes an empty list as null.
  if (value === null) return [];
  if (!Array.isArray(value)) throw wrong(path, "a list");
  return value;
}

function textOf(value: unknown, path: string): string {
  if (typeof value !== "string") throw wrong(path, "text");
  return value;
}

function numberOf(value: unknown, path: string): number {
  if (typeof value !== "number" || !Number.isFinite(value) || value < 0)
    throw wrong(path, "a number of at least 0");
  return value;
}

function wrong(path: string, wanted: string): AppError {
  return new AppError("bad-data", `cannot read ${path}: it must be ${wanted}`);
}

/** Job and label names such as `__proto__` are legal keys. */
function nullPrototype(entries: ReadonlyMap<string, unknown>): Record<string, unknown> {
  const object = Object.create(null) as Record<string, unknown>;
  for (const [name, value] of entries) object[name] = value;
  return object;
}
