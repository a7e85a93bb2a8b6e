import type { Clock } from "../base/clock.ts";
import { messageOf } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Counter, Registry } from "../base/metrics.ts";
import type { DiscoveryConfig, HttpClientConfig } from "../config/types.ts";
import { createHttpClient, type HttpClient } from "../http/client.ts";
import type { Environment } from "../http/proxy.ts";
import type { TargetGroup } from "../model/target.ts";
import type { Finding, MechanismContext } from "./mechanism.ts";
import { countTargets, GroupSet } from "./group-set.ts";
import { identity } from "./identity.ts";
import { KubernetesWatches } from "./kubernetes/watches.ts";
import { createMechanism } from "./registry.ts";
import { sameElements } from "./reuse.ts";

const UPDATE_INTERVAL_MS = 5000;

export interface DiscoveryManagerOptions {
  readonly logger: Logger;
  readonly clock: Clock;
  readonly registry: Registry;
  /** Default: `createHttpClient` with `userAgent`. */
  readonly httpClientFactory?: (config: HttpClientConfig) => HttpClient;
  /** Default `Shoal`. */
  readonly userAgent?: string;
  /** Whether connections to discovery servers are used again. Default true. */
  readonly keepAlive?: boolean;
  /** Where mechanisms look for credentials that the configuration leaves out. Default: nowhere. */
  readonly environment?: Environment;
  /** Least time between two deliveries; changes meanwhile come together, and without one nothing is delivered. Default 5000, as Prometheus. */
  readonly updateIntervalMs?: number;
  /** The `name` label of the metrics. Default `scrape`. */
  readonly name?: string;
}

export interface DiscoveryJob {
  readonly jobName: string;
  readonly serviceDiscovery: readonly DiscoveryConfig[];
}

/**
 * What is known of one job. It stays the same object from delivery to delivery while nothing changes, and so does every
 * group and target in it.
 */
export interface JobDiscovery {
  readonly groups: readonly TargetGroup[];
  /**
   * Whether every mechanism has listed all its targets at least once. While false after a change of the configuration, what
   * the replaced mechanisms had found is still among the groups. A mechanism that this program does not have counts as
   * having listed nothing.
   */
  readonly complete: boolean;
  /** What goes wrong now, in any of the job's mechanisms. */
  readonly errors: readonly string[];
}

export type DiscoverySnapshot = ReadonlyMap<string, JobDiscovery>;

/** One mechanism at work, shared by all jobs that ask for exactly the same. */
interface Provider {
  readonly key: string;
  readonly config: DiscoveryConfig;
  readonly stopping: AbortController;
  done: Promise<void>;
  readonly found: GroupSet;
  /** Groups that have changed since, asked for when the next delivery is due. */
  changes: (() => readonly TargetGroup[]) | undefined;
  /** Some of the groups there are may be missing. */
  isPartial: boolean;
  errors: readonly string[];
  /** Has reported all there is, or an error. */
  answered: boolean;
  /** Could not be started at all. */
  failed: boolean;
}

interface Job {
  readonly name: string;
  readonly providers: readonly Provider[];
  /** Undefined when it has to be put together again. */
  shown: JobDiscovery | undefined;
  /** What mechanisms that the last change of the configuration took away had found; shown until the job is complete. */
  retired: readonly TargetGroup[];
  /** Whether a delivery has shown it with every mechanism's answer. */
  settled: boolean;
}

/**
 * Runs the discovery mechanisms of all jobs and tells what they find. Deliveries are at most one every
 * `updateIntervalMs`, except that a job is shown at once when the last of its mechanisms has answered for the first time.
 */
export class DiscoveryManager {
  readonly #options: DiscoveryManagerOptions;
  readonly #context: MechanismContext;
  readonly #metrics: ManagerMetrics;
  readonly #listeners: ((snapshot: DiscoverySnapshot) => void)[] = [];
  #configured: readonly DiscoveryJob[] = [];
  #providers = new Map<string, Provider>();
  #jobs = new Map<string, Job>();
  #running = false;
  #lastDelivery = -Infinity;
  #pending: { readonly at: number; readonly cancel: () => void } | undefined;

  constructor(options: DiscoveryManagerOptions) {
    this.#options = options;
    const { userAgent = "Shoal", keepAlive = true } = options;
    const parts = {
      logger: options.logger,
      clock: options.clock,
      registry: options.registry,
      environment: options.environment ?? {},
      createHttpClient:
        options.httpClientFactory ??
        ((config: HttpClientConfig) => createHttpClient(config, { userAgent, keepAlive })),
    };
    this.#context = { ...parts, kubernetes: new KubernetesWatches(parts) };
    this.#metrics = managerMetrics(options.registry, options.name ?? "scrape");
  }

  /** Calls `listener` with every delivery from now on. The snapshot is the listener's to keep. */
  onUpdate(listener: (snapshot: DiscoverySnapshot) => void): void {
    this.#listeners.push(listener);
  }

  /** Starts the mechanisms of the jobs applied so far. */
  start(): void {
    this.#running = true;
    this.#reconcile();
  }

  /** Ends all mechanisms and deliveries. */
  async stop(): Promise<void> {
    this.#running = false;
    this.#pending?.cancel();
    this.#pending = undefined;
    const ended = [...this.#providers.values()];
    this.#providers = new Map();
    this.#jobs = new Map();
    for (const provider of ended) provider.stopping.abort();
    await Promise.all(ended.map((provider) => provider.done));
  }

  /** Replaces the jobs. Mechanisms whose configuration is unchanged go on running and keep what they found. */
  apply(jobs: readonly DiscoveryJob[]): void {
    this.#configured = jobs;
    if (this.#running) this.#reconcile();
  }

  #reconcile(): void {
    const before = this.#providers;
    const jobsBefore = this.#jobs;
    const fresh: Provider[] = [];
    this.#providers = new Map();
    this.#jobs = new Map();
    for (const { jobName, serviceDiscovery } of this.#configured) {
      const providers = new Set<Provider>();
      for (const config of serviceDiscovery) {
        const key = identity(config);
        let provider = this.#providers.get(key) ?? before.get(key);
        if (provider === undefined) fresh.push((provider = createProvider(key, config)));
        this.#providers.set(key, provider);
        providers.add(provider);
      }
      const known = jobsBefore.get(jobName);
      this.#jobs.set(
        jobName,
        known !== undefined && sameMembers(known.providers, providers)
          ? known
          : {
              name: jobName,
              providers: [...providers],
              shown: undefined,
              retired: known === undefined ? [] : retire(known, providers),
              settled: false,
            },
      );
    }
    for (const [key, provider] of before) if (!this.#providers.has(key)) provider.stopping.abort();
    for (const jobName of jobsBefore.keys())
      if (!this.#jobs.has(jobName)) this.#metrics.forgetJob(jobName);
    for (const provider of fresh) this.#run(provider);
    let failed = 0;
    for (const provider of this.#providers.values()) if (provider.failed) failed++;
    this.#metrics.failedConfigs.set(failed);
    this.#schedule(0);
  }

  #run(provider: Provider): void {
    const { config } = provider;
    let failure: string;
    try {
      const mechanism = createMechanism(config, this.#context);
      if (mechanism !== undefined) {
        provider.done = mechanism
          .run((finding) => this.#report(provider, finding), provider.stopping.signal)
          .catch((error: unknown) => this.#broken(provider, messageOf(error)));
        return;
      }
      failure = `${config.kind === "other" ? config.mechanism : config.kind}_sd_configs are not supported`;
    } catch (error) {
      failure = `cannot create discovery: ${messageOf(error)}`;
    }
    provider.failed = true;
    this.#broken(provider, failure);
  }

  /** A mechanism that will say nothing more: what it found stands, and the job goes on without it. */
  #broken(provider: Provider, error: string): void {
    if (provider.stopping.signal.aborted) return;
    this.#options.logger.error("cannot run discovery", { error });
    this.#report(provider, { groups: provider.found.groups ?? [], errors: [error] });
  }

  #report(provider: Provider, finding: Finding): void {
    if (provider.stopping.signal.aborted) return;
    this.#metrics.received.inc();
    const hasGroups = finding.groups !== undefined && provider.found.replace(finding.groups);
    const isPartial =
      finding.groups === undefined ? provider.isPartial : (finding.isPartial ?? false);
    const answered = provider.answered || !isPartial || finding.errors.length > 0;
    const isNews =
      answered !== provider.answered ||
      hasGroups ||
      finding.changes !== undefined ||
      isPartial !== provider.isPartial ||
      !sameElements(provider.errors, finding.errors);
    if (!isNews) return;
    provider.answered = answered;
    provider.errors = finding.errors;
    // A new list says what any changes would have said.
    if (finding.groups !== undefined) provider.changes = undefined;
    provider.changes = finding.changes ?? provider.changes;
    provider.isPartial = isPartial;
    let settles = false;
    for (const job of this.#jobs.values()) {
      if (!job.providers.includes(provider)) continue;
      // Whether there is news in `changes` shows when they are taken.
      if (finding.changes === undefined) job.shown = undefined;
      settles ||= !job.settled && job.providers.every((one) => one.answered);
    }
    const { clock, updateIntervalMs = UPDATE_INTERVAL_MS } = this.#options;
    const wait = Math.max(0, this.#lastDelivery + updateIntervalMs - clock.monotonic());
    if (!settles && wait > 0) this.#metrics.delayed.inc();
    this.#schedule(settles ? 0 : wait);
  }

  /** Delivers after `delayMs`, or earlier if that is planned already. */
  #schedule(delayMs: number): void {
    const { clock } = this.#options;
    const at = clock.monotonic() + delayMs;
    if (this.#pending !== undefined) {
      if (this.#pending.at <= at) return;
      this.#pending.cancel();
    }
    const cancel = clock.after(delayMs, () => this.#deliver());
    this.#pending = { at, cancel };
  }

  #deliver(): void {
    this.#pending = undefined;
    this.#lastDelivery = this.#options.clock.monotonic();
    this.#takeChanges();
    const snapshot = new Map<string, JobDiscovery>();
    for (const job of this.#jobs.values()) {
      const shown = (job.shown ??= show(job));
      if (shown.complete) job.retired = [];
      snapshot.set(job.name, shown);
      job.settled = job.providers.every((provider) => provider.answered);
      this.#metrics.discovered(job.name, targetCount(job));
    }
    this.#metrics.sent.inc();
    for (const listener of this.#listeners) listener(snapshot);
  }

  #takeChanges(): void {
    for (const provider of this.#providers.values()) {
      const { changes } = provider;
      provider.changes = undefined;
      if (changes === undefined || !provider.found.change(changes())) continue;
      for (const job of this.#jobs.values())
        if (job.providers.includes(provider)) job.shown = undefined;
    }
  }
}

function createProvider(key: string, config: DiscoveryConfig): Provider {
  return {
    key,
    config,
    stopping: new AbortController(),
    done: Promise.resolve(),
    found: new GroupSet(),
    changes: undefined,
    isPartial: false,
    errors: [],
    answered: false,
    failed: false,
  };
}

function show(job: Job): JobDiscovery {
  const { providers, retired } = job;
  const [only] = providers;
  const found =
    providers.length === 1
      ? (only!.found.groups ?? [])
      : providers.flatMap((provider) => provider.found.groups ?? []);
  const complete = isComplete(job);
  return {
    // A mechanism whose configuration was changed has nothing to show yet; until it has, nobody loses targets.
    groups: complete ? found : [...found, ...retired],
    complete,
    errors: providers.flatMap((provider) => provider.errors),
  };
}

function targetCount({ providers, retired }: Job): number {
  return providers.reduce((sum, { found }) => sum + found.targetCount, countTargets(retired));
}

function isComplete(job: Job): boolean {
  return job.providers.every(
    (provider) => provider.found.groups !== undefined && !provider.isPartial,
  );
}

function retire(job: Job, kept: ReadonlySet<Provider>): readonly TargetGroup[] {
  const gone = job.providers.filter((provider) => !kept.has(provider));
  return [
    ...gone.flatMap((provider) => provider.found.groups ?? []),
    ...(isComplete(job) ? [] : job.retired),
  ];
}

function sameMembers(list: readonly Provider[], set: ReadonlySet<Provider>): boolean {
  return list.length === set.size && [...set].every((member, index) => list[index] === member);
}

interface ManagerMetrics {
  readonly received: Counter;
  readonly sent: Counter;
  readonly delayed: Counter;
  readonly failedConfigs: { set(value: number): void };
  discovered(job: string, count: number): void;
  forgetJob(job: string): void;
}

function managerMetrics(registry: Registry, name: string): ManagerMetrics {
  const discovered = "prometheus_sd_discovered_targets";
  const counter = (metric: string, help: string): Counter =>
    registry.counter(metric, help, { name });
  return {
    received: counter(
      "prometheus_sd_received_updates_total",
      "Total number of update events received from the SD providers.",
    ),
    sent: counter(
      "prometheus_sd_updates_total",
      "Total number of update events sent to the SD consumers.",
    ),
    delayed: counter(
      "prometheus_sd_updates_delayed_total",
      "Total number of update events that couldn't be sent immediately.",
    ),
    failedConfigs: registry.gauge(
      "prometheus_sd_failed_configs",
      "Current number of service discovery configurations that failed to load.",
      { name },
    ),
    discovered(job, count) {
      registry
        .gauge(discovered, "Current number of discovered targets.", { config: job, name })
        .set(count);
    },
    forgetJob: (job) => registry.remove(discovered, { config: job, name }),
  };
}
