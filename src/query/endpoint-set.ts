import { systemClock, type Clock } from "../base/clock.ts";
import { AppError, messageOf } from "../base/errors.ts";
import { silentLogger, type Logger } from "../base/logger.ts";
import type { Service } from "../base/service.ts";
import { createChannel, type Channel } from "../grpc/channel.ts";
import type { Compression } from "../grpc/codec.ts";
import type { KeepaliveOptions } from "../grpc/session.ts";
import type { ClientTls } from "../grpc/tls.ts";
import { Labels } from "../model/labels.ts";
import type { Matcher } from "../model/matcher.ts";
import { decodeInfoResponse, type InfoMessage } from "../proto/info.ts";
import { MAX_INT64, MIN_INT64 } from "../proto/wire.ts";

export interface EndpointSpec {
  /** `host:port` of a StoreAPI server. */
  readonly address: string;
  /** Asked even while its Info fails, so that its absence is an error of each query. Default false. */
  readonly strict?: boolean;
  /** What it holds, the same for all replicas of it, such as `shard-1`. Default: its labels tell. */
  readonly shard?: string;
  /** Which replica it is. Default: its labels tell. */
  readonly replica?: string;
  readonly tls?: ClientTls;
  /** Default none. */
  readonly compression?: Compression;
}

export interface EndpointSetOptions {
  /** The endpoints there should be now; asked at every refresh. An error keeps the last good list. */
  readonly provider: () =>
    | Promise<readonly (string | EndpointSpec)[]>
    | readonly (string | EndpointSpec)[];
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** Default 5,000. */
  readonly refreshMs?: number;
  /** Deadline of one Info call. Default 5,000. */
  readonly infoTimeoutMs?: number;
  /** A removed endpoint's connection is closed after this, when its queries have ended. Default 120,000. */
  readonly closeDelayMs?: number;
  /** For endpoints that do not say themselves. Default: plaintext. */
  readonly tls?: ClientTls;
  readonly keepalive?: KeepaliveOptions;
}

export type EndpointHealth = "unknown" | "healthy" | "unhealthy";

/** An endpoint as `/api/v1/stores` and the page show it. */
export interface EndpointStatus {
  readonly address: string;
  readonly strict: boolean;
  readonly health: EndpointHealth;
  /** Why it is unhealthy, "" otherwise. */
  readonly lastError: string;
  /** Wall-clock ms of the last Info call; 0 before the first. */
  readonly lastCheckMs: number;
  /** Of the last good answer. */
  readonly componentType: string;
  readonly labelSets: readonly Labels[];
  readonly minTimeMs: number;
  readonly maxTimeMs: number;
}

const DEFAULT_REFRESH_MS = 5000;
const DEFAULT_INFO_TIMEOUT_MS = 5000;
const DEFAULT_CLOSE_DELAY_MS = 120_000;
const MAX_BACKOFF_MS = 2000;

/** One StoreAPI server: its connection and what its Info last said. */
export class Endpoint {
  readonly address: string;
  readonly channel: Channel;
  readonly #clock: Clock;
  #spec: EndpointSpec;
  #health: EndpointHealth = "unknown";
  #lastError = "";
  #lastCheckMs = 0;
  #info: InfoMessage | undefined;
  #labelSets: readonly Labels[] = [];

  constructor(options: { spec: EndpointSpec; channel: Channel; clock: Clock }) {
    this.address = options.spec.address;
    this.#spec = options.spec;
    this.channel = options.channel;
    this.#clock = options.clock;
  }

  get status(): EndpointStatus {
    return {
      address: this.address,
      strict: this.strict,
      health: this.#health,
      lastError: this.#lastError,
      lastCheckMs: this.#lastCheckMs,
      componentType: this.#info?.componentType ?? "",
      labelSets: this.#labelSets,
      minTimeMs: this.#info?.store?.minTimeMs ?? MIN_INT64,
      maxTimeMs: this.#info?.store?.maxTimeMs ?? MAX_INT64,
    };
  }

  get strict(): boolean {
    return this.#spec.strict ?? false;
  }

  get shard(): string | undefined {
    return this.#spec.shard;
  }

  get replica(): string | undefined {
    return this.#spec.replica;
  }

  /** The external labels of what it holds, by its last good answer; empty when it has none or has never answered. */
  get labelSets(): readonly Labels[] {
    return this.#labelSets;
  }

  get healthy(): boolean {
    return this.#health === "healthy";
  }

  /** Why it is not healthy. */
  get lastError(): string {
    return this.#health === "unknown" ? "it has not answered yet" : this.#lastError;
  }

  get stripsReplicaLabels(): boolean {
    return this.#info?.store?.supportsWithoutReplicaLabels ?? false;
  }

  /** Whether it may hold matching series, by what it last said; one that never answered may hold anything. */
  mayHave(request: {
    readonly matchers: readonly Matcher[];
    readonly minTimeMs: number;
    readonly maxTimeMs: number;
  }): boolean {
    const store = this.#info?.store;
    if (this.#info === undefined) return true;
    if (store === undefined) return false;
    if (store.minTimeMs > request.maxTimeMs || store.maxTimeMs < request.minTimeMs) return false;
    return (
      this.#labelSets.length === 0 ||
      this.#labelSets.some((set) =>
        request.matchers.every(
          (matcher) => !set.has(matcher.name) || matcher.matches(set.get(matcher.name)),
        ),
      )
    );
  }

  /** The version of the program that aggregates there; "" when none does. */
  get aggregates(): string {
    return this.#info?.aggregates ?? "";
  }

  get servesExemplars(): boolean {
    return this.#info?.exemplars ?? false;
  }

  /** Takes over what the list says of it now; how it is connected to stays. */
  describe(spec: EndpointSpec): void {
    this.#spec = spec;
  }

  /** Asks for Info; never rejects. */
  async check(timeoutMs: number, logger: Logger): Promise<void> {
    const before = this.#health;
    try {
      const bytes = await this.channel.unary("/thanos.info.Info/Info", new Uint8Array(0), {
        deadlineMs: timeoutMs,
      });
      const info = decodeInfoResponse(bytes);
      if (info.store === undefined) throw new AppError("not-found", "it serves no StoreAPI");
      this.#info = info;
      const labelSets = info.labelSets.map((set) => Labels.fromPairs(set));
      // An empty set beside others stands for what may have any labels.
      this.#labelSets = labelSets.every((set) => set.count === 0) ? [] : labelSets;
      this.#health = "healthy";
      this.#lastError = "";
      if (before !== "healthy") logger.info("endpoint is healthy", { endpoint: this.address });
    } catch (error) {
      // The set is being stopped.
      if (error instanceof AppError && error.code === "canceled") return;
      this.#health = "unhealthy";
      this.#lastError = messageOf(error);
      if (before !== "unhealthy")
        logger.warn("endpoint is unhealthy", { endpoint: this.address, error });
    }
    this.#lastCheckMs = this.#clock.now();
  }
}

/** The StoreAPI servers a querier reads from, checked every few seconds. */
export class EndpointSet implements Service {
  readonly name = "endpoints";
  readonly #options: EndpointSetOptions;
  readonly #clock: Clock;
  readonly #logger: Logger;
  readonly #endpoints = new Map<string, Endpoint>();
  readonly #leaving = new Map<Channel, () => void>();
  #refreshing: Promise<void> | undefined;
  #cancelTimer: () => void = () => {};
  #stopped = false;

  constructor(options: EndpointSetOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#logger = options.logger ?? silentLogger;
  }

  /** Resolves after the first round of checks, whatever it found. */
  async start(): Promise<void> {
    await this.refresh();
    this.#schedule();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#cancelTimer();
    for (const cancel of this.#leaving.values()) cancel();
    const channels = [...this.#leaving.keys(), ...this.endpoints().map(({ channel }) => channel)];
    this.#endpoints.clear();
    this.#leaving.clear();
    await Promise.all(channels.map((channel) => channel.close()));
    await this.#refreshing;
  }

  /** In the provider's order. */
  endpoints(): readonly Endpoint[] {
    return [...this.#endpoints.values()];
  }

  statuses(): readonly EndpointStatus[] {
    return this.endpoints().map(({ status }) => status);
  }

  /** Updates the list and checks every endpoint now; a refresh that is running already is waited for instead. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#refresh().finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  async #refresh(): Promise<void> {
    try {
      this.#update(await this.#options.provider());
    } catch (error) {
      this.#logger.warn("cannot update the list of endpoints, the last one stays", { error });
    }
    const timeoutMs = this.#options.infoTimeoutMs ?? DEFAULT_INFO_TIMEOUT_MS;
    await Promise.all(this.endpoints().map((endpoint) => endpoint.check(timeoutMs, this.#logger)));
  }

  #update(listed: readonly (string | EndpointSpec)[]): void {
    if (this.#stopped) return;
    const specs = new Map<string, EndpointSpec>();
    for (const one of listed) {
      const spec = typeof one === "string" ? { address: one } : one;
      if (!specs.has(spec.address)) specs.set(spec.address, spec);
    }
    for (const [address, endpoint] of this.#endpoints) {
      if (specs.has(address)) continue;
      this.#endpoints.delete(address);
      this.#retire(endpoint.channel);
    }
    for (const spec of specs.values()) {
      const known = this.#endpoints.get(spec.address);
      if (known !== undefined) {
        known.describe(spec);
        continue;
      }
      try {
        this.#endpoints.set(spec.address, this.#create(spec));
      } catch (error) {
        this.#logger.warn("cannot use endpoint", { endpoint: spec.address, error });
      }
    }
  }

  #create(spec: EndpointSpec): Endpoint {
    const tls = spec.tls ?? this.#options.tls;
    const { keepalive } = this.#options;
    const channel = createChannel({
      address: spec.address,
      clock: this.#clock,
      // A shard that restarts is found again soon after.
      backoff: { initialMs: 250, maxMs: MAX_BACKOFF_MS },
      ...(tls === undefined ? {} : { tls }),
      ...(keepalive === undefined ? {} : { keepalive }),
      ...(spec.compression === undefined ? {} : { compression: spec.compression }),
    });
    return new Endpoint({ spec, channel, clock: this.#clock });
  }

  /** Queries in progress keep the connection of an endpoint that has left the list. */
  #retire(channel: Channel): void {
    const delayMs = this.#options.closeDelayMs ?? DEFAULT_CLOSE_DELAY_MS;
    this.#leaving.set(
      channel,
      this.#clock.after(delayMs, () => {
        this.#leaving.delete(channel);
        void channel.close();
      }),
    );
  }

  #schedule(): void {
    if (this.#stopped) return;
    this.#cancelTimer = this.#clock.after(this.#options.refreshMs ?? DEFAULT_REFRESH_MS, () => {
      // `refresh` handles its own errors.
      void this.refresh().then(() => this.#schedule());
    });
  }
}
