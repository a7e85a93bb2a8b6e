import type { Logger } from "../base/logger.ts";
import type { DecisionLog } from "./decision-log.ts";
import type { ShardRecord } from "./shard-record.ts";

/**
 * Which shards the operator wants to be empty. A shard keeps its mark itself, on disk, and tells it to whoever leads, as it
 * does with its targets: marks outlive coordinators, however those are elected and wherever shards come from.
 *
 * ```
 *   operator ─► untold ─► the shard has it ─► every leader reads it
 *                 └ while the shard is away: this coordinator alone knows
 * ```
 *
 * Of a shard that keeps none (a Kvass sidecar) or has not been seen, the decision log knows what it was told last.
 */
export class DrainMarks {
  readonly #log: DecisionLog;
  readonly #logger: Logger;
  /** By id, what the operator wants and the shard has not been told yet. */
  readonly #untold = new Map<string, boolean>();
  /** The shards there were at the last look; undefined before the first one of a term. */
  #known: ReadonlySet<string> | undefined;
  #marked: ReadonlySet<string> = new Set();

  constructor({ log, logger }: { log: DecisionLog; logger: Logger }) {
    this.#log = log;
    this.#logger = logger;
  }

  /** Ids. */
  get marked(): ReadonlySet<string> {
    return this.#marked;
  }

  /** Others lead from now on: when this one does again, what shards say counts. */
  endTerm(): void {
    this.#untold.clear();
    this.#known = undefined;
    this.#marked = new Set();
  }

  /** The operator's word; the shard is told by `tell`, now or in one of the next cycles. */
  want(id: string, isDraining: boolean): void {
    this.#untold.set(id, isDraining);
    const marked = new Set(this.#marked);
    if (isDraining) marked.add(id);
    else marked.delete(id);
    this.#marked = marked;
  }

  /** Reads the marks and tells shards what they have not been told; answers the marked ones that are gone. Never rejects. */
  async look(records: readonly ShardRecord[], epoch: number): Promise<readonly string[]> {
    const listed = new Set(records.map(({ instance }) => instance.id));
    const before = this.#known === undefined ? this.#log.drained() : this.#marked;
    // A later shard of the same name is another one, also on the folder of the one before.
    for (const id of listed)
      if (this.#known?.has(id) === false && !this.#untold.has(id)) this.#untold.set(id, false);
    for (const id of this.#untold.keys()) if (!listed.has(id)) this.#untold.delete(id);
    const gone = [...before].filter((id) => !listed.has(id));
    this.#known = listed;
    await Promise.all(records.map((record) => this.tell(record, epoch)));
    let logged: ReadonlySet<string> | undefined;
    const isLogged = (id: string): boolean => (logged ??= this.#log.drained()).has(id);
    const marked = new Set<string>();
    for (const { instance, runtime } of records) {
      const { id } = instance;
      if (this.#untold.get(id) ?? runtime?.draining ?? isLogged(id)) marked.add(id);
    }
    this.#marked = marked;
    return gone;
  }

  /** Tells the shard what is wanted of it, if it answers and keeps marks. Never rejects. */
  async tell(record: ShardRecord, epoch: number): Promise<void> {
    const { id } = record.instance;
    const wanted = this.#untold.get(id);
    const known = record.runtime?.draining;
    const isUp = record.state === "ready" || record.state === "refused";
    if (wanted === undefined || known === undefined || !isUp) return;
    try {
      if (known !== wanted) await record.setDraining(wanted, epoch);
      if (this.#untold.get(id) === wanted) this.#untold.delete(id);
    } catch (error) {
      this.#logger.warn("cannot mark shard", { shard: id, draining: wanted, error });
    }
  }
}
