import type { Decision } from "./plan-types.ts";

export interface LoggedDecision extends Decision {
  /** Counts up by one; tells a reader what it has seen. */
  readonly id: number;
  readonly timeMs: number;
}

/** The last decisions, newest last, with their times: what `/api/v1/decisions` and the page's moves are made of. */
export class DecisionLog {
  readonly #capacity: number;
  readonly #entries: LoggedDecision[] = [];
  #nextId = 1;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  add(decisions: readonly Decision[], timeMs: number): void {
    for (const decision of decisions)
      this.#entries.push({ ...decision, id: this.#nextId++, timeMs });
    if (this.#entries.length > this.#capacity)
      this.#entries.splice(0, this.#entries.length - this.#capacity);
  }

  /** At most `limit` decisions with an id above `afterId`, the newest ones, oldest first. */
  after(afterId: number, limit: number): readonly LoggedDecision[] {
    const first = this.#entries.findIndex((entry) => entry.id > afterId);
    return first < 0 ? [] : this.#entries.slice(Math.max(first, this.#entries.length - limit));
  }
}
