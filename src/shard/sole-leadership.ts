import type { Clock } from "../base/clock.ts";
import { AppError } from "../base/errors.ts";
import type { Service } from "../base/service.ts";
import { type Leadership, nextEpoch } from "./leadership.ts";

/**
 * The leadership of a coordinator that nobody competes with. When shards have heard of a later epoch after all:
 *
 * - one that owns its shards (`shoal up`, under the lock of its data folder) had its clock set back: it goes on above.
 * - one that does not own them learns that another coordinator has been started, and ends: two would undo each other's
 *   work without end.
 */
export class SoleLeadership implements Leadership, Service {
  readonly name = "leadership";
  readonly done: Promise<never>;
  readonly leaderUrl = undefined;
  readonly #clock: Clock;
  readonly #ownsShards: boolean;
  readonly #fail: (error: AppError) => void;
  #epoch: number | undefined;
  #onChange = (): void => {};

  constructor(clock: Clock, options: { ownsShards: boolean }) {
    this.#clock = clock;
    this.#ownsShards = options.ownsShards;
    this.#epoch = nextEpoch(clock, 0);
    const { promise, reject } = Promise.withResolvers<never>();
    // Nobody may be waiting: a coordinator in a test runs without services.
    promise.catch(() => {});
    this.done = promise;
    this.#fail = reject;
  }

  get epoch(): number | undefined {
    return this.#epoch;
  }

  async start(): Promise<void> {}

  async stop(): Promise<void> {}

  outdated(epoch: number): void {
    this.#epoch = this.#ownsShards ? nextEpoch(this.#clock, epoch) : undefined;
    if (!this.#ownsShards)
      this.#fail(
        new AppError(
          "outdated",
          "cannot go on: another coordinator was started for the same shards; run one, or several with --leader-election",
        ),
      );
    this.#onChange();
  }

  onChange(listener: () => void): void {
    this.#onChange = listener;
  }
}
