import type { Clock } from "../base/clock.ts";
import { AppError, messageOf } from "../base/errors.ts";
import type { Logger } from "../base/logger.ts";
import type { Random } from "../base/random.ts";
import { type ElectionListener, type Elector, nextEpoch } from "./leadership.ts";

export interface LeaseTimes {
  /** How long others wait after the last renewal they saw. */
  readonly leaseDurationMs: number;
  /** How long after its last good renewal a leader gives up; well below `leaseDurationMs`. */
  readonly renewDeadlineMs: number;
  /** Pause between two attempts to renew or to take over. */
  readonly retryMs: number;
}

/** As Kubernetes's own components have them. */
export const DEFAULT_LEASE_TIMES: LeaseTimes = {
  leaseDurationMs: 15_000,
  renewDeadlineMs: 10_000,
  retryMs: 2_000,
};

/** What is written in the lease. Its times are for people: nobody compares them with a clock of their own. */
export interface LeaseRecord {
  /** "" when it was given up. */
  readonly holder: string;
  readonly epoch: number;
  readonly durationMs: number;
  readonly acquiredAtMs: number;
  readonly renewedAtMs: number;
}

export interface StoredLease {
  readonly record: LeaseRecord;
  /** Differs after every write of anyone. */
  readonly version: string;
}

/** Where the lease is kept: an object of the Kubernetes API or files in a folder. */
export interface LeaseStore {
  /** What the lease is called in messages: `lease monitoring/shoal`. */
  readonly name: string;
  /** Undefined when nobody ever took it. */
  read(signal: AbortSignal): Promise<StoredLease | undefined>;
  /** Replaces exactly `previous` (nothing: creates it); rejects when another was faster, or when that is not known. */
  write(
    record: LeaseRecord,
    previous: StoredLease | undefined,
    signal: AbortSignal,
  ): Promise<StoredLease>;
}

export interface LeaseElectorOptions {
  /** Base URL of this process's HTTP API. */
  readonly identity: string;
  readonly store: LeaseStore;
  readonly times: LeaseTimes;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

/** Pauses grow by up to this part, so that standbys do not ask in step. */
const JITTER = 0.2;
/** A given-up lease lasts this long in the eyes of programs that go by its duration alone. */
const RELEASED_MS = 1_000;

interface Term {
  readonly epoch: number;
  readonly acquiredAtMs: number;
  /** On the monotonic clock. */
  readonly endsAt: number;
  readonly cancel: () => void;
}

/**
 * Leader election as Kubernetes's own components do it. No clock is compared with another's: a standby counts from the
 * moment it *saw* the lease change, a leader from the moment it *began* its last good renewal, and as the leader's limit is
 * the shorter one, it stops before anyone else may start.
 *
 * ```
 *            lease free or over, write won            not renewed in time · another holds it · stopping
 *  standby ────────────────────────────────► leading ────────────────────────────────► standby
 *   ▲   │ reads every `retryMs`               ▲   │ renews every `retryMs`
 *   └───┘                                     └───┘
 * ```
 */
export class LeaseElector implements Elector {
  readonly identity: string;
  readonly #options: LeaseElectorOptions;
  /** What the next write replaces; undefined when it must be read first. */
  #current: { readonly stored: StoredLease | undefined } | undefined;
  /** The version last seen and when it was first seen, on the monotonic clock. */
  #seen: { readonly version: string | undefined; readonly at: number } | undefined;
  #holder: string | undefined;
  /** Whether the lease may name us: set before a write whose answer may be lost. */
  #mayHold = false;
  /** The highest epoch seen anywhere or asked for by ourselves. */
  #floor = 0;
  #term: Term | undefined;
  #failure: string | undefined;

  constructor(options: LeaseElectorOptions) {
    this.#options = options;
    this.identity = options.identity;
  }

  holder(): string | undefined {
    return this.#term === undefined ? this.#holder : this.identity;
  }

  epoch(): number | undefined {
    const term = this.#term;
    const isValid = term !== undefined && this.#options.clock.monotonic() < term.endsAt;
    return isValid ? term.epoch : undefined;
  }

  raise(epoch: number): void {
    this.#floor = Math.max(this.#floor, epoch);
  }

  async run(signal: AbortSignal, listener: ElectionListener): Promise<void> {
    const { clock, random, times, logger, store } = this.#options;
    while (!signal.aborted) {
      try {
        await this.#turn(signal, listener);
        this.#failure = undefined;
      } catch (error) {
        // Unknown again: the write may have been done all the same.
        this.#current = undefined;
        const failure = messageOf(error);
        if (!signal.aborted && failure !== this.#failure)
          logger.warn("cannot take or renew the lease", { lease: store.name, error });
        this.#failure = failure;
      }
      const pauseMs = times.retryMs * (1 + JITTER * random.next());
      const expiryMs = this.#untilExpiryMs();
      const sleepMs = expiryMs > 0 ? Math.min(pauseMs, expiryMs) : pauseMs;
      await clock.sleep(sleepMs, signal).catch(() => {});
    }
    this.#lose("stopping", listener);
    await this.#release();
  }

  /** One look at the lease, and the write that follows from it. */
  async #turn(signal: AbortSignal, listener: ElectionListener): Promise<void> {
    const { store } = this.#options;
    const term = this.#term;
    // Fast path: a leader that knows the lease's version writes without reading; a conflict tells when that is stale.
    if (term === undefined || this.#current === undefined)
      this.#see(await this.#bounded(signal, (limit) => store.read(limit)));
    const record = this.#current?.stored?.record;
    if (term !== undefined && this.#term === term) {
      if (record?.holder !== this.identity || record.epoch !== term.epoch)
        return this.#lose(`the lease is held by ${record?.holder || "nobody"}`, listener);
      const { clock } = this.#options;
      const isPassed = this.#floor > term.epoch;
      return this.#write(signal, isPassed ? nextEpoch(clock, this.#floor) : term.epoch, listener);
    }
    const isFree = record === undefined || record.holder === "" || record.holder === this.identity;
    if (!isFree && this.#untilExpiryMs() > 0) {
      this.#mayHold = false;
      return;
    }
    return this.#write(signal, nextEpoch(this.#options.clock, this.#floor), listener);
  }

  /** Writes the lease as ours in `epoch`. That begins or prolongs a term, unless it took too long. */
  async #write(signal: AbortSignal, epoch: number, listener: ElectionListener): Promise<void> {
    const { clock, store, times, logger } = this.#options;
    const before = this.#term;
    const startedAt = clock.monotonic();
    const nowMs = clock.now();
    const acquiredAtMs = before?.acquiredAtMs ?? nowMs;
    const record: LeaseRecord = {
      holder: this.identity,
      epoch,
      durationMs: times.leaseDurationMs,
      acquiredAtMs,
      renewedAtMs: nowMs,
    };
    const previous = this.#current?.stored;
    this.#mayHold = true;
    this.raise(epoch);
    this.#see(await this.#bounded(signal, (limit) => store.write(record, previous, limit)));
    const endsAt = startedAt + times.renewDeadlineMs;
    // The term ended, or its time passed, while the write was under way: the next turn takes the lease anew.
    if (this.#term !== before || clock.monotonic() >= endsAt || signal.aborted) return;
    before?.cancel();
    const cancel = clock.after(endsAt - clock.monotonic(), () =>
      this.#lose(`the lease was not renewed within ${times.renewDeadlineMs / 1000} s`, listener),
    );
    this.#term = { epoch, acquiredAtMs, endsAt, cancel };
    if (before?.epoch === epoch) return;
    logger.info("leading", { epoch, identity: this.identity, lease: store.name });
    listener.onElected(epoch);
  }

  #lose(reason: string, listener: ElectionListener): void {
    if (this.#term === undefined) return;
    const { epoch, cancel } = this.#term;
    cancel();
    this.#term = undefined;
    this.#options.logger.warn("not leading any more", { epoch, reason });
    listener.onLost(reason);
  }

  /** Gives the lease up, so that a standby need not wait for its end. */
  async #release(): Promise<void> {
    if (!this.#mayHold) return;
    const { clock, store, logger } = this.#options;
    const signal = new AbortController().signal;
    try {
      const stored =
        this.#current === undefined
          ? await this.#bounded(signal, (limit) => store.read(limit))
          : this.#current.stored;
      if (stored?.record.holder !== this.identity) return;
      const record = {
        ...stored.record,
        holder: "",
        durationMs: RELEASED_MS,
        renewedAtMs: clock.now(),
      };
      await this.#bounded(signal, (limit) => store.write(record, stored, limit));
      this.#holder = undefined;
    } catch (error) {
      logger.warn("cannot give the lease up; it ends by itself", { lease: store.name, error });
    }
  }

  #see(stored: StoredLease | undefined): void {
    if (this.#seen === undefined || this.#seen.version !== stored?.version)
      this.#seen = { version: stored?.version, at: this.#options.clock.monotonic() };
    this.#current = { stored };
    this.raise(stored?.record.epoch ?? 0);
    this.#holder = stored?.record.holder || undefined;
  }

  /** How long another's lease still has, counted from when it was last seen to change; 0 when there is none to wait for. */
  #untilExpiryMs(): number {
    const record = this.#current?.stored?.record;
    if (record === undefined || this.#seen === undefined) return 0;
    if (record.holder === "" || record.holder === this.identity) return 0;
    const { clock, times } = this.#options;
    const durationMs = Math.max(record.durationMs, times.leaseDurationMs);
    return Math.max(0, this.#seen.at + durationMs - clock.monotonic());
  }

  /** Runs `request` for at most half a leader's time: one that hangs must leave room for another. */
  async #bounded<T>(signal: AbortSignal, request: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { clock, times, store } = this.#options;
    const limit = new AbortController();
    const limitMs = times.renewDeadlineMs / 2;
    const { promise: ended, reject } = Promise.withResolvers<never>();
    ended.catch(() => {});
    const stop = (error: AppError): void => {
      limit.abort(error);
      reject(error);
    };
    const onAbort = (): void => stop(new AppError("canceled", "the election is stopping"));
    const cancel = clock.after(limitMs, () =>
      stop(new AppError("timeout", `${store.name}: no answer within ${limitMs / 1000} s`)),
    );
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    try {
      return await Promise.race([request(limit.signal), ended]);
    } finally {
      cancel();
      signal.removeEventListener("abort", onAbort);
    }
  }
}
