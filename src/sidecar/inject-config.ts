import { readFileSync } from "node:fs";
import { dirname, isAbsolute, join } from "node:path";
import { type Document, isMap, isScalar, isSeq, Pair, YAMLMap, YAMLSeq } from "yaml";
import { AppError, messageOf } from "../base/errors.ts";
import { expandFiles } from "../config/glob.ts";
import { keyOf, parseTree, printTree, textOf } from "../config/yaml-tree.ts";
import { movedFile } from "../config/service-account.ts";
import {
  ABSENT_PREFIX,
  ABSENT_TARGET_LABELS,
  ABSENT_VALUE,
  targetsFileName,
} from "./target-files.ts";

/**
 * The configuration that a Prometheus beside a sidecar runs: the operator's, but every job takes its targets from one
 * file that the sidecar writes. Discovery and relabelling are done centrally, so both leave the file; all else stays.
 *
 *     scrape_configs:                         scrape_configs:
 *     - job_name: node                        - job_name: node
 *       kubernetes_sd_configs: […]              file_sd_configs: [{files: [<targets>/node-….json]}]
 *       relabel_configs: […]           ──►      relabel_configs: [own rules, see `ownRules`]
 *       tls_config: {ca_file: ca.crt}           tls_config: {ca_file: /abs/ca.crt}
 *       sample_limit: 9                         sample_limit: 9
 */
export interface InjectOptions {
  /** How messages call the text. */
  readonly path: string;
  /** Absolute folder that the text's relative paths start from. */
  readonly baseFolder: string;
  /** Absolute folder of the targets' files. */
  readonly targetsFolder: string;
  /** Delivery through the proxy: what each job gets as `proxy_url`; "" leaves that as it is. Undefined: direct delivery. */
  readonly proxyUrl?: string | undefined;
  /** Stands in `external_labels` as `replica`; "" for none. */
  readonly replica?: string;
  /** Where the service account's `token` and `ca.crt` are instead of Kubernetes's usual place; "" for there. */
  readonly serviceAccountPath?: string;
  /** Direct delivery: the proxy that every scrape goes through; "" leaves each job its own. */
  readonly scrapeProxy?: string;
  /** Adds a job by which Prometheus scrapes itself, with these labels on its targets' file. */
  readonly selfMonitor?: boolean;
}

/** Kvass's name for the job by which the shards' own Prometheus servers are scraped. */
export const SELF_JOB = "prometheus_shards";

/** How often Prometheus looks at a targets' file in case a change went unseen. */
const REFRESH_INTERVAL = "30s";

/** Throws `bad-data` when the text or a file of `scrape_config_files` cannot be used. */
export function injectConfig(text: string, options: InjectOptions): string {
  if (options.targetsFolder.includes("*"))
    throw new AppError("bad-data", `cannot use ${options.targetsFolder}: its path has a "*"`);
  const document = parseTree(text, options.path);
  document.contents ??= new YAMLMap();
  const root = document.contents;
  if (!isMap(root))
    throw new AppError("bad-data", `cannot read ${options.path}: it is not a map at the top`);
  absolutePaths(root, options.baseFolder);
  const jobs = jobsOf(root);
  const included = includedJobs(root, options);
  if (included.length > 0) {
    root.delete("scrape_config_files");
    if (jobs === undefined) root.set("scrape_configs", listOf(included));
    else jobs.items.push(...included);
  } else root.delete("scrape_config_files");
  for (const job of jobs?.items ?? included) if (isMap(job)) injectJob(job, document, options);
  if (options.selfMonitor === true) addSelfJob(root, document, options);
  if (options.replica !== undefined && options.replica !== "")
    setReplica(root, document, options.replica);
  return printTree(document);
}

function setReplica(root: YAMLMap, document: Document, replica: string): void {
  const global = mapIn(root, "global");
  const labels = mapIn(global, "external_labels");
  labels.items = labels.items.filter((pair) => keyOf(pair) !== "replica");
  labels.items.push(new Pair(document.createNode("replica"), document.createNode(replica)));
}

/** The map under `key`, made when there is none. */
function mapIn(parent: YAMLMap, key: string): YAMLMap {
  const known = parent.get(key, true);
  if (isMap(known)) return known;
  const made = new YAMLMap();
  parent.set(key, made);
  return made;
}

/** Throws `bad-data` when the operator has a job of this name. */
function addSelfJob(root: YAMLMap, document: Document, options: InjectOptions): void {
  let jobs = jobsOf(root);
  if (jobs === undefined) root.set("scrape_configs", (jobs = listOf([])));
  const names = jobs.items.map((job) => (isMap(job) ? textOf(job.get("job_name", true)) : ""));
  if (names.includes(SELF_JOB))
    throw new AppError(
      "bad-data",
      `cannot add the job ${SELF_JOB}: ${options.path} has one; rename it or leave --shard.self-monitor out`,
    );
  const job = new YAMLMap();
  job.items.push(new Pair(document.createNode("job_name"), document.createNode(SELF_JOB)));
  setDiscovery(job, document, { job: SELF_JOB, targetsFolder: options.targetsFolder });
  jobs.items.push(job);
}

function jobsOf(root: YAMLMap): YAMLSeq | undefined {
  const jobs = root.get("scrape_configs", true);
  return isSeq(jobs) ? jobs : undefined;
}

/** The jobs of `scrape_config_files`, their paths made absolute from where each file stands. */
function includedJobs(root: YAMLMap, { path }: InjectOptions): YAMLMap[] {
  const patterns = root.get("scrape_config_files", true);
  if (!isSeq(patterns)) return [];
  const files = patterns.items.flatMap((pattern) => expandFiles(textOf(pattern) ?? ""));
  return files.flatMap((file) => {
    let text: string;
    try {
      text = readFileSync(file, "utf8");
    } catch (error) {
      throw new AppError("bad-data", `cannot read ${file} of ${path}: ${messageOf(error)}`);
    }
    const { contents } = parseTree(text, file);
    if (!isMap(contents)) return [];
    absolutePaths(contents, dirname(file));
    return (jobsOf(contents)?.items ?? []).filter(isMap);
  });
}

function injectJob(job: YAMLMap, document: Document, options: InjectOptions): void {
  const name = textOf(job.get("job_name", true)) ?? "";
  job.items = job.items.filter((pair) => !isReplaced(keyOf(pair)));
  const { proxyUrl, serviceAccountPath = "", scrapeProxy = "", targetsFolder } = options;
  if (serviceAccountPath !== "") moveServiceAccount(job, serviceAccountPath);
  const drop = (keys: ReadonlySet<string>): void => {
    job.items = job.items.filter((pair) => !keys.has(keyOf(pair)));
  };
  const setProxy = (url: string): void => {
    drop(PROXY_KEYS);
    job.items.push(new Pair(document.createNode("proxy_url"), document.createNode(url)));
  };
  if (proxyUrl === undefined && scrapeProxy !== "") setProxy(scrapeProxy);
  if (proxyUrl !== undefined) {
    // How the target is reached is the proxy's business now, and so are the secrets that this takes.
    drop(REACHING_KEYS);
    if (proxyUrl !== "") setProxy(proxyUrl);
  }
  setDiscovery(job, document, { job: name, targetsFolder });
}

/** Lets a job take its targets from the file that the sidecar writes for it. */
function setDiscovery(
  job: YAMLMap,
  document: Document,
  options: { readonly job: string; readonly targetsFolder: string },
): void {
  const folder = options.targetsFolder.replaceAll(/[[\]?\\]/g, "\\$&");
  const file = join(folder, targetsFileName(options.job));
  const set = (key: string, value: unknown): void => {
    job.items.push(new Pair(document.createNode(key), document.createNode(value)));
  };
  set("relabel_configs", ownRules());
  set("file_sd_configs", [{ files: [file], refresh_interval: REFRESH_INTERVAL }]);
}

/** How a job reaches its targets. */
const REACHING_KEYS = new Set([
  "scheme",
  "basic_auth",
  "authorization",
  "bearer_token",
  "bearer_token_file",
  "oauth2",
  "tls_config",
  "http_headers",
]);
const PROXY_KEYS = new Set([
  "proxy_url",
  "no_proxy",
  "proxy_from_environment",
  "proxy_connect_header",
]);

/** The job's CA and token files, where they are the service account's. */
function moveServiceAccount(job: YAMLMap, path: string): void {
  const move = (map: unknown, key: string): void => {
    const file = isMap(map) ? map.get(key, true) : undefined;
    if (isScalar(file) && typeof file.value === "string") file.value = movedFile(file.value, path);
  };
  move(job, "bearer_token_file");
  move(job.get("authorization", true), "credentials_file");
  move(job.get("tls_config", true), "ca_file");
}

/** Every way to find targets, those of later versions too, and what was done with them. */
function isReplaced(key: string): boolean {
  return key === "static_configs" || key === "relabel_configs" || key.endsWith("_sd_configs");
}

/**
 * Prometheus gives a target that lacks `job` or `__metrics_path__` the job's default. Where relabelling has removed one
 * the target must stay without, so its file says so.
 */
function ownRules(): unknown[] {
  return ABSENT_TARGET_LABELS.map((label) => ({
    source_labels: [`${ABSENT_PREFIX}${label}`],
    regex: ABSENT_VALUE,
    target_label: label,
    replacement: "",
    action: "replace",
  }));
}

/** Maps whose keys are the operator's own names, never settings. */
const FREE_MAPS = new Set([
  "external_labels",
  "labels",
  "params",
  "endpoint_params",
  "headers",
  "proxy_connect_header",
  "node_meta",
]);

/** Makes relative paths absolute, because the generated file stands elsewhere. */
function absolutePaths(map: YAMLMap, folder: string): void {
  for (const pair of map.items) {
    const key = keyOf(pair);
    const { value } = pair;
    if (FREE_MAPS.has(key)) continue;
    if (isPathKey(key)) makeAbsolute(value, folder);
    for (const each of isSeq(value) ? value.items : [value])
      if (isMap(each)) absolutePaths(each, folder);
  }
}

/** What the keys that name files have in common, those of later versions too. */
function isPathKey(key: string): boolean {
  return (
    key.endsWith("_file") ||
    key === "files" ||
    key === "rule_files" ||
    key === "scrape_config_files"
  );
}

function makeAbsolute(value: unknown, folder: string): void {
  for (const each of isSeq(value) ? value.items : [value]) {
    if (!isScalar(each) || typeof each.value !== "string") continue;
    if (each.value !== "" && !isAbsolute(each.value)) each.value = join(folder, each.value);
  }
}

function listOf(items: readonly YAMLMap[]): YAMLSeq {
  const list = new YAMLSeq();
  list.items.push(...items);
  return list;
}
