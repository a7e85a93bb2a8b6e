import { messageOf } from "../base/errors.ts";
import type { Registry } from "../base/metrics.ts";
import type { ConsulDiscovery } from "../config/types.ts";
import type { TargetGroup } from "../model/target.ts";
import { type ConsulAnswer, ConsulApi, consulHttpClient } from "./consul-api.ts";
import { consulGroup } from "./consul-labels.ts";
import { pause, type Mechanism, type MechanismContext, type Report } from "./mechanism.ts";

/** Wait after a question that failed, as Prometheus. */
const RETRY_MS = 15_000;
/** The least time between two questions, whatever `refresh_interval` says. */
const LEAST_INTERVAL_MS = 100;

/**
 * Services in Consul's catalog, one group each. One question waits for the list of services to change and one for every
 * service; each is asked again at once when it is answered, though not before `refresh_interval` is over.
 *
 *     catalog/services ──► which services ──► health/service/NAME, each by itself ──► its group
 *
 * A question that fails leaves what its last answer said. Until a service has answered for the first time the finding is
 * partial.
 */
export function createConsul(config: ConsulDiscovery, context: MechanismContext): Mechanism {
  const client = context.createHttpClient(consulHttpClient(config, context.environment));
  const api = new ConsulApi(config, client, context.environment);
  return {
    async run(report, signal) {
      try {
        await new ConsulWatch({ config, context, api, report, signal }).run();
      } finally {
        await client.close();
      }
    },
  };
}

interface WatchOptions {
  readonly config: ConsulDiscovery;
  readonly context: MechanismContext;
  readonly api: ConsulApi;
  readonly report: Report;
  readonly signal: AbortSignal;
}

interface Service {
  readonly stopping: AbortController;
  done: Promise<void>;
  /** Undefined until Consul has answered. */
  group: TargetGroup | undefined;
  error: string;
}

class ConsulWatch {
  readonly #options: WatchOptions;
  readonly #metrics: ReturnType<typeof consulMetrics>;
  readonly #services = new Map<string, Service>();
  #datacenter: string;
  /** Whether it is known which services there are. */
  #isListed = false;
  #error = "";

  constructor(options: WatchOptions) {
    this.#options = options;
    this.#metrics = consulMetrics(options.context.registry);
    this.#datacenter = options.config.datacenter;
  }

  async run(): Promise<void> {
    const { config, signal } = this.#options;
    await this.#findDatacenter();
    if (signal.aborted) return;
    const needsCatalog =
      config.services.length === 0 || config.tags.length > 0 || config.filter !== "";
    if (needsCatalog) await this.#watchCatalog();
    else {
      this.#isListed = true;
      for (const name of new Set(config.services)) this.#add(name);
    }
    await Promise.all([...this.#services.values()].map(({ done }) => done));
  }

  async #findDatacenter(): Promise<void> {
    const { context, api, signal } = this.#options;
    while (this.#datacenter === "" && !signal.aborted) {
      try {
        this.#datacenter = await api.datacenter(signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#error = this.#failed("cannot retrieve Consul's datacenter", error);
        this.#report();
        await pause(context.clock, RETRY_MS, signal);
      }
    }
    this.#error = "";
  }

  #watchCatalog(): Promise<void> {
    const { api, signal } = this.#options;
    return this.#watch({
      signal,
      call: "services",
      ask: (index) => api.services(index, signal),
      take: (services) => {
        this.#error = "";
        this.#setServices(services);
        this.#report();
      },
      fail: (error) => {
        this.#error = this.#failed("cannot refresh Consul's list of services", error);
        this.#report();
      },
    });
  }

  #setServices(listed: ReadonlyMap<string, readonly string[]>): void {
    const { services, tags } = this.#options.config;
    this.#isListed = true;
    for (const [name, { stopping }] of this.#services) {
      if (listed.has(name)) continue;
      stopping.abort();
      this.#services.delete(name);
    }
    for (const [name, found] of listed) {
      const isWanted =
        (services.length === 0 || services.includes(name)) &&
        tags.every((tag) => found.includes(tag));
      // A service that lost the tags goes on being asked for, with the tags: it has no instances then.
      if (isWanted && !this.#services.has(name)) this.#add(name);
    }
  }

  #add(name: string): void {
    const service: Service = {
      stopping: new AbortController(),
      done: Promise.resolve(),
      group: undefined,
      error: "",
    };
    this.#services.set(name, service);
    service.done = this.#watchService(name, service);
  }

  #watchService(name: string, service: Service): Promise<void> {
    const { config, api } = this.#options;
    const signal = AbortSignal.any([service.stopping.signal, this.#options.signal]);
    return this.#watch({
      signal,
      call: "service",
      ask: (index) => api.instances(name, index, signal),
      take: (instances) => {
        service.error = "";
        service.group = consulGroup(name, instances, {
          datacenter: this.#datacenter,
          tagSeparator: config.tagSeparator,
        });
        this.#report();
      },
      fail: (error) => {
        service.error = this.#failed(`cannot refresh Consul service ${name}`, error);
        this.#report();
      },
    });
  }

  /** Asks again and again until `signal` aborts; waits for changes where Consul's answers allow it. */
  async #watch<T>(options: {
    signal: AbortSignal;
    call: "services" | "service";
    ask: (index: number) => Promise<ConsulAnswer<T>>;
    take: (value: T) => void;
    fail: (error: unknown) => void;
  }): Promise<void> {
    const { signal, call, ask, take, fail } = options;
    const { clock } = this.#options.context;
    const intervalMs = Math.max(this.#options.config.refreshIntervalMs, LEAST_INTERVAL_MS);
    let index = 0;
    while (!signal.aborted) {
      const startedMs = clock.monotonic();
      try {
        const answer = await ask(index);
        this.#metrics.duration[call].observe((clock.monotonic() - startedMs) / 1000);
        if (signal.aborted) return;
        // The same index again: the wait is over and nothing has changed.
        if (index === 0 || answer.index !== index) take(answer.value);
        // An index that went back is another server's, or a restored one's, and will not pass ours for long.
        index = answer.index < index ? 0 : answer.index;
      } catch (error) {
        if (signal.aborted) return;
        index = 0;
        fail(error);
        await pause(clock, RETRY_MS, signal);
      }
      await pause(clock, startedMs + intervalMs - clock.monotonic(), signal);
    }
  }

  #failed(what: string, error: unknown): string {
    this.#metrics.failures.inc();
    this.#options.context.logger.error(what, { discovery: "consul", error });
    return `${what}: ${messageOf(error)}`;
  }

  #report(): void {
    const services = [...this.#services.values()];
    const errors = [this.#error, ...services.map(({ error }) => error)].filter(
      (error) => error !== "",
    );
    if (!this.#isListed) return this.#options.report({ errors });
    this.#options.report({
      groups: services.flatMap(({ group }) => group ?? []),
      isPartial: services.some(({ group }) => group === undefined),
      errors,
    });
  }
}

function consulMetrics(registry: Registry) {
  const duration = (call: string) =>
    registry.summary(
      "prometheus_sd_consul_rpc_duration_seconds",
      "The duration of a Consul RPC call in seconds.",
      { endpoint: "catalog", call },
    );
  return {
    failures: registry.counter(
      "prometheus_sd_consul_rpc_failures_total",
      "The number of Consul RPC call failures.",
    ),
    duration: { services: duration("services"), service: duration("service") },
  };
}
