import type { Clock } from "../base/clock.ts";
import { isAbort, messageOf } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import type { KubeClient, Selection } from "./client.ts";
import { KubeError } from "./kube-error.ts";
import { describeType, objectKey, type KubeObject, type ResourceType } from "./resources.ts";
import type { WatchEvent } from "./watch-stream.ts";

/** Watches are asked for 5 to 10 minutes, so that many do not come back at once. */
const WATCH_MIN_SECONDS = 300;
const WATCH_SPREAD_SECONDS = 300;
const RETRY_MIN_MS = 1000;
const RETRY_MAX_MS = 30_000;
/** A list costs the server much more than a watch: at most one in this time. */
const LIST_INTERVAL_MS = 10_000;
/** A watch that lived this long was a good one: the next failure is the first again. */
const HEALTHY_WATCH_MS = 10_000;

export interface ListWatchOptions<T> extends Selection {
  /** A function is asked before every list and watch; what it throws is trouble like any other. */
  readonly client: KubeClient | (() => Promise<KubeClient>);
  readonly type: ResourceType;
  /** What is kept of an object: called right after an object is parsed, so that the rest of it is never held. */
  readonly project: (object: KubeObject) => T;
  /** Whether two versions of an object are one for the consumer, who is then not told. Default: never. */
  readonly isSame?: (before: T, after: T) => boolean;
  /** Called for every list or watch that fails. */
  readonly onFailure?: (error: unknown) => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface ListWatchListener<T> {
  /** An object is there, or is there with other contents than before. */
  changed(key: string, value: T, before: T | undefined): void;
  deleted(key: string, before: T): void;
  /** Everything that exists has been told: after the first list, and after each later one. */
  listed(): void;
  /** What goes wrong now; undefined once it works again. What was told before stands meanwhile. */
  troubled(error: string | undefined): void;
}

interface Entry<T> {
  readonly version: string;
  readonly value: T;
  /** The list that it was last seen by or after. */
  round: number;
}

/**
 * The objects of one type, kept up to date: listed once, then watched. Any number of listeners may look on.
 *
 *     listing ──last page──▶ watching ──ended, cut──▶ watching from the last version seen
 *        ▲  └─error: wait─┐      └─error: wait─┘
 *        │                │      │
 *        └────────────────┘◀─────┘ version no longer known (410): list again, at most once in 10 s
 *
 * Objects of a list go in as its pages arrive, because they are newer than what is known; what the list lacks goes out
 * after its last page. So a list that breaks off loses nothing.
 */
export class ListWatch<T> {
  readonly #options: ListWatchOptions<T>;
  readonly #entries = new Map<string, Entry<T>>();
  readonly #listeners = new Set<ListWatchListener<T>>();
  #round = 0;
  #isListed = false;
  /** Where to watch from; "" when everything has to be listed. */
  #version = "";
  #nextListAtMs = -Infinity;
  #trouble: string | undefined;

  constructor(options: ListWatchOptions<T>) {
    this.#options = options;
  }

  /** Whether the first list is complete. */
  get isListed(): boolean {
    return this.#isListed;
  }

  /** What goes wrong now. */
  get trouble(): string | undefined {
    return this.#trouble;
  }

  get size(): number {
    return this.#entries.size;
  }

  /** By `namespace/name`, or name alone outside namespaces. */
  get(key: string): T | undefined {
    return this.#entries.get(key)?.value;
  }

  *entries(): IterableIterator<[string, T]> {
    for (const [key, entry] of this.#entries) yield [key, entry.value];
  }

  /** Tells `listener` of every change from now on; what is there already it reads itself. The result ends it. */
  subscribe(listener: ListWatchListener<T>): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Works until `signal` aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, random, logger, type } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      const startedMs = clock.monotonic();
      try {
        if (this.#version === "") await this.#list(signal);
        else await this.#watch(signal);
        failures = 0;
      } catch (error) {
        if (signal.aborted) return;
        if (clock.monotonic() - startedMs >= HEALTHY_WATCH_MS) failures = 0;
        const asked = error instanceof KubeError ? (error.retryAfterMs ?? 0) : 0;
        const backoffMs =
          Math.min(RETRY_MIN_MS * 2 ** failures, RETRY_MAX_MS) * (0.5 + random.next());
        failures++;
        this.#options.onFailure?.(error);
        this.#setTrouble(messageOf(error));
        logger.warn("cannot follow Kubernetes objects", { resource: describeType(type), error });
        await this.#pause(Math.max(asked, backoffMs), signal);
      }
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { type, namespace, labelSelector, fieldSelector, clock, random } = this.#options;
    await this.#pause(this.#nextListAtMs - clock.monotonic(), signal);
    const client = await this.#client();
    const round = ++this.#round;
    let version = "";
    for await (const page of client.pages(type, {
      namespace,
      labelSelector,
      fieldSelector,
      signal,
    })) {
      version = page.resourceVersion;
      for (const object of page.items) this.#put(object);
    }
    for (const [key, entry] of this.#entries) if (entry.round !== round) this.#drop(key);
    this.#version = version;
    // With chance in it, so that those whom one event sends back to listing do not come together.
    this.#nextListAtMs = clock.monotonic() + LIST_INTERVAL_MS * (1 + 0.5 * random.next());
    this.#isListed = true;
    this.#setTrouble(undefined);
    for (const listener of this.#listeners) listener.listed();
  }

  /** Watches until the server ends the stream; forgets the version when the watch cannot go on from it. */
  async #watch(signal: AbortSignal): Promise<void> {
    const { type, namespace, labelSelector, fieldSelector, clock, random } = this.#options;
    const startedMs = clock.monotonic();
    const client = await this.#client();
    let isAccepted = false;
    try {
      const events = await client.watch(type, {
        namespace,
        labelSelector,
        fieldSelector,
        resourceVersion: this.#version,
        timeoutSeconds: Math.round(WATCH_MIN_SECONDS + WATCH_SPREAD_SECONDS * random.next()),
        signal,
      });
      isAccepted = true;
      this.#setTrouble(undefined);
      for await (const event of events) {
        if (signal.aborted) return;
        this.#apply(event);
      }
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      // An error inside the stream means that events are missing, whatever its code; before it, only 410 does.
      const isBroken = error.isGone || (isAccepted && error.status !== 429);
      if (isBroken) this.#version = "";
      if (!error.isGone) throw error;
      this.#options.logger.debug("listing Kubernetes objects again", { reason: error.message });
      return;
    }
    // A server that ends watches at once is asked with pauses, too.
    if (clock.monotonic() - startedMs < RETRY_MIN_MS) await this.#pause(RETRY_MIN_MS, signal);
  }

  #apply(event: WatchEvent<KubeObject>): void {
    const { metadata } = event.object;
    switch (event.type) {
      case "ADDED":
      case "MODIFIED":
        this.#put(event.object);
        break;
      case "DELETED":
        this.#drop(objectKey(metadata));
        break;
      case "BOOKMARK":
        break;
    }
    this.#version = metadata.resourceVersion ?? this.#version;
  }

  #put(object: KubeObject): void {
    const key = objectKey(object.metadata);
    const version = object.metadata.resourceVersion ?? "";
    const known = this.#entries.get(key);
    if (known !== undefined && known.version === version) {
      known.round = this.#round;
      return;
    }
    const value = this.#options.project(object);
    const isSame = known !== undefined && this.#options.isSame?.(known.value, value) === true;
    this.#entries.set(key, { version, value: isSame ? known.value : value, round: this.#round });
    if (isSame) return;
    for (const listener of this.#listeners) listener.changed(key, value, known?.value);
  }

  #drop(key: string): void {
    const known = this.#entries.get(key);
    if (known === undefined) return;
    this.#entries.delete(key);
    for (const listener of this.#listeners) listener.deleted(key, known.value);
  }

  async #client(): Promise<KubeClient> {
    const { client } = this.#options;
    return typeof client === "function" ? client() : client;
  }

  #setTrouble(trouble: string | undefined): void {
    if (trouble === this.#trouble) return;
    this.#trouble = trouble;
    for (const listener of this.#listeners) listener.troubled(trouble);
  }

  async #pause(delayMs: number, signal: AbortSignal): Promise<void> {
    if (delayMs <= 0) return;
    try {
      await this.#options.clock.sleep(delayMs, signal);
    } catch (error) {
      if (!signal.aborted && !isAbort(error)) throw error;
    }
  }
}
