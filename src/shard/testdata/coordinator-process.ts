import type { Clock } from "../../base/clock.ts";
import { AppError } from "../../base/errors.ts";
import { silentLogger } from "../../base/logger.ts";
import { randomInt, type Random } from "../../base/random.ts";
import {
  DEFAULT_LEASE_TIMES,
  LeaseElector,
  type LeaseRecord,
  type LeaseStore,
  type StoredLease,
} from "../lease-elector.ts";
import { sleepOn, type VirtualClock } from "./virtual-clock.ts";

/** The lease as a server keeps it. */
export class MemoryLease {
  stored: StoredLease | undefined;
  #writes = 0;

  write(record: LeaseRecord, previous: StoredLease | undefined): StoredLease {
    if (previous?.version !== this.stored?.version)
      throw new AppError("already-exists", "the lease has been changed");
    return (this.stored = { record, version: String(++this.#writes) });
  }
}

/**
 * A coordinator's process as far as leading goes: it may be killed, paused as by SIGSTOP (its monotonic clock goes on, its
 * timers and answers wait), and cut off from the lease. Its wall clock is off by minutes.
 */
export class CoordinatorProcess {
  readonly elector: LeaseElector;
  isCutOff = false;
  readonly elections: number[] = [];
  lossReasons: string[] = [];
  #isPaused = false;
  #isDead = false;
  readonly #held: (() => void)[] = [];
  readonly #stop = new AbortController();
  readonly #clock: VirtualClock;
  readonly #random: Random;
  readonly done: Promise<void>;

  constructor(
    identity: string,
    world: { clock: VirtualClock; random: Random; lease: MemoryLease; onElected?: () => void },
  ) {
    this.#clock = world.clock;
    this.#random = world.random;
    const skewMs = randomInt(world.random, 1_800_000) - 900_000;
    const own: Clock = {
      now: () => world.clock.now() + skewMs,
      monotonic: () => world.clock.monotonic(),
      after: (delayMs, callback) => {
        let isCanceled = false;
        const cancel = world.clock.after(delayMs, () =>
          this.#whenRunning(() => {
            if (!isCanceled) callback();
          }),
        );
        return () => {
          isCanceled = true;
          cancel();
        };
      },
      sleep: (delayMs, signal) => sleepOn(own, delayMs, signal),
    };
    const store: LeaseStore = {
      name: "lease test",
      read: () => this.#call(() => world.lease.stored),
      write: (record, previous) => this.#call(() => world.lease.write(record, previous)),
    };
    this.elector = new LeaseElector({
      identity,
      store,
      times: DEFAULT_LEASE_TIMES,
      clock: own,
      random: world.random,
      logger: silentLogger,
    });
    this.done = this.elector.run(this.#stop.signal, {
      onElected: (epoch) => {
        this.elections.push(epoch);
        world.onElected?.();
      },
      onLost: (reason) => void this.lossReasons.push(reason),
    });
  }

  get isRunning(): boolean {
    return !this.#isPaused && !this.#isDead;
  }

  /** The epoch it would write with now. */
  epoch(): number | undefined {
    return this.isRunning ? this.elector.epoch() : undefined;
  }

  kill(): void {
    this.#isDead = true;
    this.#held.length = 0;
  }

  pause(): void {
    this.#isPaused = true;
  }

  /** Timers and answers that came meanwhile are delivered in any order. */
  resume(): void {
    this.#isPaused = false;
    while (this.#held.length > 0)
      this.#held.splice(randomInt(this.#random, this.#held.length), 1)[0]!();
  }

  stop(): Promise<void> {
    this.#stop.abort();
    return this.done;
  }

  #whenRunning(callback: () => void): void {
    if (this.#isDead) return;
    if (this.#isPaused) this.#held.push(callback);
    else callback();
  }

  /** A request: 0 to 200 ms there and back; a cut-off one hangs, before or after the server has done it. */
  #call<T>(act: () => T): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    const wait = (): number => randomInt(this.#random, 200);
    this.#clock.after(wait(), () => {
      if (this.isCutOff) return;
      let deliver: () => void;
      try {
        const answer = act();
        deliver = () => resolve(answer);
      } catch (error) {
        deliver = () => reject(AppError.from(error));
      }
      this.#clock.after(wait(), () => {
        if (!this.isCutOff) this.#whenRunning(deliver);
      });
    });
    return promise;
  }
}
