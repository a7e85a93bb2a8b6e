import { AppError } from "../base/errors.ts";
import { compareText, quote } from "../base/text.ts";
import { formatDuration, parseDuration } from "../base/units.ts";
import { encodeQuery, formatUrl } from "./go-url.ts";
import { LabelBuilder } from "./label-builder.ts";
import { Labels } from "./labels.ts";
import type { RelabelConfig } from "./relabel-config.ts";
import { createRelabeler, type NameValidation, type Relabeler } from "./relabel.ts";
import { hashTarget } from "./target-hash.ts";
import type { VolatileLabels } from "./target-identity.ts";
import type { DroppedTarget, Target } from "./target.ts";

const ADDRESS = "__address__";
const SCHEME = "__scheme__";
const METRICS_PATH = "__metrics_path__";
const SCRAPE_INTERVAL = "__scrape_interval__";
const SCRAPE_TIMEOUT = "__scrape_timeout__";
const PARAM_PREFIX = "__param_";
/** A job's switches for histograms, which relabelling may set for one target; since Prometheus 3.13. */
const HISTOGRAM_SWITCHES = [
  ["__convert_classic_histograms_to_nhcb__", "convert classic histograms to nhcb"],
  ["__always_scrape_classic_histograms__", "always scrape classic histograms"],
  ["__scrape_native_histograms__", "scrape native histograms"],
] as const;
const META_PREFIX = "__meta_";

/** What of a scrape job shapes its targets; `ScrapeConfig` has it all. */
export interface TargetOptions {
  readonly jobName: string;
  readonly scrapeIntervalMs: number;
  readonly scrapeTimeoutMs: number;
  readonly metricsPath: string;
  readonly scheme: string;
  readonly params: Readonly<Record<string, readonly string[]>>;
  readonly convertClassicHistogramsToNhcb: boolean;
  readonly alwaysScrapeClassicHistograms: boolean;
  readonly scrapeNativeHistograms: boolean;
  readonly relabelConfigs: readonly RelabelConfig[];
  readonly metricNameValidationScheme: NameValidation;
}

/** As Go reads them. */
const IS_BOOLEAN = /^(1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$/;

export type TargetResult =
  | { readonly kind: "target"; readonly target: Target }
  | { readonly kind: "dropped"; readonly target: DroppedTarget }
  /** Why this one cannot be a target, in Prometheus's words; the rest of its group is not concerned. */
  | { readonly kind: "error"; readonly message: string };

export type DiscoveredLabels = Readonly<Record<string, string>>;

/**
 * Turns what discovery found into targets, for one job. Keep one builder for a job: it remembers what the relabelling
 * rules made of values.
 */
export class TargetBuilder {
  readonly #options: TargetOptions;
  readonly #defaults: Labels;
  readonly #relabeler: Relabeler;
  readonly #builder = new LabelBuilder();
  readonly #volatile: VolatileLabels | undefined;
  #group: DiscoveredLabels = {};
  #groupBase: Labels;
  readonly #groupNames = new SortedLabels();
  readonly #targetNames = new SortedLabels();

  /** The hashes of targets that differ in `volatile` labels only are the same. */
  constructor(options: TargetOptions, volatile?: VolatileLabels) {
    this.#options = options;
    this.#volatile = volatile;
    this.#defaults = defaultLabels(options);
    this.#groupBase = this.#defaults;
    this.#relabeler = createRelabeler(options.relabelConfigs, {
      nameValidation: options.metricNameValidationScheme,
    });
  }

  /** One target from its own labels and those of its group; its own win. */
  build(targetLabels: DiscoveredLabels, groupLabels: DiscoveredLabels = {}): TargetResult {
    const builder = this.#builder;
    this.#discover(targetLabels, groupLabels);
    const found = { targetLabels, groupLabels, by: this };
    const { jobName } = this.#options;
    if (!this.#relabeler.apply(builder))
      return { kind: "dropped", target: new FoundTarget(jobName, found) };
    const times = this.#checkTarget();
    if (typeof times === "string") return { kind: "error", message: times };
    const wrongSwitch = this.#wrongSwitch();
    if (wrongSwitch !== undefined) return { kind: "error", message: wrongSwitch };
    builder.deleteWhere((name) => name.startsWith(META_PREFIX));
    if (builder.get("instance") === "") builder.set("instance", builder.get(ADDRESS));
    const allLabels = builder.labels();
    const invalid = invalidValue(allLabels);
    if (invalid !== undefined) return { kind: "error", message: invalid };
    const url = targetUrl(allLabels, this.#options.params);
    const rest = { hash: this.#hash(allLabels, url), allLabels, url, ...times };
    return { kind: "target", target: new BuiltTarget(jobName, found, rest) };
  }

  /** The labels before relabelling of a target with these labels. */
  discovered(targetLabels: DiscoveredLabels, groupLabels: DiscoveredLabels): Labels {
    this.#discover(targetLabels, groupLabels);
    return this.#builder.labels();
  }

  /** Prometheus's, of the target without its volatile labels, which then are not in the URL either. */
  #hash(allLabels: Labels, url: string): string {
    const names = this.#volatile?.namesIn(allLabels) ?? [];
    if (names.length === 0) return hashTarget(allLabels, url);
    const steady = allLabels.without(names);
    const params = Object.entries(this.#options.params).filter(
      ([name]) => !names.includes(PARAM_PREFIX + name),
    );
    return hashTarget(steady, targetUrl(steady, Object.fromEntries(params)));
  }

  /** The target's interval and timeout, or what is wrong with it. */
  #checkTarget(): { intervalMs: number; timeoutMs: number } | string {
    const labels = this.#builder;
    const address = labels.get(ADDRESS);
    if (address === "") return "no address";
    if (address.includes("/")) return `${quote(address)} is not a valid hostname`;
    const interval = labels.get(SCRAPE_INTERVAL);
    const timeout = labels.get(SCRAPE_TIMEOUT);
    const { scrapeIntervalMs, scrapeTimeoutMs } = this.#options;
    // Fast path: nearly every target keeps the job's times, whose text need not be parsed again.
    if (
      interval === this.#defaults.get(SCRAPE_INTERVAL) &&
      timeout === this.#defaults.get(SCRAPE_TIMEOUT) &&
      scrapeTimeoutMs <= scrapeIntervalMs
    )
      return { intervalMs: scrapeIntervalMs, timeoutMs: scrapeTimeoutMs };
    const intervalMs = parseTime(interval, "interval");
    if (typeof intervalMs === "string") return intervalMs;
    const timeoutMs = parseTime(timeout, "timeout");
    if (typeof timeoutMs === "string") return timeoutMs;
    if (timeoutMs > intervalMs)
      return `scrape timeout cannot be greater than scrape interval (${quote(timeout)} > ${quote(interval)})`;
    return { intervalMs, timeoutMs };
  }

  /** What is wrong with a switch for histograms; one that relabelling removed is as the job has it. */
  #wrongSwitch(): string | undefined {
    for (const [name, what] of HISTOGRAM_SWITCHES) {
      const value = this.#builder.get(name);
      if (value !== "" && !IS_BOOLEAN.test(value))
        return `error parsing ${what}: strconv.ParseBool: parsing ${quote(value)}: invalid syntax`;
    }
    return undefined;
  }

  /** Fills the builder with the labels before relabelling: the target's, else its group's, else the job's. */
  #discover(targetLabels: DiscoveredLabels, groupLabels: DiscoveredLabels): void {
    const builder = this.#builder;
    // The targets of a group come one after the other, so the labels they share are put together once.
    if (groupLabels !== this.#group) {
      // An empty value is as none.
      builder.resetMerged(this.#defaults, this.#groupNames.of(groupLabels, this.#defaults));
      this.#group = groupLabels;
      this.#groupBase = builder.labels();
    }
    // An empty value hides the group's, and then the job's default applies.
    builder.resetMerged(this.#groupBase, this.#targetNames.of(targetLabels, this.#defaults));
  }
}

/** Sorts the labels of an object by name. Those of one mechanism mostly have the same names: then the last order holds. */
class SortedLabels {
  /** Names as the last object had them, and in order. */
  #names: readonly string[] = [];
  #sorted: readonly string[] = [];
  readonly #values: string[] = [];

  /** Overwritten by the next call. An empty value becomes that of `instead`. */
  of(
    labels: DiscoveredLabels,
    instead: Labels,
  ): { names: readonly string[]; values: readonly string[] } {
    const names = Object.keys(labels);
    if (!isSame(names, this.#names)) {
      this.#sorted = names.toSorted(compareText);
      this.#names = names;
    }
    const values = this.#values;
    values.length = names.length;
    for (let i = 0; i < names.length; i++) {
      const name = this.#sorted[i]!;
      const value = labels[name]!;
      values[i] = value === "" ? instead.get(name) : value;
    }
    return { names: this.#sorted, values };
  }
}

function isSame(a: readonly string[], b: readonly string[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

interface Found {
  readonly targetLabels: DiscoveredLabels;
  readonly groupLabels: DiscoveredLabels;
  readonly by: TargetBuilder;
}

/**
 * What discovery keeps anyway is enough to say what a target looked like before relabelling. Labels that only people ask
 * for are put together when they do: made for each of 100,000 targets they were a quarter of the coordinator's heap.
 */
class FoundTarget implements DroppedTarget {
  readonly job: string;
  readonly #targetLabels: DiscoveredLabels;
  readonly #groupLabels: DiscoveredLabels;
  readonly #by: TargetBuilder;

  constructor(job: string, { targetLabels, groupLabels, by }: Found) {
    this.job = job;
    this.#targetLabels = targetLabels;
    this.#groupLabels = groupLabels;
    this.#by = by;
  }

  get discoveredLabels(): Labels {
    return this.#by.discovered(this.#targetLabels, this.#groupLabels);
  }
}

class BuiltTarget extends FoundTarget implements Target {
  readonly hash: string;
  readonly allLabels: Labels;
  readonly url: string;
  readonly intervalMs: number;
  readonly timeoutMs: number;

  constructor(
    job: string,
    found: Found,
    rest: Pick<Target, "hash" | "allLabels" | "url" | "intervalMs" | "timeoutMs">,
  ) {
    super(job, found);
    this.hash = rest.hash;
    this.allLabels = rest.allLabels;
    this.url = rest.url;
    this.intervalMs = rest.intervalMs;
    this.timeoutMs = rest.timeoutMs;
  }

  get labels(): Labels {
    return this.allLabels.withoutHidden();
  }
}

/** `new TargetBuilder(options).build(…)`, for a single target. */
export function buildTarget(
  discovered: { readonly labels: DiscoveredLabels; readonly groupLabels?: DiscoveredLabels },
  options: TargetOptions,
): TargetResult {
  return new TargetBuilder(options).build(discovered.labels, discovered.groupLabels);
}

function defaultLabels(options: TargetOptions): Labels {
  const pairs: [string, string][] = [
    ["job", options.jobName],
    [SCRAPE_INTERVAL, formatDuration(options.scrapeIntervalMs)],
    [SCRAPE_TIMEOUT, formatDuration(options.scrapeTimeoutMs)],
    [METRICS_PATH, options.metricsPath],
    [SCHEME, options.scheme],
    [HISTOGRAM_SWITCHES[0][0], String(options.convertClassicHistogramsToNhcb)],
    [HISTOGRAM_SWITCHES[1][0], String(options.alwaysScrapeClassicHistograms)],
    [HISTOGRAM_SWITCHES[2][0], String(options.scrapeNativeHistograms)],
  ];
  for (const [name, values] of Object.entries(options.params))
    if (values.length > 0) pairs.push([PARAM_PREFIX + name, values[0]!]);
  return Labels.fromPairs(pairs);
}

function parseTime(text: string, name: "interval" | "timeout"): number | string {
  try {
    const timeMs = parseDuration(text);
    return timeMs === 0 ? `scrape ${name} cannot be 0` : timeMs;
  } catch (error) {
    return `error parsing scrape ${name}: ${AppError.from(error).message}`;
  }
}

function invalidValue(labels: Labels): string | undefined {
  for (let i = 0; i < labels.count; i++)
    if (!labels.valueAt(i).isWellFormed())
      return `invalid label value for ${quote(labels.nameAt(i))}: ${quote(labels.valueAt(i))}`;
  return undefined;
}

/** The job's params, whose first values the `__param_` labels replace, make the query. No port is added. */
function targetUrl(labels: Labels, params: Readonly<Record<string, readonly string[]>>): string {
  let query: Map<string, readonly string[]> | undefined;
  for (const name of Object.keys(params)) (query ??= new Map()).set(name, params[name]!);
  for (let i = 0; i < labels.count; i++) {
    if (!labels.nameAt(i).startsWith(PARAM_PREFIX)) continue;
    const name = labels.nameAt(i).slice(PARAM_PREFIX.length);
    query ??= new Map();
    query.set(name, [labels.valueAt(i), ...(query.get(name) ?? []).slice(1)]);
  }
  return formatUrl({
    scheme: labels.get(SCHEME),
    host: labels.get(ADDRESS),
    path: labels.get(METRICS_PATH),
    query: query === undefined ? "" : encodeQuery(query),
  });
}
