import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Registry } from "../base/metrics.ts";
import type { Random } from "../base/random.ts";
import type { Service } from "../base/service.ts";
import type { AddedJobs } from "../config/added-jobs.ts";
import { printGlobal } from "../config/print.ts";
import type { Config } from "../config/types.ts";
import type { KubeClient } from "../kubernetes/client.ts";
import {
  describeType,
  NAMESPACES,
  POD_MONITORS,
  PROBES,
  PROMETHEUSES,
  SCRAPE_CONFIGS,
  SERVICE_MONITORS,
  type ResourceType,
} from "../kubernetes/resources.ts";
import { type Followed, FollowedObjects, keyOf, type Knowledge } from "./followed.ts";
import { PrometheusSettings } from "./prometheus-settings.ts";
import { References } from "./references.ts";
import { needsNamespaces, selectResources } from "./selection.ts";
import { type Outcome, TranslatedResources, type TranslationBase } from "./translated.ts";
import { ADDITIONAL, MONITOR_KINDS, type MonitorKind } from "./translation.ts";

/** Changes that come together are taken up together. */
const BUILD_DELAY_MS = 500;
/** Each change costs every Prometheus beside a sidecar the reading of all its configuration: at most one in this time. */
const BUILD_INTERVAL_MS = 5_000;
/** How often Secrets and ConfigMaps are read again, since nobody tells of their changes. */
export const REFERENCE_REFRESH_MS = 30_000;
/** How often, while one of them has not been read at all. */
const REFERENCE_RETRY_MS = 5_000;

/** How long `settled` waits at most, and how often it looks. */
const SETTLE_MAX_MS = 30_000;
const SETTLE_LOOK_MS = 100;

export interface MonitorSourceOptions {
  readonly client: KubeClient;
  /** The Prometheus object whose selectors and limits hold. */
  readonly prometheus: { readonly namespace: string; readonly name: string };
  /** For `kubernetes_sd_configs`; "" for the cluster that the coordinator runs in. */
  readonly kubeconfigFile: string;
  /** How long a list that suddenly lacks most resources must stand before it is believed. */
  readonly holdMs: number;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly registry: Registry;
}

/** Something about custom resources that somebody may want otherwise. */
export interface MonitorCondition {
  /** `rejected-resource`: one is not used as it stands. `unread-resource`: those of a kind cannot be read. */
  readonly kind: "rejected-resource" | "unread-resource";
  readonly resource: string;
  readonly reason: string;
}

/**
 * The scrape jobs of the Prometheus operator's custom resources, kept up to date.
 *
 *     Prometheus object ──selectors──▶ ServiceMonitors, PodMonitors, … ──translate──▶ jobs
 *                                          Secrets, ConfigMaps ────────────┘
 *
 * What was read once stands while the API does not answer, and so do the last valid jobs of a resource that is broken now.
 */
export class MonitorSource implements Service {
  readonly name = "custom resources";
  readonly #options: MonitorSourceOptions;
  readonly #prometheus: FollowedObjects;
  readonly #namespaces: FollowedObjects;
  readonly #monitors: Readonly<Record<MonitorKind, FollowedObjects>>;
  readonly #references: References;
  readonly #translated: TranslatedResources;
  readonly #abort = new AbortController();
  #config: Config;
  #onChange: () => void = () => {};
  #seen: Followed | undefined;
  /** Of the last Prometheus object that could be read. */
  #settings: PrometheusSettings | undefined;
  /** Its `additionalScrapeConfigs`, as a resource of its own. */
  #additional: Followed | undefined;
  #base: TranslationBase | undefined;
  #settingsProblem: string | undefined;
  #jobs: readonly AddedJobs[] = [];
  #lastGood = new Map<string, AddedJobs>();
  /** By resource, why it is not used as it stands. */
  #problems = new Map<string, string>();
  #knowledge: Knowledge = "unknown";
  /** When `jobs` last changed. */
  #lastChangeMs = -Infinity;
  #cancel: (() => void) | undefined;
  #building: Promise<void> = Promise.resolve();
  #refreshing: Promise<void> = Promise.resolve();

  constructor(config: Config, options: MonitorSourceOptions) {
    this.#options = options;
    this.#config = config;
    const onChange = (): void => this.#schedule();
    const follow = (type: ResourceType): FollowedObjects =>
      new FollowedObjects(type, { ...options, onChange });
    this.#prometheus = follow(PROMETHEUSES);
    this.#namespaces = follow(NAMESPACES);
    this.#monitors = {
      ServiceMonitor: follow(SERVICE_MONITORS),
      PodMonitor: follow(POD_MONITORS),
      Probe: follow(PROBES),
      ScrapeConfig: follow(SCRAPE_CONFIGS),
    };
    this.#references = new References(options.client);
    this.#translated = new TranslatedResources({
      references: this.#references,
      clock: options.clock,
    });
  }

  /** Calls `listener` whenever `jobs` or `knowledge` has changed. */
  onChange(listener: () => void): void {
    this.#onChange = listener;
  }

  /** The same object for as long as nothing changes, and so is each of its elements. */
  jobs(): readonly AddedJobs[] {
    return this.#jobs;
  }

  /** Whether `jobs` are all there are: `refused` and `unknown` when some of the resources could not be read. */
  get knowledge(): Knowledge {
    return this.#knowledge;
  }

  /** Resolves once all that can be read is read, or `signal` aborts. */
  async settled(signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    const endMs = clock.monotonic() + SETTLE_MAX_MS;
    while (this.#knowledge === "unknown" && clock.monotonic() < endMs && !signal.aborted)
      await clock.sleep(SETTLE_LOOK_MS, signal).catch(() => {});
  }

  /** prometheus.yml was read anew. */
  setConfig(config: Config): void {
    this.#config = config;
    this.#base = undefined;
    this.#schedule();
  }

  conditions(): MonitorCondition[] {
    const unread = this.#followed().flatMap(({ type, trouble }) =>
      trouble === undefined ? [] : [unreadCondition(describeType(type), trouble)],
    );
    const { namespace, name } = this.#options.prometheus;
    if (this.#settingsProblem !== undefined)
      unread.unshift(unreadCondition(`Prometheus ${namespace}/${name}`, this.#settingsProblem));
    const rejected = [...this.#problems].map(([resource, reason]): MonitorCondition => ({
      kind: "rejected-resource",
      resource,
      reason,
    }));
    return [...unread, ...rejected];
  }

  async start(): Promise<void> {
    this.#prometheus.follow(this.#options.prometheus);
    this.#refreshing = this.#refreshReferences();
  }

  async stop(): Promise<void> {
    this.#abort.abort();
    this.#cancel?.();
    for (const followed of this.#followed()) followed.stop();
    await Promise.all([this.#building, this.#refreshing]);
  }

  #followed(): FollowedObjects[] {
    return [
      this.#prometheus,
      this.#namespaces,
      ...MONITOR_KINDS.map((kind) => this.#monitors[kind]),
    ];
  }

  #schedule(): void {
    if (this.#cancel !== undefined || this.#abort.signal.aborted) return;
    const { clock } = this.#options;
    const waitMs = this.#lastChangeMs + BUILD_INTERVAL_MS - clock.monotonic();
    this.#cancel = clock.after(Math.max(BUILD_DELAY_MS, waitMs), () => {
      this.#cancel = undefined;
      this.#building = this.#building.then(() => this.#build());
    });
  }

  async #refreshReferences(): Promise<void> {
    const { clock } = this.#options;
    const { signal } = this.#abort;
    while (!signal.aborted) {
      const isWaiting = this.#knowledge === "unknown";
      const pauseMs = isWaiting ? REFERENCE_RETRY_MS : REFERENCE_REFRESH_MS;
      await clock.sleep(pauseMs, signal).catch(() => {});
      if (!signal.aborted && (await this.#references.refresh(signal))) this.#schedule();
    }
  }

  async #build(): Promise<void> {
    const { signal } = this.#abort;
    if (signal.aborted) return;
    this.#readSettings();
    const base = this.#base;
    if (base === undefined) {
      this.#take(new Map());
      return;
    }
    this.#follow(base.settings);
    if (needsNamespaces(base.settings) && this.#namespaces.knowledge !== "known") {
      // Which resources are meant is not known; those of before stand.
      this.#learn(this.#knowledgeOf(false), this.#jobs);
      return;
    }
    const selected = selectResources(base.settings, {
      of: (kind) => this.#monitors[kind].objects(),
      namespaces: () => this.#namespaces.objects(),
    });
    if (this.#additional !== undefined)
      selected.set(`${ADDITIONAL} ${keyOf(this.#additional)}`, {
        kind: ADDITIONAL,
        object: this.#additional,
      });
    let made = await this.#translated.translate(selected, base);
    // What a resource names shows while it is translated; a second time it may name more.
    while (made.unread.size > 0 && !signal.aborted) {
      await this.#references.read(made.unread, signal);
      made = await this.#translated.translate(selected, base);
    }
    if (signal.aborted) return;
    this.#references.retain(this.#translated.used());
    this.#take(made.outcomes);
  }

  /** A Prometheus object that is gone or broken leaves the last one in force. */
  #readSettings(): void {
    const [object] = this.#prometheus.objects();
    if (object === undefined) {
      const isGone = this.#prometheus.knowledge === "known";
      this.#complain(isGone ? "there is no such object" : undefined);
    } else if (object !== this.#seen) {
      this.#seen = object;
      try {
        this.#settings = new PrometheusSettings(object);
        const { additional: spec } = this.#settings;
        this.#additional = spec === undefined ? undefined : { ...object, spec };
        this.#base = undefined;
        this.#complain(undefined);
        this.#warnOfIgnored(this.#settings);
      } catch (error) {
        this.#complain(messageOf(error));
      }
    }
    if (this.#settings !== undefined) this.#base ??= this.#newBase(this.#settings);
  }

  #newBase(settings: PrometheusSettings): TranslationBase {
    const { baseFolder, scrapeConfigs } = this.#config;
    return {
      settings,
      global: printGlobal(this.#config),
      baseFolder,
      kubeconfigFile: this.#options.kubeconfigFile,
      takenNames: new Set(scrapeConfigs.map(({ jobName }) => jobName)),
    };
  }

  #warnOfIgnored({ ignored }: PrometheusSettings): void {
    if (ignored.length === 0) return;
    this.#options.logger.warn("fields of the Prometheus object that prometheus.yml says instead", {
      prometheus: keyOf(this.#options.prometheus),
      fields: ignored.join(","),
    });
  }

  #complain(problem: string | undefined): void {
    if (problem === this.#settingsProblem) return;
    this.#settingsProblem = problem;
    const { logger, prometheus } = this.#options;
    if (problem !== undefined)
      logger.error("cannot use the Prometheus object; what it said last stands", {
        prometheus: keyOf(prometheus),
        reason: problem,
      });
  }

  #follow(settings: PrometheusSettings): void {
    for (const kind of MONITOR_KINDS) {
      const { objects, namespaces } = settings.selections[kind];
      if (objects === undefined) {
        this.#monitors[kind].stop();
        continue;
      }
      const namespace = namespaces === undefined ? settings.namespace : undefined;
      this.#monitors[kind].follow({ namespace });
    }
    if (needsNamespaces(settings)) this.#namespaces.follow({ namespace: undefined });
    else this.#namespaces.stop();
  }

  #take(outcomes: ReadonlyMap<string, Outcome>): void {
    const good = new Map<string, AddedJobs>();
    const problems = new Map<string, string>();
    let hasWaiting = false;
    for (const [resource, outcome] of outcomes) {
      const known = this.#lastGood.get(resource);
      const jobs = outcome.kind === "good" ? outcome.jobs : known;
      if (jobs !== undefined) good.set(resource, jobs);
      if (outcome.kind !== "good") problems.set(resource, outcome.reason);
      hasWaiting ||= outcome.kind === "waiting" && known === undefined;
    }
    this.#logProblems(problems, good);
    this.#problems = problems;
    this.#lastGood = good;
    const hasRejected = [...problems.keys()].some((resource) => !good.has(resource));
    const knowledge = hasWaiting ? "unknown" : this.#knowledgeOf(hasRejected);
    const jobs = [...good.values()];
    this.#count(outcomes);
    this.#learn(knowledge, jobs);
  }

  #learn(knowledge: Knowledge, jobs: readonly AddedJobs[]): void {
    const isSame =
      jobs.length === this.#jobs.length && jobs.every((one, i) => one === this.#jobs[i]);
    if (isSame && knowledge === this.#knowledge) return;
    if (!isSame) {
      // What comes in while all is still being listed is no change yet.
      if (this.#knowledge !== "unknown") this.#lastChangeMs = this.#options.clock.monotonic();
      this.#jobs = jobs;
    }
    this.#knowledge = knowledge;
    this.#onChange();
  }

  #knowledgeOf(hasRejected: boolean): Knowledge {
    const base = this.#base;
    const needed = [
      this.#prometheus,
      ...(base?.settings.kinds ?? []).map((kind) => this.#monitors[kind]),
    ];
    if (base !== undefined && needsNamespaces(base.settings)) needed.push(this.#namespaces);
    const answers = new Set(needed.map(({ knowledge }) => knowledge));
    if (answers.has("unknown")) return "unknown";
    return answers.has("refused") || hasRejected || base === undefined ? "refused" : "known";
  }

  #logProblems(problems: ReadonlyMap<string, string>, good: ReadonlyMap<string, unknown>): void {
    const { logger } = this.#options;
    for (const [resource, reason] of problems)
      if (this.#problems.get(resource) !== reason)
        logger.warn("cannot use custom resource", {
          resource,
          reason,
          instead: good.has(resource) ? "its last valid version" : "nothing",
        });
    for (const resource of this.#problems.keys())
      if (!problems.has(resource) && good.has(resource))
        logger.info("custom resource is used again", { resource });
  }

  #count(outcomes: ReadonlyMap<string, Outcome>): void {
    for (const kind of MONITOR_KINDS) {
      const of = [...outcomes].filter(([resource]) => resource.startsWith(`${kind} `));
      const rejected = of.filter(([, outcome]) => outcome.kind !== "good").length;
      const states = { selected: of.length, rejected };
      for (const [state, count] of Object.entries(states))
        this.#options.registry
          .gauge(
            "shoal_operator_resources",
            "Custom resources of the Prometheus operator that are selected, and those of them that cannot be used as they stand.",
            { kind, state },
          )
          .set(count);
    }
  }
}

function unreadCondition(resource: string, reason: string): MonitorCondition {
  return { kind: "unread-resource", resource, reason };
}
