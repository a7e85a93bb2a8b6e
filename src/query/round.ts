import { AppError } from "../base/errors.ts";
import { judge, type Verdict } from "./completeness.ts";
import type { Endpoint } from "./endpoint-set.ts";

/** What a store's failure is called, and the failure itself. */
export interface Failure {
  readonly text: string;
  readonly error?: unknown;
}

/** One question to all stores: who was asked, who answered, who did not. */
export class Round {
  readonly #abort: boolean;
  readonly #replicaLabels: readonly string[];
  readonly #asked: Endpoint[] = [];
  readonly #failures = new Map<Endpoint, Failure>();
  #knowsStores = true;

  /** With `abort` what is missing is an error instead of a warning. */
  constructor(options: { abort: boolean; replicaLabels: readonly string[] }) {
    this.#abort = options.abort;
    this.#replicaLabels = options.replicaLabels;
  }

  ask(endpoint: Endpoint): void {
    this.#asked.push(endpoint);
  }

  noStores(): void {
    this.#knowsStores = false;
    if (this.#abort) throw new AppError("unavailable", NO_STORES);
  }

  /** The store has answered in part or not at all. Throws when no other store's answer can make up for it. */
  fail(endpoint: Endpoint, failure: Failure): void {
    this.#failures.set(endpoint, failure);
    if (this.#abort && this.#replicaLabels.length === 0) throw errorOf(failure);
  }

  /** To be called when all have answered or failed. */
  finish(): Verdict {
    const outcomes = this.#asked.map((endpoint) => {
      const { address, shard, replica, labelSets } = endpoint;
      return { address, shard, replica, labelSets, problem: this.#failures.get(endpoint)?.text };
    });
    const verdict = judge(outcomes, this.#replicaLabels);
    if (this.#abort && !verdict.isComplete)
      for (const failure of this.#failures.values())
        if (verdict.warnings.includes(failure.text)) throw errorOf(failure);
    return this.#knowsStores ? verdict : { ...verdict, isComplete: false, warnings: [NO_STORES] };
  }
}

const NO_STORES = "no stores are known";

function errorOf({ text, error }: Failure): AppError {
  const isLate = error instanceof AppError && error.code === "timeout";
  return new AppError(isLate ? "timeout" : "unavailable", text, { cause: error });
}
