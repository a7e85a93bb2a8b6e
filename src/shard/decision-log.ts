import type { Decision, Observed } from "./plan-types.ts";

export interface LoggedDecision extends Decision {
  /** Counts up by one; tells a reader what it has seen. */
  readonly id: number;
  readonly timeMs: number;
}

/** Where decisions are written to besides memory. `all` is what must be kept when the older ones are dropped there. */
export interface DecisionSink {
  append(decisions: readonly LoggedDecision[], all: () => readonly LoggedDecision[]): void;
}

/** Decisions of all kinds that are remembered by default: some 5 MB. */
export const DECISION_CAPACITY = 10_000;

/**
 * The last decisions with their times, and for every living target the last one about it, however long ago that was:
 *
 *     kept outside the ring              the ring, `capacity` long
 *     ┌────────────────────────┐  ┌──────────────────────────────────────┐
 *     │ the last one of each   │  │ 4711 assign a │ 4712 move b │ …      │ ◄── add
 *     │ target that has none   │◄─┤ oldest                        newest │
 *     │ in the ring any more   │  └──────────────────────────────────────┘
 *     └────────────────────────┘
 *
 * An index by target answers "why is it here" without a search. Bound: `capacity` + living targets + marked shards.
 */
export class DecisionLog {
  readonly #capacity: number;
  readonly #sink: DecisionSink | undefined;
  readonly #ring: LoggedDecision[] = [];
  /** By subject: its decisions in the ring, else its last one alone; oldest first, never empty. */
  readonly #bySubject = new Map<string, LoggedDecision[]>();
  #keptCount = 0;
  #nextId = 1;

  constructor(capacity: number, sink?: DecisionSink) {
    this.#capacity = capacity;
    this.#sink = sink;
  }

  /** Notes `decisions` and returns them as they are noted: with what looks like a secret in their URLs hidden. */
  add(decisions: readonly Decision[], timeMs: number): readonly LoggedDecision[] {
    if (decisions.length === 0) return [];
    const added = decisions.map((decision) => ({
      ...decision,
      ...(decision.url !== undefined && { url: hideSecrets(decision.url) }),
      id: this.#nextId++,
      timeMs,
    }));
    for (const entry of added) this.#push(entry);
    this.#shrink();
    this.#sink?.append(added, () => this.all());
    return added;
  }

  /** Takes up what an earlier process wrote, in the order of ids; only before the first `add`. */
  restore(entries: readonly LoggedDecision[]): void {
    for (const entry of entries) {
      // What is written twice (a file begins with what the one before it held) counts once.
      if (entry.id < this.#nextId) continue;
      this.#nextId = entry.id + 1;
      this.#push(entry);
    }
    this.#shrink();
  }

  /** At most `limit` decisions with an id above `afterId`, the newest ones, oldest first. */
  after(afterId: number, limit: number): readonly LoggedDecision[] {
    const first = this.#ring.findLastIndex((entry) => entry.id <= afterId) + 1;
    return this.#ring.slice(Math.max(first, this.#ring.length - limit));
  }

  /** What was decided about a target, newest first. */
  about(hash: string): readonly LoggedDecision[] {
    return (this.#bySubject.get(hash) ?? []).toReversed();
  }

  /** The last decision about each target that is known, in no order that means something. */
  *lastOfEach(): Generator<LoggedDecision> {
    for (const entries of this.#bySubject.values()) {
      const last = entries.at(-1)!;
      if (last.hash !== undefined) yield last;
    }
  }

  /** The shards that the operator has marked to be empty, and not unmarked since. */
  drained(): Set<string> {
    const drained = new Set<string>();
    for (const entries of this.#bySubject.values()) {
      const { kind, from } = entries.at(-1)!;
      if (kind === "drain" && from !== undefined) drained.add(from);
    }
    return drained;
  }

  /** Everything that is remembered, by id. */
  all(): readonly LoggedDecision[] {
    if (this.#keptCount === 0) return [...this.#ring];
    const firstId = this.#ring[0]?.id ?? Infinity;
    const kept = [...this.#bySubject.values()].flatMap(([first]) =>
      first!.id < firstId ? [first!] : [],
    );
    return [...kept.sort((a, b) => a.id - b.id), ...this.#ring];
  }

  /** Drops what is kept outside the ring of targets that are neither discovered, nor scraped, nor held. */
  forgetGone({ targets, shards, heldJobs }: Observed): void {
    if (this.#keptCount === 0) return;
    const living = new Set(targets.map(({ hash }) => hash));
    for (const { assignments } of shards) for (const { hash } of assignments) living.add(hash);
    const firstId = this.#ring[0]?.id ?? Infinity;
    for (const [subject, [first]] of this.#bySubject) {
      const { id, job, kind } = first!;
      if (id >= firstId || living.has(subject) || kind === "drain") continue;
      if (job !== undefined && heldJobs.has(job)) continue;
      this.#bySubject.delete(subject);
      this.#keptCount--;
    }
  }

  #push(entry: LoggedDecision): void {
    this.#ring.push(entry);
    const subject = subjectOf(entry);
    if (subject === undefined) return;
    const known = this.#bySubject.get(subject);
    if (known === undefined) {
      this.#bySubject.set(subject, [entry]);
      return;
    }
    if (known[0]!.id < this.#ring[0]!.id) {
      // The one that was kept for want of a newer one.
      known.length = 0;
      this.#keptCount--;
    }
    known.push(entry);
  }

  #shrink(): void {
    const excess = this.#ring.length - this.#capacity;
    if (excess <= 0) return;
    for (const entry of this.#ring.splice(0, excess)) {
      const subject = subjectOf(entry);
      if (subject === undefined) continue;
      const known = this.#bySubject.get(subject)!;
      if (known.length > 1) known.shift();
      else this.#keptCount++;
    }
  }
}

/** What a decision is about, if the last one about it matters: a target, or the operator's mark on a shard. */
function subjectOf({ kind, hash, from }: Decision): string | undefined {
  return kind === "drain" || kind === "undrain" ? `shard ${from ?? ""}` : hash;
}

const USER_INFO = /(?<=^[a-z]+:\/\/)[^/?#@]*@/;
const SECRET_PARAMETER =
  /([?&][^=&]*(?:token|secret|passw|api[-_]?key|access[-_]?key|auth|credential|signature)[^=&]*=)[^&#]+/gi;

/** A URL without user and password, and without the values of parameters that are named like secrets. */
export function hideSecrets(url: string): string {
  if (!url.includes("?") && !url.includes("@")) return url;
  return url.replace(USER_INFO, "<secret>@").replace(SECRET_PARAMETER, "$1<secret>");
}
