import type { Clock } from "../base/clock.ts";

/**
 * Who may change shards. Each term of a leader has an **epoch**, and every call to a shard carries it: a shard that has
 * heard of a later epoch refuses earlier ones, so a leader that was paused or cut off cannot undo what its successor did.
 * The first thing a new leader does is to ask every shard, which makes them refuse its predecessors.
 *
 * Epochs strictly increase from leader to leader, also between different ways of electing one: a new epoch is the time
 * of the election in ms, or the last known epoch plus one when that is more (`nextEpoch`).
 */
export interface Leadership {
  /** The epoch this process leads under; undefined while it does not lead. */
  readonly epoch: number | undefined;
  /** Base URL of the leader's HTTP API, as far as it is known: where a standby sends questions. */
  readonly leaderUrl: string | undefined;
  /** A shard has heard of `epoch`, which is later than ours: ours is over. */
  outdated(epoch: number): void;
  /** Calls `listener` whenever `epoch` has changed. */
  onChange(listener: () => void): void;
}

/** What an elector tells while it runs. */
export interface ElectionListener {
  /** This process leads from now on. */
  onElected(epoch: number): void;
  /** It leads no more, and must not act from this call on. */
  onLost(reason: string): void;
}

/** A way of agreeing on one leader: a Kubernetes Lease, a lock on this machine. */
export interface Elector {
  /** Competes until `signal` aborts; a leader then gives the leadership back at once. Never rejects. */
  run(signal: AbortSignal, listener: ElectionListener): Promise<void>;
  /** The leader's identity as last seen, which is the base URL of its HTTP API; undefined when nobody leads. */
  holder(): string | undefined;
  /**
   * The epoch this process leads under at this moment, by its own monotonic clock; undefined when it does not. A process
   * that was paused learns here that its time is over, before any timer has told so: ask before each write.
   */
  epoch(): number | undefined;
  /**
   * Somebody has heard of `epoch`. When the lease knows less, it was lost and made anew: a leader that still holds it goes
   * on under a later epoch (`onElected` once more), anyone else begins above it.
   */
  raise(epoch: number): void;
}

/** The epoch of a leader elected now, when the last known one was `last` (0 for none). */
export function nextEpoch(clock: Clock, last: number): number {
  return Math.max(clock.now(), last + 1);
}
