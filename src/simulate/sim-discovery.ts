import type { Target } from "../model/target.ts";
import type { DiscoverySource } from "../shard/coordinator.ts";
import type { JobTargets } from "../shard/hold.ts";
import type { SimTarget } from "./sim-target.ts";
import type { World } from "./world.ts";

/**
 * `error`: its server answers with errors, so the last list stands; a coordinator that starts meanwhile knows of nothing
 * · `stale`: the same, but nothing says so · `empty`: it answers well, and lists nothing · `partial`: it answers well,
 * and lists one target in three.
 */
export type OutageKind = "error" | "empty" | "stale" | "partial";

/** Service discovery: which targets exist, and what it says of them. */
export class SimDiscovery {
  readonly #world: World;
  readonly #refreshMs: number;
  readonly #existing = new Map<string, Map<string, Target>>();
  readonly #changedJobs = new Set<string>();
  readonly #unlisted: SimTarget[] = [];
  #listed: readonly JobTargets[] = [];
  #outage: { readonly kind: OutageKind; readonly sinceMs: number } | undefined;
  #existingCount = 0;

  /** `refreshMs` is how often discovery looks, and so how late a change is known. */
  constructor(world: World, refreshMs: number) {
    this.#world = world;
    this.#refreshMs = refreshMs;
  }

  get existingCount(): number {
    return this.#existingCount;
  }

  exists({ job, hash }: { readonly job: string; readonly hash: string }): boolean {
    return this.#existing.get(job)?.has(hash) ?? false;
  }

  start(): void {
    this.#refresh();
    const tick = (): void => {
      this.#refresh();
      this.#world.clock.after(this.#refreshMs, tick);
    };
    this.#world.clock.after(this.#refreshMs, tick);
  }

  add(target: SimTarget): void {
    const { job, hash } = target.target;
    let targets = this.#existing.get(job);
    if (targets === undefined) this.#existing.set(job, (targets = new Map()));
    targets.set(hash, target.target);
    this.#unlisted.push(target);
    this.#changedJobs.add(job);
    this.#existingCount++;
  }

  remove(target: SimTarget): void {
    const { job, hash } = target.target;
    this.#existing.get(job)?.delete(hash);
    this.#changedJobs.add(job);
    this.#existingCount--;
  }

  /** Begins an outage, in place of one that goes on; the result ends it. */
  beginOutage(kind: OutageKind): () => void {
    const outage = { kind, sinceMs: this.#world.clock.now() };
    this.#outage = outage;
    if (kind === "empty" || kind === "partial") this.#deliver(this.#distorted(kind));
    return () => {
      if (this.#outage !== outage) return;
      this.#outage = undefined;
      for (const job of this.#existing.keys()) this.#changedJobs.add(job);
      this.#refresh();
    };
  }

  /** What a coordinator sees that was started at `startedMs`. */
  sourceFor(startedMs: number): DiscoverySource {
    return {
      jobs: () => {
        const outage = this.#outage;
        if (outage === undefined) return this.#listed;
        const isMute = outage.kind === "error" || outage.kind === "stale";
        if (!isMute) return this.#listed;
        const error = outage.kind === "error" ? "cannot list targets: HTTP 503" : "";
        return this.#listed.map((job) =>
          startedMs >= outage.sinceMs
            ? { ...job, targets: [], isComplete: false, error }
            : { ...job, error },
        );
      },
    };
  }

  #refresh(): void {
    if (this.#outage !== undefined || this.#changedJobs.size === 0) return;
    const nowMs = this.#world.clock.now();
    const known = new Map(this.#listed.map((job) => [job.job, job]));
    for (const [job, targets] of this.#existing)
      if (this.#changedJobs.has(job)) known.set(job, listing(job, [...targets.values()]));
    this.#changedJobs.clear();
    for (const target of this.#unlisted.splice(0))
      if (this.exists(target.target)) this.#world.coverage.list(target, nowMs);
    this.#deliver([...known.values()]);
  }

  #distorted(kind: "empty" | "partial"): JobTargets[] {
    return this.#listed.map(({ job, targets }) =>
      listing(job, kind === "empty" ? [] : targets.filter((_, i) => i % 3 === 0)),
    );
  }

  #deliver(jobs: readonly JobTargets[]): void {
    this.#listed = jobs;
    this.#world.wake();
  }
}

function listing(job: string, targets: readonly Target[]): JobTargets {
  return {
    job,
    targets,
    dropped: () => [],
    droppedCount: 0,
    isComplete: true,
    isStatic: false,
    error: "",
  };
}
